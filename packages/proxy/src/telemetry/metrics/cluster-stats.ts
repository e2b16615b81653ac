/**
 * `cluster.<name>.*` under Envoy's names, for one cluster in one loop.
 */
import type { Counter, Gauge, Histogram, MetricsRegistry } from '@sluice/runtime';
import type { ClusterStats, GrpcCallStats } from '../../cluster/cluster.ts';
import type { H2CodecStats } from '../../http/h2-codec-stats.ts';
import { ClusterGrpcStats } from './grpc-call-stats.ts';
import { clusterHttp2Stats } from './http2-stats.ts';
import {
  CodeCounters,
  codeFamilies,
  perRegistry,
  StatFamilies,
  statLabel,
  type StatDefinition,
} from './stat-set.ts';

const counter = (name: string, help: string): StatDefinition => ({ name, type: 'counter', help });
const gauge = (name: string, help: string): StatDefinition => ({ name, type: 'gauge', help });
const histogram = (name: string, help: string): StatDefinition => ({ name, type: 'histogram', help });

const DEFINITIONS = {
  requests: counter('upstream_rq_total', 'Attempts sent to the cluster.'),
  active: gauge('upstream_rq_active', 'Attempts in progress.'),
  completed: counter('upstream_rq_completed', 'Attempts that got a response.'),
  time: histogram('upstream_rq_time', 'Milliseconds from the attempt to the end of its response.'),
  retries: counter('upstream_rq_retry', 'Retries.'),
  retrySuccess: counter('upstream_rq_retry_success', 'Retries that succeeded.'),
  retryLimit: counter(
    'upstream_rq_retry_limit_exceeded',
    'Requests not retried because of their number of retries.',
  ),
  retryOverflow: counter(
    'upstream_rq_retry_overflow',
    'Requests not retried because of the retry budget or circuit breaker.',
  ),
  timeout: counter('upstream_rq_timeout', 'Requests that timed out.'),
  perTryTimeout: counter('upstream_rq_per_try_timeout', 'Attempts that timed out.'),
  pendingOverflow: counter('upstream_rq_pending_overflow', 'Requests refused by the circuit breaker.'),
  cancelled: counter('upstream_rq_cancelled', 'Requests given up before they got a connection.'),
  noneHealthy: counter('upstream_cx_none_healthy', 'Requests that found no healthy endpoint.'),
  connections: counter('upstream_cx_total', 'Connections begun, those that failed included.'),
  http1Connections: counter('upstream_cx_http1_total', 'Connections opened that speak HTTP/1.1.'),
  http2Connections: counter('upstream_cx_http2_total', 'Connections opened that speak HTTP/2.'),
  activeConnections: gauge('upstream_cx_active', 'Open connections.'),
  closed: counter('upstream_cx_destroy', 'Connections closed.'),
  closedByRemote: counter('upstream_cx_destroy_remote', 'Connections closed by the upstream.'),
  closedLocally: counter('upstream_cx_destroy_local', 'Connections closed by the proxy.'),
  connectFail: counter('upstream_cx_connect_fail', 'Connection attempts that failed.'),
  connectTimeout: counter('upstream_cx_connect_timeout', 'Connection attempts that timed out.'),
  overflow: counter('upstream_cx_overflow', 'Times that the connection circuit breaker was open.'),
  sent: counter('upstream_cx_tx_bytes_total', 'Bytes sent to the upstream.'),
  received: counter('upstream_cx_rx_bytes_total', 'Bytes received from the upstream.'),
} as const satisfies Record<string, StatDefinition>;

type Name = keyof typeof DEFINITIONS;

const LABEL = 'envoy_cluster_name';
const familiesOf = perRegistry((registry) => ({
  stats: new StatFamilies<Name>(registry, 'envoy_cluster_', LABEL, DEFINITIONS),
  codes: codeFamilies(registry, 'envoy_cluster_upstream_rq', LABEL, true),
}));

