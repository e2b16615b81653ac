/** Routes that the proxy answers itself: redirects and direct responses. */
import type {
  DataSource,
  DirectResponseAction as DirectMessage,
  RedirectAction as RedirectMessage,
} from '@sluice/xds';
import type { ProblemScope } from '../config/problems.ts';
import type { PathMatch } from './path-match.ts';
import { compileSubstitution } from './regex.ts';
import { prefixRewrite } from './rewrite.ts';
import type { DirectResponseAction, PathRewrite, RedirectAction } from './route.ts';

const statusOf = {
  MOVED_PERMANENTLY: 301,
  FOUND: 302,
  SEE_OTHER: 303,
  TEMPORARY_REDIRECT: 307,
  PERMANENT_REDIRECT: 308,
} as const;

export function compileRedirect(
  action: RedirectMessage,
  match: PathMatch,
  scope: ProblemScope,
): RedirectAction {
  return {
    kind: 'redirect',
    status: statusOf[action.responseCode],
    scheme: action.schemeRedirect ?? null,
    httpsRedirect: action.httpsRedirect ?? false,
    host: action.hostRedirect === '' ? null : action.hostRedirect,
    port: action.portRedirect === 0 ? null : action.portRedirect,
    rewrite: redirectRewrite(action, match, scope),
    stripQuery: action.stripQuery,
  };
}

function redirectRewrite(action: RedirectMessage, match: PathMatch, scope: ProblemScope): PathRewrite | null {
  if (action.pathRedirect !== undefined && action.pathRedirect !== '')
    return { kind: 'full', path: action.pathRedirect };
  if (action.prefixRewrite !== undefined && action.prefixRewrite !== '')
    return prefixRewrite(match, action.prefixRewrite);
  if (action.regexRewrite === undefined) return null;
  return { kind: 'regex', apply: compileSubstitution(action.regexRewrite, scope.at('regex_rewrite')) };
}

export function compileDirectResponse(
  action: DirectMessage,
  maxBodyBytes: number,
  scope: ProblemScope,
): DirectResponseAction {
  if (action.status < 200 || action.status > 599) scope.at('status').error('must be between 200 and 599');
  const body = action.body === undefined ? null : inlineBytes(action.body, scope.at('body'));
  if (body !== null && body.length > maxBodyBytes) {
    scope
      .at('body')
      .error(`holds ${body.length} bytes; max_direct_response_body_size_bytes is ${maxBodyBytes}`);
  }
  return { kind: 'direct', status: action.status, body };
}

/** Files and environment variables stay out: configuration from afar must not read this machine. */
export function inlineBytes(source: DataSource, scope: ProblemScope): Uint8Array | null {
  if (source.inlineBytes !== undefined) return source.inlineBytes;
  if (source.inlineString !== undefined) return new TextEncoder().encode(source.inlineString);
  if (source.filename !== undefined) scope.unhonoured('filename', 'only inline data is read');
  else if (source.environmentVariable !== undefined)
    scope.unhonoured('environment_variable', 'only inline data is read');
  else scope.error('must hold inline_string or inline_bytes');
  return null;
}
