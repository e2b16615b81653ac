/**
 * `cluster.<name>.grpc.[<service>.<method>.]*` under Envoy's names, in Prometheus with its `grpc_bridge`
 * labels. Methods may be names that clients invent, so their number is bounded: beyond it they share one
 * series, and series that saw no call for an hour go.
 */
import type { Counter, Histogram, MetricsRegistry } from '@sluice/runtime';
import type { GrpcCallStats } from '../../cluster/cluster.ts';
import { DURATION_BOUNDS_MS } from './stat-set.ts';

export const GRPC_STAT_PREFIX = 'envoy_cluster_grpc_';
export const GRPC_SERVICE_LABEL = 'envoy_grpc_bridge_service';
export const GRPC_METHOD_LABEL = 'envoy_grpc_bridge_method';
const LABELS = [GRPC_METHOD_LABEL, GRPC_SERVICE_LABEL, 'envoy_cluster_name'];

/** Methods per cluster that are kept bound; further ones are looked up for each call. */
const MAX_BOUND = 256;
const limits = { maxSeries: 1_000, ttlMs: 60 * 60 * 1000 };

const help = {
  total: 'gRPC calls that ended with a status.',
  success: 'gRPC calls that ended with status 0.',
  failure: 'gRPC calls that ended with another status.',
  request_message_count: 'gRPC messages sent by clients.',
  response_message_count: 'gRPC messages sent by servers.',
} as const;

/** Statuses with a counter of their own; other numbers are a server's to invent. */
const LAST_STATUS = 16;

export class ClusterGrpcStats {
  readonly #registry: MetricsRegistry;
  readonly #label: string;
  readonly #bound = new Map<string, BoundCallStats>();

  constructor(registry: MetricsRegistry, label: string) {
    this.#registry = registry;
    this.#label = label;
  }

  of(service: string, method: string): GrpcCallStats {
    const key = service === '' ? '' : `${service}/${method}`;
    let bound = this.#bound.get(key);
    if (bound === undefined) {
      bound = new BoundCallStats(this.#registry, [method, service, this.#label]);
      if (this.#bound.size < MAX_BOUND) this.#bound.set(key, bound);
    }
    return bound;
  }
}

class BoundCallStats implements GrpcCallStats {
  readonly #registry: MetricsRegistry;
  readonly #labels: readonly string[];
  readonly #byStatus: (Counter | undefined)[] = [];
  #total: Counter | null = null;
  #success: Counter | null = null;
  #failure: Counter | null = null;
  #requestMessages: Counter | null = null;
  #responseMessages: Counter | null = null;
  #upstreamTime: Histogram | null = null;

  constructor(registry: MetricsRegistry, labels: readonly string[]) {
    this.#registry = registry;
    this.#labels = labels;
  }

  requestMessages(count: number): void {
    (this.#requestMessages ??= this.#counter('request_message_count')).inc(count);
  }

  responseMessages(count: number): void {
    (this.#responseMessages ??= this.#counter('response_message_count')).inc(count);
  }

  ended(status: number): void {
    (this.#total ??= this.#counter('total')).inc();
    if (status === 0) (this.#success ??= this.#counter('success')).inc();
    else (this.#failure ??= this.#counter('failure')).inc();
    if (status <= LAST_STATUS) (this.#byStatus[status] ??= this.#statusCounter(status)).inc();
  }

  upstreamTime(durationMs: number): void {
    this.#upstreamTime ??= this.#registry
      .family(
        'histogram',
        `${GRPC_STAT_PREFIX}upstream_rq_time`,
        'Milliseconds from the end of a request to the end of its response.',
        LABELS,
        { ...limits, boundaries: DURATION_BOUNDS_MS },
      )
      .labels(this.#labels);
    this.#upstreamTime.observe(durationMs);
  }

  #counter(name: keyof typeof help): Counter {
    return this.#registry
      .family('counter', `${GRPC_STAT_PREFIX}${name}`, help[name], LABELS, limits)
      .labels(this.#labels);
  }

  #statusCounter(status: number): Counter {
    return this.#registry
      .family(
        'counter',
        `${GRPC_STAT_PREFIX}${status}`,
        `gRPC calls that ended with status ${status}.`,
        LABELS,
        limits,
      )
      .labels(this.#labels);
  }
}
