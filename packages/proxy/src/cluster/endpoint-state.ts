/**
 * An endpoint's living part. Kept over EDS updates as long as its address stays in the cluster, so that
 * pools, counters and "has just refused" survive; only what configuration says of it changes.
 */
import type { Endpoint, EndpointHealth, EndpointPool, EndpointStats, Locality } from './cluster.ts';

/** What configuration says of an endpoint. */
export interface EndpointSpec {
  readonly address: string;
  readonly port: number;
  readonly hostname: string;
  readonly weight: number;
  readonly priority: number;
  readonly locality: Locality;
  readonly health: EndpointHealth;
  readonly metadata: Readonly<Record<string, unknown>> | null;
}

export class EndpointState implements Endpoint {
  readonly cluster: string;
  readonly address: string;
  readonly port: number;
  readonly label: string;
  hostname: string;
  weight: number;
  priority: number;
  locality: Locality;
  health: EndpointHealth;
  metadata: Readonly<Record<string, unknown>> | null;
  activeRequests = 0;
  avoidUntilMs = 0;
  /** When an ORIGINAL_DST endpoint was last chosen; monotonic ms. */
  usedMs = 0;
  pool: EndpointPool | null = null;
  readonly stats: EndpointStats = {
    requests: 0,
    errors: 0,
    successes: 0,
    timeouts: 0,
    connections: 0,
    connectFailures: 0,
    activeConnections: 0,
  };

  constructor(cluster: string, spec: EndpointSpec) {
    this.cluster = cluster;
    this.address = spec.address;
    this.port = spec.port;
    this.label = endpointLabel(spec.address, spec.port);
    this.hostname = spec.hostname;
    this.weight = spec.weight;
    this.priority = spec.priority;
    this.locality = spec.locality;
    this.health = spec.health;
    this.metadata = spec.metadata;
  }

  /** True when something that balancing looks at has changed. */
  update(spec: EndpointSpec): boolean {
    const isChanged =
      this.weight !== spec.weight ||
      this.priority !== spec.priority ||
      this.health !== spec.health ||
      this.locality.region !== spec.locality.region ||
      this.locality.zone !== spec.locality.zone ||
      this.locality.subZone !== spec.locality.subZone;
    this.hostname = spec.hostname;
    this.weight = spec.weight;
    this.priority = spec.priority;
    this.locality = spec.locality;
    this.health = spec.health;
    this.metadata = spec.metadata;
    return isChanged;
  }
}

/** As in `%UPSTREAM_HOST%`: `10.0.0.1:80`, `[::1]:80`, or the path of a Unix socket. */
export function endpointLabel(address: string, port: number): string {
  if (port === 0) return address;
  return address.includes(':') ? `[${address}]:${port}` : `${address}:${port}`;
}
