/**
 * Envoy's HeaderMatcher as a predicate over a header list. Of several fields of one name, one that matches
 * is enough (and denies an inverted matcher); pseudo headers are judged by `request`, not being in the list.
 */
import { internName, type HeaderList } from '@sluice/wire';
import type { HeaderMatcher } from '@sluice/xds';
import type { ProblemScope } from '../config/problems.ts';
import { compileRegex, type TextPredicate } from './regex.ts';
import type { HeaderPredicate, RouteRequest } from './route.ts';
import { compileStringMatch } from './string-match.ts';

export type RequestPredicate = (request: RouteRequest) => boolean;

/** For lists without pseudo headers: responses, trailers. */
export function compileHeaderPredicate(matcher: HeaderMatcher, scope: ProblemScope): HeaderPredicate {
  const judge = compileJudge(matcher, scope);
  if (matcher.name.startsWith(':')) {
    scope.unhonoured('name', 'a pseudo header cannot be matched here');
    return () => false;
  }
  const name = nameKey(matcher.name);
  return (headers) => judge(valuesOf(headers, name));
}

export function compileRequestPredicate(matcher: HeaderMatcher, scope: ProblemScope): RequestPredicate {
  const judge = compileJudge(matcher, scope);
  switch (matcher.name.toLowerCase()) {
    case ':method':
      return (request) => judge(request.method);
    case ':path':
      return (request) => judge(request.query === '' ? request.path : `${request.path}?${request.query}`);
    case ':authority':
    case 'host':
      return (request) => judge(request.authority === '' ? undefined : request.authority);
    case ':scheme':
      return (request) => judge(request.scheme);
    default: {
      if (matcher.name.startsWith(':')) scope.at('name').error(`unknown pseudo header "${matcher.name}"`);
      const name = nameKey(matcher.name);
      return (request) => judge(valuesOf(request.headers, name));
    }
  }
}

/** The interned id, or the name itself where interning is full. */
function nameKey(name: string): number | string {
  const lower = name.toLowerCase();
  const id = internName(lower);
  return id === 0 ? lower : id;
}

function valuesOf(headers: HeaderList, name: number | string): string | readonly string[] | undefined {
  const values = headers.getAll(name);
  return values.length > 1 ? values : values[0];
}

/** Judges a header's values, or its absence. */
function compileJudge(
  matcher: HeaderMatcher,
  scope: ProblemScope,
): (value: string | readonly string[] | undefined) => boolean {
  if (matcher.name === '') scope.at('name').error('must not be empty');
  const invert = matcher.invertMatch;
  if (matcher.presentMatch !== undefined) {
    const wanted = matcher.presentMatch !== invert;
    const missing = matcher.treatMissingHeaderAsEmpty;
    return (value) => (value !== undefined || missing) === wanted;
  }
  const test = compileValueTest(matcher, scope);
  // A header that is not there satisfies no test, inverted or not, unless it counts as empty (Envoy).
  return (value) => {
    if (value === undefined) return matcher.treatMissingHeaderAsEmpty && test('') !== invert;
    return (typeof value === 'string' ? test(value) : value.some(test)) !== invert;
  };
}

function compileValueTest(matcher: HeaderMatcher, scope: ProblemScope): TextPredicate {
  const plain = (field: string, value: string, test: (text: string) => boolean): TextPredicate => {
    if (value === '') scope.at(field).error('must not be empty');
    return test;
  };
  const { exactMatch, prefixMatch, suffixMatch, containsMatch } = matcher;
  if (matcher.stringMatch !== undefined)
    return compileStringMatch(matcher.stringMatch, scope.at('string_match'));
  if (matcher.safeRegexMatch !== undefined)
    return compileRegex(matcher.safeRegexMatch, scope.at('safe_regex_match'));
  if (exactMatch !== undefined) return (text) => text === exactMatch;
  if (prefixMatch !== undefined)
    return plain('prefix_match', prefixMatch, (text) => text.startsWith(prefixMatch));
  if (suffixMatch !== undefined)
    return plain('suffix_match', suffixMatch, (text) => text.endsWith(suffixMatch));
  if (containsMatch !== undefined)
    return plain('contains_match', containsMatch, (text) => text.includes(containsMatch));
  if (matcher.rangeMatch !== undefined) {
    const { start, end } = matcher.rangeMatch;
    return (text) => /^[+-]?\d+$/.test(text) && Number(text) >= start && Number(text) < end;
  }
  return () => true;
}