/** `statName`: the cluster's name in statistics. */
export function createClusterStats(registry: MetricsRegistry, statName: string): ClusterStats {
  return new BoundClusterStats(registry, statLabel(statName));
}

class BoundClusterStats implements ClusterStats {
  readonly #families: StatFamilies<Name>;
  readonly #label: string;
  readonly #codes: CodeCounters;
  // The ones of every request have a field of their own; the rest share a map.
  #requests: Counter | null = null;
  #active: Gauge | null = null;
  #completed: Counter | null = null;
  #time: Histogram | null = null;
  #sent: Counter | null = null;
  #received: Counter | null = null;
  readonly #rare = new Map<Name, Counter>();
  readonly #registry: MetricsRegistry;
  #grpc: ClusterGrpcStats | null = null;
  #activeConnections: Gauge | null = null;
  readonly http2: H2CodecStats;

  constructor(registry: MetricsRegistry, label: string) {
    const { stats, codes } = familiesOf(registry);
    this.#families = stats;
    this.#label = label;
    this.#registry = registry;
    this.#codes = new CodeCounters(codes, label);
    this.http2 = clusterHttp2Stats(registry, label);
  }

  requestStarted(): void {
    (this.#requests ??= this.#families.counter('requests', this.#label)).inc();
    (this.#active ??= this.#families.gauge('active', this.#label)).add(1);
  }

  requestEnded(status: number, durationMs: number): void {
    (this.#active ??= this.#families.gauge('active', this.#label)).add(-1);
    if (status <= 0) return;
    (this.#completed ??= this.#families.counter('completed', this.#label)).inc();
    (this.#time ??= this.#families.histogram('time', this.#label)).observe(durationMs);
    this.#codes.count(status);
  }

  /** Once per retry, when its outcome is known. */
  requestRetried(succeeded: boolean): void {
    this.#count('retries');
    if (succeeded) this.#count('retrySuccess');
  }

  retryLimitExceeded(): void {
    this.#count('retryLimit');
  }

  retryOverflow(): void {
    this.#count('retryOverflow');
  }

  requestTimeout(): void {
    this.#count('timeout');
  }

  perTryTimeout(): void {
    this.#count('perTryTimeout');
  }

  pendingOverflow(): void {
    this.#count('pendingOverflow');
  }

  requestCancelled(): void {
    this.#count('cancelled');
  }

  noHealthyEndpoint(): void {
    this.#count('noneHealthy');
  }

  connectionOpened(): void {
    this.#count('connections');
    (this.#activeConnections ??= this.#families.gauge('activeConnections', this.#label)).add(1);
  }

  connectionSpeaks(protocol: 'h1' | 'h2'): void {
    this.#count(protocol === 'h2' ? 'http2Connections' : 'http1Connections');
  }

  connectionClosed(byRemote: boolean): void {
    this.#count('closed');
    this.#count(byRemote ? 'closedByRemote' : 'closedLocally');
    (this.#activeConnections ??= this.#families.gauge('activeConnections', this.#label)).add(-1);
  }

  /** Envoy's total counts every attempt, whether or not the connection came to stand. */
  connectFailed(): void {
    this.#count('connections');
    this.#count('connectFail');
  }

  connectTimeout(): void {
    this.#count('connectTimeout');
  }

  connectionOverflow(): void {
    this.#count('overflow');
  }

  bytesSent(count: number): void {
    (this.#sent ??= this.#families.counter('sent', this.#label)).inc(count);
  }

  bytesReceived(count: number): void {
    (this.#received ??= this.#families.counter('received', this.#label)).inc(count);
  }

  grpc(service: string, method: string): GrpcCallStats {
    return (this.#grpc ??= new ClusterGrpcStats(this.#registry, this.#label)).of(service, method);
  }

  #count(name: Name): void {
    let bound = this.#rare.get(name);
    if (bound === undefined) {
      bound = this.#families.counter(name, this.#label);
      this.#rare.set(name, bound);
    }
    bound.inc();
  }
}
