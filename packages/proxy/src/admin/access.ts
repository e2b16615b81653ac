/**
 * Who may talk to admin (design §6, Trust).
 *
 * Threat: a web page that the operator visits could make the browser send requests to loopback, or
 * rebind its own host name to 127.0.0.1 and read the answers. So the Host must be one of ours, a
 * foreign Origin is refused, and nothing changes by GET.
 */
export interface AccessPolicy {
  /** Host names and addresses that this server answers to, lower case, without port. */
  readonly hosts: ReadonlySet<string>;
  /** A Unix socket with mode 0600: no browser reaches it, and the Host means nothing. */
  readonly isUnixSocket: boolean;
}

const LOOPBACK_HOSTS = ['localhost', '127.0.0.1', '[::1]'];

export function accessPolicy(address: string, isUnixSocket: boolean): AccessPolicy {
  const lower = address.toLowerCase();
  const own = lower.includes(':') && !lower.startsWith('[') ? `[${lower}]` : lower;
  return { hosts: new Set([...LOOPBACK_HOSTS, own]), isUnixSocket };
}

export interface RequestOrigin {
  readonly host: string | null;
  readonly origin: string | null;
  readonly fetchSite: string | null;
}

/** Words for a 403, or null when the request may go on. */
export function refusal(request: RequestOrigin, policy: AccessPolicy): string | null {
  if (policy.isUnixSocket) return null;
  const { host, origin, fetchSite } = request;
  if (host === null || !policy.hosts.has(withoutPort(host))) {
    return 'The Host header names none of the addresses of this admin server.';
  }
  if (fetchSite !== null && fetchSite !== 'same-origin' && fetchSite !== 'none') {
    return 'Requests from other sites are refused.';
  }
  if (origin !== null && !isSameOrigin(origin, host)) return 'Requests of a foreign origin are refused.';
  return null;
}

function isSameOrigin(origin: string, host: string): boolean {
  return origin.toLowerCase() === `http://${host.toLowerCase()}`;
}

function withoutPort(host: string): string {
  return host.toLowerCase().replace(/:\d+$/, '');
}
