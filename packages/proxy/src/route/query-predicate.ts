/**
 * Query parameters. The first value of a name counts; names and values are compared as they were sent,
 * escapes and all, as Envoy does. The query is only split when a route asks, because most never do.
 */
import type { QueryParameterMatcher } from '@sluice/xds';
import type { ProblemScope } from '../config/problems.ts';
import type { RouteRequest } from './route.ts';
import { compileStringMatch } from './string-match.ts';

export function compileQueryPredicate(
  matcher: QueryParameterMatcher,
  scope: ProblemScope,
): (request: RouteRequest) => boolean {
  if (matcher.name === '') scope.at('name').error('must not be empty');
  const { name } = matcher;
  if (matcher.stringMatch !== undefined) {
    const test = compileStringMatch(matcher.stringMatch, scope.at('string_match'));
    return (request) => {
      const value = queryParameter(request.query, name);
      return value !== undefined && test(value);
    };
  }
  const wanted = matcher.presentMatch ?? true;
  return (request) => (queryParameter(request.query, name) !== undefined) === wanted;
}

/** First value of `name`, `''` for a name without `=`, undefined when absent. */
export function queryParameter(query: string, name: string): string | undefined {
  for (let start = 0; start < query.length;) {
    let end = query.indexOf('&', start);
    if (end < 0) end = query.length;
    const equals = query.indexOf('=', start);
    const nameEnd = equals >= 0 && equals < end ? equals : end;
    if (query.slice(start, nameEnd) === name) return nameEnd < end ? query.slice(nameEnd + 1, end) : '';
    start = end + 1;
  }
  return undefined;
}
