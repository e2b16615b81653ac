/**
 * Whether one match takes every request another would take. It answers yes only when that is certain: regular
 * expressions cover only themselves, and every condition of the first must be implied by the second.
 */
import type { StringMatch } from '../schema/istio/string-match.ts';
import type { HttpMatch } from '../schema/istio/virtual-service.ts';

export function matchesEverything(match: HttpMatch): boolean {
  const { name: _name, statPrefix: _statPrefix, ...conditions } = match;
  const { uri, ...others } = conditions;
  const isEveryPath = uri === undefined || uri.prefix === '/';
  return (
    isEveryPath && Object.values(others).every((condition) => condition === undefined || condition === false)
  );
}

export function coversMatch(first: HttpMatch, second: HttpMatch): boolean {
  return (
    coversPath(first, second) &&
    coversText(first.scheme, second.scheme) &&
    coversText(first.method, second.method) &&
    coversText(first.authority, second.authority) &&
    coversMap(first.headers, second.headers, coversText) &&
    coversMap(first.queryParams, second.queryParams, coversText) &&
    coversMap(first.withoutHeaders, second.withoutHeaders, sameText) &&
    coversMap(first.sourceLabels, second.sourceLabels, (a, b) => a === b) &&
    (first.port === undefined || first.port === second.port) &&
    (first.sourceNamespace === undefined || first.sourceNamespace === second.sourceNamespace) &&
    (first.gateways === undefined ||
      (second.gateways ?? []).some((gateway) => first.gateways?.includes(gateway))) &&
    (first.gateways === undefined ||
      second.gateways?.every((gateway) => first.gateways?.includes(gateway)) === true)
  );
}

function coversPath(first: HttpMatch, second: HttpMatch): boolean {
  if (first.uri === undefined || first.uri.prefix === '/') return true;
  // A path matched regardless of case takes more, never less.
  if (first.ignoreUriCase !== true && second.ignoreUriCase === true) return false;
  if (first.ignoreUriCase === true) return coversText(lower(first.uri), second.uri && lower(second.uri));
  return coversText(first.uri, second.uri);
}

function lower(match: StringMatch): StringMatch {
  if (match.exact !== undefined) return { exact: match.exact.toLowerCase() };
  return match.prefix === undefined ? match : { prefix: match.prefix.toLowerCase() };
}

function coversText(first: StringMatch | undefined, second: StringMatch | undefined): boolean {
  if (first === undefined) return true;
  if (second === undefined) return false;
  if (first.prefix !== undefined) {
    const known = second.exact ?? second.prefix;
    return known?.startsWith(first.prefix) === true;
  }
  if (first.exact !== undefined) return first.exact === second.exact;
  if (first.regex !== undefined) return first.regex === second.regex;
  // Presence alone.
  return true;
}

function sameText(first: StringMatch, second: StringMatch | undefined): boolean {
  return (
    second !== undefined &&
    first.exact === second.exact &&
    first.prefix === second.prefix &&
    first.regex === second.regex
  );
}

function coversMap<T>(
  first: Readonly<Record<string, T>> | undefined,
  second: Readonly<Record<string, T>> | undefined,
  covers: (first: T, second: T | undefined) => boolean,
): boolean {
  return Object.entries(first ?? {}).every(([name, value]) => {
    const other = second !== undefined && Object.hasOwn(second, name) ? second[name] : undefined;
    return other !== undefined && covers(value, other);
  });
}
