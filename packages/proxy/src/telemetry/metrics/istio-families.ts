/**
 * Istio's standard metrics: names, labels in Istio's order, and the building of label values.
 *
 * No path and no method label: their values are a client's to invent. Series that saw no traffic for an
 * hour are evicted, and beyond the cap new combinations share one `overflow` series (pain 16).
 */
import type { Counter, Family, Histogram, MetricsRegistry } from '@sluice/runtime';
import { DURATION_BOUNDS_MS, perRegistry } from './stat-set.ts';
import type { ServiceIdentity } from '../../cluster/service-identity.ts';
import type { WorkloadIdentity } from './workload-identity.ts';

const PEER_LABELS = [
  'reporter',
  'source_workload',
  'source_canonical_service',
  'source_canonical_revision',
  'source_workload_namespace',
  'source_principal',
  'source_app',
  'source_version',
  'source_cluster',
  'destination_workload',
  'destination_workload_namespace',
  'destination_principal',
  'destination_app',
  'destination_version',
  'destination_service',
  'destination_canonical_service',
  'destination_canonical_revision',
  'destination_service_name',
  'destination_service_namespace',
  'destination_cluster',
  'request_protocol',
] as const;

export const HTTP_LABELS: readonly string[] = [
  ...PEER_LABELS,
  'response_code',
  'grpc_response_status',
  'response_flags',
  'connection_security_policy',
];

export const TCP_LABELS: readonly string[] = [...PEER_LABELS, 'response_flags', 'connection_security_policy'];

/** Bytes; Istio's buckets for sizes. */
const SIZE_BOUNDS_BYTES: readonly number[] = [
  0.5, 1, 5, 10, 25, 50, 100, 250, 500, 1_000, 2_500, 5_000, 10_000, 30_000, 60_000, 300_000, 600_000,
  1_800_000, 3_600_000,
];

/** Combinations of labels per metric and loop. */
const MAX_SERIES = 5_000;
const TTL_MS = 60 * 60 * 1000;

export interface IstioHttpFamilies {
  readonly requests: Family<Counter>;
  readonly durationMs: Family<Histogram>;
  readonly requestBytes: Family<Histogram>;
  readonly responseBytes: Family<Histogram>;
  readonly requestMessages: Family<Counter>;
  readonly responseMessages: Family<Counter>;
}

export interface IstioTcpFamilies {
  readonly sent: Family<Counter>;
  readonly received: Family<Counter>;
  readonly opened: Family<Counter>;
  readonly closed: Family<Counter>;
}

const limits = { maxSeries: MAX_SERIES, ttlMs: TTL_MS };

export const istioHttpFamilies = perRegistry((registry: MetricsRegistry): IstioHttpFamilies => {
  const counter = (name: string, help: string): Family<Counter> =>
    registry.family('counter', name, help, HTTP_LABELS, limits);
  const histogram = (name: string, help: string, boundaries: readonly number[]): Family<Histogram> =>
    registry.family('histogram', name, help, HTTP_LABELS, { ...limits, boundaries });
  return {
    requests: counter('istio_requests_total', 'Requests handled by a proxy.'),
    durationMs: histogram('istio_request_duration_milliseconds', 'Duration of requests.', DURATION_BOUNDS_MS),
    requestBytes: histogram('istio_request_bytes', 'Sizes of request bodies.', SIZE_BOUNDS_BYTES),
    responseBytes: histogram('istio_response_bytes', 'Sizes of response bodies.', SIZE_BOUNDS_BYTES),
    requestMessages: counter('istio_request_messages_total', 'gRPC messages sent by clients.'),
    responseMessages: counter('istio_response_messages_total', 'gRPC messages sent by servers.'),
  };
});

export const istioTcpFamilies = perRegistry((registry: MetricsRegistry): IstioTcpFamilies => {
  const counter = (name: string, help: string): Family<Counter> =>
    registry.family('counter', name, help, TCP_LABELS, limits);
  return {
    sent: counter('istio_tcp_sent_bytes_total', 'Bytes sent during responses of TCP connections.'),
    received: counter('istio_tcp_received_bytes_total', 'Bytes received during requests of TCP connections.'),
    opened: counter('istio_tcp_connections_opened_total', 'TCP connections opened.'),
    closed: counter('istio_tcp_connections_closed_total', 'TCP connections closed.'),
  };
});

export interface PeerFacts {
  readonly reporter: 'source' | 'destination';
  readonly source: WorkloadIdentity;
  readonly sourcePrincipal: string;
  readonly destination: WorkloadIdentity;
  readonly destinationPrincipal: string;
  readonly service: ServiceIdentity;
  readonly protocol: 'http' | 'grpc' | 'tcp';
}

/** Values of `PEER_LABELS`, in order. */
export function peerLabelValues(peers: PeerFacts): string[] {
  const { source, destination, service } = peers;
  return [
    peers.reporter,
    source.workload,
    source.canonicalService,
    source.canonicalRevision,
    source.namespace,
    peers.sourcePrincipal,
    source.app,
    source.version,
    source.cluster,
    destination.workload,
    destination.namespace,
    peers.destinationPrincipal,
    destination.app,
    destination.version,
    service.host,
    destination.canonicalService,
    destination.canonicalRevision,
    service.name,
    service.namespace,
    destination.cluster,
    peers.protocol,
  ];
}
