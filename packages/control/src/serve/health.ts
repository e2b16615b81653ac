/** Health endpoints as Kubernetes' own servers have them. */

/** What is not ready yet, in words; empty when everything is. */
export type Readiness = () => readonly string[];

/** The reply of `/livez`, `/healthz` and `/readyz`, null for other paths. They tell nothing and need no token. */
export function healthReply(pathname: string, readiness: Readiness): Response | null {
  switch (pathname) {
    case '/livez':
    case '/healthz':
      return new Response('ok\n');
    case '/readyz': {
      const missing = readiness();
      return missing.length === 0
        ? new Response('ok\n')
        : new Response(`${missing.join('\n')}\n`, { status: 503 });
    }
    default:
      return null;
  }
}
