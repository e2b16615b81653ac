/** Path and host as the route wants them upstream, and where a redirect points. */
import { H, type HeaderList } from '@sluice/wire';
import type { HostRewrite, PathRewrite, RedirectAction } from '../../route/route.ts';
import type { RequestMessage } from '../../http/streams.ts';

/** The query stays, unless a full replacement brings its own. */
export function rewritePath(path: string, rewrite: PathRewrite): string {
  const queryAt = path.indexOf('?');
  const bare = queryAt < 0 ? path : path.slice(0, queryAt);
  const query = queryAt < 0 ? '' : path.slice(queryAt);
  switch (rewrite.kind) {
    case 'prefix':
      return withSlash(rewrite.replacement + bare.slice(rewrite.matchedLength)) + query;
    case 'full':
      return rewrite.path.includes('?') ? rewrite.path : rewrite.path + query;
    case 'regex':
      return withSlash(rewrite.apply(bare)) + query;
  }
}

/** Null: the host stays. `auto` is decided per endpoint, by the attempt. */
export function rewrittenHost(rewrite: HostRewrite, headers: HeaderList, path: string): string | null {
  switch (rewrite.kind) {
    case 'literal':
      return rewrite.host;
    case 'header': {
      const value = headers.getByName(rewrite.header);
      return value === undefined || value === '' ? null : value;
    }
    case 'pathRegex': {
      const queryAt = path.indexOf('?');
      return rewrite.apply(queryAt < 0 ? path : path.slice(0, queryAt));
    }
    case 'auto':
      return null;
  }
}

export function setHost(message: RequestMessage, host: string): void {
  if (message.headers.set(H.host, host)) message.authority = host;
}

/** The Location of a redirect; `path` is the request's, with query. */
export function redirectLocation(action: RedirectAction, message: RequestMessage, path: string): string {
  const scheme = action.httpsRedirect ? 'https' : (action.scheme ?? message.scheme);
  const [ownHost, ownPort] = splitPort(message.authority);
  const host = action.host ?? ownHost;
  let port = '';
  if (action.port !== null) port = `:${action.port}`;
  else if (action.host === null && ownPort !== '' && !isDefaultPort(message.scheme, ownPort, scheme))
    port = `:${ownPort}`;
  let target = action.rewrite === null ? path : rewritePath(path, action.rewrite);
  if (action.stripQuery) {
    const queryAt = target.indexOf('?');
    if (queryAt >= 0) target = target.slice(0, queryAt);
  }
  return `${scheme}://${host}${port}${target}`;
}

/** A default port of the old scheme is dropped when the scheme changes, as Envoy does. */
function isDefaultPort(oldScheme: string, port: string, newScheme: string): boolean {
  if (oldScheme === newScheme) return false;
  return (oldScheme === 'http' && port === '80') || (oldScheme === 'https' && port === '443');
}

function splitPort(authority: string): [string, string] {
  const at = authority.lastIndexOf(':');
  if (at < 0 || authority.indexOf(']', at) >= 0) return [authority, ''];
  const port = authority.slice(at + 1);
  return /^\d+$/.test(port) ? [authority.slice(0, at), port] : [authority, ''];
}

function withSlash(path: string): string {
  return path.startsWith('/') ? path : `/${path}`;
}
