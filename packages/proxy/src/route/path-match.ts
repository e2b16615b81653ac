/** The path part of a route match, in a shape that tables can index (`route-index.ts`). */
import type { RouteMatch } from '@sluice/xds';
import type { ProblemScope } from '../config/problems.ts';
import { compileRegex } from './regex.ts';

export type PathMatch =
  | { readonly kind: 'exact'; readonly path: string; readonly ignoreCase: boolean }
  | { readonly kind: 'prefix'; readonly prefix: string; readonly ignoreCase: boolean }
  | { readonly kind: 'separatedPrefix'; readonly prefix: string; readonly ignoreCase: boolean }
  | { readonly kind: 'regex'; readonly test: (path: string) => boolean }
  | { readonly kind: 'connect' };

export function compilePathMatch(match: RouteMatch, scope: ProblemScope): PathMatch {
  const ignoreCase = match.caseSensitive === false;
  const fold = (text: string): string => (ignoreCase ? text.toLowerCase() : text);
  if (match.path !== undefined) return { kind: 'exact', path: fold(match.path), ignoreCase };
  if (match.prefix !== undefined) return { kind: 'prefix', prefix: fold(match.prefix), ignoreCase };
  if (match.pathSeparatedPrefix !== undefined) {
    const prefix = match.pathSeparatedPrefix;
    if (!/^[^?#]+[^?#/]$/.test(prefix)) {
      scope.at('path_separated_prefix').error(`"${prefix}" must have a name, no trailing slash, ? or #`);
    }
    return { kind: 'separatedPrefix', prefix: fold(prefix), ignoreCase };
  }
  if (match.safeRegex !== undefined) {
    return { kind: 'regex', test: compileRegex(match.safeRegex, scope.at('safe_regex')) };
  }
  if (match.connectMatcher !== undefined) return { kind: 'connect' };
  scope.error('must have one of prefix, path, path_separated_prefix, safe_regex, connect_matcher');
  return { kind: 'exact', path: '', ignoreCase: false };
}

/** The plain reading, which the index is tested against. A CONNECT request has no path. */
export function pathMatches(match: PathMatch, method: string, path: string): boolean {
  if (match.kind === 'connect') return method === 'CONNECT';
  if (match.kind === 'regex') return match.test(path);
  const subject = match.ignoreCase ? path.toLowerCase() : path;
  if (match.kind === 'exact') return subject === match.path;
  if (!subject.startsWith(match.prefix)) return false;
  return (
    match.kind === 'prefix' ||
    subject.length === match.prefix.length ||
    subject.charAt(match.prefix.length) === '/'
  );
}
