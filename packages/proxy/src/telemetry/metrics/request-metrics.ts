/**
 * What an exchange tells metrics, bound once per listener chain: the connection manager's own counters
 * and Istio's standard metrics. Everything at the end happens after the response has been sent.
 */
import type { MetricsRegistry } from '@sluice/runtime';
import type { RequestMetrics, RequestRecord } from '../record.ts';
import type { SpanSink } from '../trace-context.ts';
import { IstioHttpMetrics } from './istio-http.ts';
import type { PeerOptions, PeerResolver } from './istio-peers.ts';
import { ManagerRequestStats } from './manager-requests.ts';
import type { WorkloadIdentity } from './workload-identity.ts';

export interface RequestMetricsOptions extends PeerResolver {
  readonly statPrefix: string;
  readonly trafficDirection: 'UNSPECIFIED' | 'INBOUND' | 'OUTBOUND';
  readonly own: WorkloadIdentity;
  /** Null: spans are not exported. */
  readonly spans: SpanSink | null;
}

export function createRequestMetrics(
  registry: MetricsRegistry,
  options: RequestMetricsOptions,
): RequestMetrics {
  const manager = new ManagerRequestStats(registry, options.statPrefix);
  const istio = new IstioHttpMetrics(registry, peerOptions(options));
  const { spans } = options;
  return {
    onRequestStart(record: RequestRecord) {
      manager.started(record);
    },
    onRequestEnd(record: RequestRecord) {
      const durationMs = Math.max(0, record.responseEndMs - record.startMs);
      manager.ended(record, durationMs);
      istio.ended(record, durationMs);
      if (spans !== null && record.isSampled) spans.onSpan(record);
    },
  };
}

/** Gateways (no direction) report as sources, as Istio's do. */
export function peerOptions(options: RequestMetricsOptions): PeerOptions {
  const reporter = options.trafficDirection === 'INBOUND' ? 'destination' : 'source';
  return { ...options, reporter };
}
