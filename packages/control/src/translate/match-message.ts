/** Rule matches → RouteMatch. Istio's regexes match the whole text, as Envoy's do. */
import type { HeaderMatcher, Init, QueryParameterMatcher, RouteMatch, StringMatcher } from '@sluice/xds';
import type { HeaderMatch, QueryMatch, RuleMatch, TextMatch } from '../model/route-rule.ts';

export function matchMessage(match: RuleMatch | null): Init<RouteMatch> {
  if (!match) return { prefix: '/' };
  const headers = [
    ...pseudoHeader(':method', match.method),
    ...pseudoHeader(':scheme', match.scheme),
    ...pseudoHeader(':authority', match.authority),
    ...match.headers.map(headerMessage),
  ];
  const query = match.query.map(queryMessage);
  return {
    ...pathMessage(match),
    ...(match.path?.ignoreCase ? { caseSensitive: false } : {}),
    ...(headers.length > 0 ? { headers } : {}),
    ...(query.length > 0 ? { queryParameters: query } : {}),
  };
}

function pathMessage(match: RuleMatch): Init<RouteMatch> {
  const { path } = match;
  if (!path) return { prefix: '/' };
  switch (path.kind) {
    case 'exact':
      return { path: path.value };
    case 'prefix':
      return { prefix: path.value };
    case 'regex':
      return { safeRegex: { regex: path.value } };
    case 'elements': {
      const value = path.value.length > 1 && path.value.endsWith('/') ? path.value.slice(0, -1) : path.value;
      // Envoy refuses `/` as a path-separated prefix; as a plain prefix it means the same.
      return value === '/' ? { prefix: '/' } : { pathSeparatedPrefix: value };
    }
  }
}

function pseudoHeader(name: string, match: TextMatch | null): Init<HeaderMatcher>[] {
  return match ? [headerMessage({ name, match, isInverted: false })] : [];
}

function headerMessage(header: HeaderMatch): Init<HeaderMatcher> {
  const value: Init<HeaderMatcher> =
    header.match.kind === 'present' ? { presentMatch: true } : { stringMatch: stringMessage(header.match) };
  if (!header.isInverted) return { name: header.name, ...value };
  // An absent header must not match either; Envoy says so of values only when absent counts as empty.
  const isAbsentEmpty = header.match.kind !== 'present';
  return {
    name: header.name,
    ...value,
    invertMatch: true,
    ...(isAbsentEmpty ? { treatMissingHeaderAsEmpty: true } : {}),
  };
}

function queryMessage(query: QueryMatch): Init<QueryParameterMatcher> {
  return query.match.kind === 'present'
    ? { name: query.name, presentMatch: true }
    : { name: query.name, stringMatch: stringMessage(query.match) };
}

function stringMessage(match: Exclude<TextMatch, { kind: 'present' }>): Init<StringMatcher> {
  switch (match.kind) {
    case 'exact':
      return { exact: match.value };
    case 'prefix':
      return { prefix: match.value };
    case 'regex':
      return { safeRegex: { regex: match.value } };
  }
}
