/** The resource types of xDS, and what the protocol says of each. */
import { anyTypePrefix } from '../proto/values.ts';

export const xdsTypes = {
  cluster: `${anyTypePrefix}envoy.config.cluster.v3.Cluster`,
  endpoint: `${anyTypePrefix}envoy.config.endpoint.v3.ClusterLoadAssignment`,
  listener: `${anyTypePrefix}envoy.config.listener.v3.Listener`,
  route: `${anyTypePrefix}envoy.config.route.v3.RouteConfiguration`,
  virtualHost: `${anyTypePrefix}envoy.config.route.v3.VirtualHost`,
  secret: `${anyTypePrefix}envoy.extensions.transport_sockets.tls.v3.Secret`,
} as const;

/** A subscription to everything of a type. */
export const wildcard = '*';

/**
 * Additions travel in this order, so that nothing arrives before what it names; removals travel against it.
 * Types that are not listed (secrets) depend on nobody's order.
 */
export const additionOrder: readonly string[] = [
  xdsTypes.cluster,
  xdsTypes.endpoint,
  xdsTypes.listener,
  xdsTypes.route,
  xdsTypes.virtualHost,
];

/** Types whose state-of-the-world responses are complete: what is absent from one does not exist. */
export function isFullState(typeUrl: string): boolean {
  return typeUrl === xdsTypes.cluster || typeUrl === xdsTypes.listener;
}

/** Only these may be subscribed to by naming nothing. */
export function allowsWildcard(typeUrl: string): boolean {
  return isFullState(typeUrl);
}

/** A subscription to a route table's name covers all its virtual hosts, named `table/host`. */
export function coversChildren(typeUrl: string): boolean {
  return typeUrl === xdsTypes.virtualHost;
}

/** Name of the set that a resource belongs to: what stands before the first slash. */
export function parentName(name: string): string | undefined {
  const slash = name.indexOf('/');
  return slash < 0 ? undefined : name.slice(0, slash);
}
