/**
 * Clusters, endpoints and limits as the data path sees them.
 *
 * The configuration side builds and replaces these objects; the data path picks endpoints, opens
 * connections through the pool kept in `Endpoint.pool`, and reports outcomes. A cluster that is
 * removed stays usable for the exchanges that hold it and is freed after the last of them.
 */
import type { HeaderList } from '@sluice/wire';
import type { H2Settings } from '../http/h2-settings.ts';
import type { H2CodecStats } from '../http/h2-codec-stats.ts';
import type { TcpKeepalive } from '../io/keepalive.ts';
import type { UpstreamTransport } from '../tls/transport.ts';
import type { TlsNames } from '../upstream/tls-names.ts';
import type { UpstreamProtocol } from './upstream-protocol.ts';
import type { ServiceIdentity } from './service-identity.ts';

export type ClusterType = 'STATIC' | 'EDS' | 'STRICT_DNS' | 'LOGICAL_DNS' | 'ORIGINAL_DST';

export interface Cluster {
  readonly name: string;
  /** Name in statistics (`alt_stat_name` with its trailing `;` removed), else the name. */
  readonly statName: string;
  readonly type: ClusterType;
  readonly version: string;
  readonly connectTimeoutMs: number;
  /** 0 = unlimited. */
  readonly maxRequestsPerConnection: number;
  readonly poolIdleTimeoutMs: number;
  /** 0 = none. */
  readonly maxConnectionDurationMs: number;
  /** Bytes that may wait for one upstream connection (per_connection_buffer_limit_bytes). */
  readonly bufferLimitBytes: number;
  readonly protocol: UpstreamProtocol;
  readonly http2: H2Settings;
  /** Null = TLS takes no name from requests. */
  readonly tlsNames: TlsNames | null;
  readonly sourceAddress: string | null;
  readonly keepalive: TcpKeepalive | null;
  readonly origin: string | null;
  /** The service it stands for, as its metadata says; null = by its name. */
  readonly service: ServiceIdentity | null;
  readonly limits: PriorityLimits;
  readonly highPriorityLimits: PriorityLimits;
  /** False until the first endpoints, or the first DNS answer, have arrived. */
  readonly isWarm: boolean;
  /** Chooses an endpoint for one attempt, or null when none may take it. */
  pick(context: PickContext): Endpoint | null;
  /** Endpoint for an explicit address (ORIGINAL_DST and pass-through); created on demand, bounded. */
  endpointFor(address: string, port: number): Endpoint | null;
  readonly endpoints: readonly Endpoint[];
  /** How this endpoint is reached: by `transport_socket_matches`, else the cluster's own. Asked per connection. */
  transportFor(endpoint: Endpoint): UpstreamTransport;
  /** Opaque to the configuration side: bound counters, set by telemetry when the cluster is compiled. */
  stats: ClusterStats;
}

/** What a balancer may look at. One reusable object per exchange. */
export interface PickContext {
  /** Endpoints already tried by this exchange; a balancer avoids them while others remain. */
  tried: Endpoint[];
  avoidTried: boolean;
  selectionAttempts: number;
  headers: HeaderList | null;
  /** Lazily computed by hash balancers; 0 = none. */
  hash: number;
  originalAddress: string | null;
  originalPort: number;
  random: () => number;
}

export interface Endpoint {
  readonly cluster: string;
  /** IP address, host name not yet resolved never appears here; or a Unix socket path. */
  readonly address: string;
  /** 0 for a Unix socket. */
  readonly port: number;
  /** `address:port` as in `%UPSTREAM_HOST%`; also the key in /clusters. */
  readonly label: string;
  readonly hostname: string;
  readonly weight: number;
  readonly priority: number;
  readonly locality: Locality;
  /** From EDS: HEALTHY and UNKNOWN take traffic, DEGRADED when nothing better, the rest none. */
  health: EndpointHealth;
  readonly metadata: Readonly<Record<string, unknown>> | null;
  /** Live numbers that balancers read. */
  activeRequests: number;
  /** Monotonic ms until which a refused connection keeps this endpoint at the end of the line; 0 = fine. */
  avoidUntilMs: number;
  /** Connection pool of the data path; the configuration side never touches it but to drain it. */
  pool: EndpointPool | null;
  readonly stats: EndpointStats;
}

/** All that the configuration side may do with a pool. */
export interface EndpointPool {
  /** Closes idle connections now and busy ones after their request. */
  drain(): void;
  /** Likewise those whose transport is no longer what the cluster asks for: a certificate was renewed. */
  retireOutdated(): void;
}

export type EndpointHealth = 'UNKNOWN' | 'HEALTHY' | 'UNHEALTHY' | 'DRAINING' | 'TIMEOUT' | 'DEGRADED';

export interface Locality {
  readonly region: string;
  readonly zone: string;
  readonly subZone: string;
}

export interface EndpointStats {
  requests: number;
  errors: number;
  successes: number;
  timeouts: number;
  connections: number;
  connectFailures: number;
  activeConnections: number;
}

/**
 * Circuit breaker of one priority. Counts are process-wide: implementations keep them in shared
 * memory, so `tryAcquire` is an atomic add and `release` its opposite.
 */
export interface PriorityLimits {
  readonly connections: Limit;
  readonly pendingRequests: Limit;
  readonly requests: Limit;
  readonly retries: RetryBudget;
}

export interface Limit {
  readonly max: number;
  readonly current: number;
  /** False (and counted as overflow by the caller) when the limit is reached. */
  tryAcquire(): boolean;
  /** Beyond the limit, too: for what others must not keep from happening. */
  acquire(): void;
  release(): void;
}

export interface RetryBudget extends Limit {
  /** True when the budget is a share of active requests, not a fixed number. */
  readonly isRatio: boolean;
}

/** Bound counters of one cluster (Envoy's `cluster.<name>.*`); telemetry implements it. */
export interface GrpcCallStats {
  requestMessages(count: number): void;
  responseMessages(count: number): void;
  /** With the `grpc-status` that came. */
  ended(status: number): void;
  upstreamTime(durationMs: number): void;
}

export interface ClusterStats {
  requestStarted(): void;
  requestEnded(status: number, durationMs: number): void;
  requestRetried(succeeded: boolean): void;
  retryLimitExceeded(): void;
  retryOverflow(): void;
  requestTimeout(): void;
  perTryTimeout(): void;
  pendingOverflow(): void;
  requestCancelled(): void;
  noHealthyEndpoint(): void;
  connectionOpened(): void;
  /** Which HTTP an open connection turned out to speak. */
  connectionSpeaks(protocol: 'h1' | 'h2'): void;
  connectionClosed(byRemote: boolean): void;
  connectFailed(): void;
  connectTimeout(): void;
  connectionOverflow(): void;
  bytesSent(count: number): void;
  bytesReceived(count: number): void;
  /** Of calls of one method; both names empty: of all methods that are not told apart. */
  grpc(service: string, method: string): GrpcCallStats;
  readonly http2: H2CodecStats;
}
