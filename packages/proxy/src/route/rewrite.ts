/** Path and host rewrites of routes and redirects. */
import type { RouteAction as RouteActionMessage } from '@sluice/xds';
import type { ProblemScope } from '../config/problems.ts';
import type { PathMatch } from './path-match.ts';
import { compileSubstitution } from './regex.ts';
import type { HostRewrite, PathRewrite } from './route.ts';

/**
 * Replaces what the route matched: the prefix of a prefix match, the whole path of an exact or regex
 * match (Envoy replaces exactly the matched part).
 */
export function prefixRewrite(match: PathMatch, replacement: string): PathRewrite {
  if (match.kind === 'prefix' || match.kind === 'separatedPrefix') {
    return { kind: 'prefix', matchedLength: match.prefix.length, replacement };
  }
  return { kind: 'full', path: replacement };
}

export function compilePathRewrite(
  action: RouteActionMessage,
  match: PathMatch,
  scope: ProblemScope,
): PathRewrite | null {
  const { prefixRewrite: replacement, regexRewrite } = action;
  if (replacement !== '' && regexRewrite !== undefined)
    scope.error('sets both prefix_rewrite and regex_rewrite');
  if (replacement !== '') return prefixRewrite(match, replacement);
  if (regexRewrite === undefined) return null;
  return { kind: 'regex', apply: compileSubstitution(regexRewrite, scope.at('regex_rewrite')) };
}

export function compileHostRewrite(action: RouteActionMessage, scope: ProblemScope): HostRewrite | null {
  if (action.hostRewriteLiteral !== undefined) return { kind: 'literal', host: action.hostRewriteLiteral };
  if (action.autoHostRewrite === true) return { kind: 'auto' };
  if (action.hostRewriteHeader !== undefined)
    return { kind: 'header', header: action.hostRewriteHeader.toLowerCase() };
  if (action.hostRewritePathRegex === undefined) return null;
  const apply = compileSubstitution(action.hostRewritePathRegex, scope.at('host_rewrite_path_regex'));
  return { kind: 'pathRegex', apply };
}
