/** What the forward proxy does with CONNECT: a tunnel to a service, onward through its proxies, or anywhere at all. */
import type { DirectResponseAction, Init, Route, RouteAction, VirtualHost } from '@sluice/xds';
import type { ConnectTarget } from './connection-routes.ts';
import { passthroughCluster } from './names.ts';
import { refusal, unmatchedHost } from './virtual-hosts.ts';

/** What a CONNECT gets where only a tunnel of POST leads. */
const postRefusal: Init<DirectResponseAction> = {
  status: 501,
  body: {
    inlineString:
      'A DestinationRule leads here by a tunnel of POST, which carries no CONNECT: connect to the address of the service, or let the tunnel use CONNECT.\n',
  },
};

/** Hosts that no service has, asked of the forward proxy: its filter finds and judges their address. */
export function unknownProxyHost(policy: 'ALLOW_ANY' | 'REGISTRY_ONLY'): Init<VirtualHost> {
  const host = unmatchedHost(policy);
  const connect: Init<Route> =
    policy === 'ALLOW_ANY'
      ? { route: tunnelTo(new Map([[passthroughCluster, 1]])) }
      : { directResponse: refusal };
  const name = host.name ?? '';
  return { ...host, routes: [{ name, match: { connectMatcher: {} }, ...connect }, ...(host.routes ?? [])] };
}

/**
 * CONNECT to a service's port through the forward proxy: a tunnel to its cluster, or in shares to several. Where the
 * endpoints are proxies themselves (DestinationRule `tunnel`) they get the CONNECT, for the destination behind them.
 */
export function connectRoute({ clusters, tunnel }: ConnectTarget): Init<Route> {
  const match = { name: 'connect', match: { connectMatcher: {} } };
  if (tunnel === undefined) return { ...match, route: tunnelTo(clusters) };
  // A client of CONNECT waits for the proxy's answer, which a POST gives only to its own body's sender.
  if (tunnel.usePost === true) return { ...match, directResponse: postRefusal };
  const route = { ...tunnelTo(clusters), hostRewriteLiteral: tunnel.hostname ?? '' };
  return { ...match, route: { ...route, upgradeConfigs: [{ upgradeType: 'CONNECT' }] } };
}

function tunnelTo(clusters: ReadonlyMap<string, number>): Init<RouteAction> {
  const [only = '', ...others] = clusters.keys();
  const weighted = [...clusters].map(([name, weight]) => ({ name, weight }));
  return {
    ...(others.length === 0 ? { cluster: only } : { weightedClusters: { clusters: weighted } }),
    timeout: 0,
    upgradeConfigs: [{ upgradeType: 'CONNECT', connectConfig: {} }],
  };
}
