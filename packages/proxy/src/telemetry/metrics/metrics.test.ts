import { MetricsRegistry, renderPrometheusText, type Labels } from '@sluice/runtime';
import { describe, expect, test } from 'bun:test';
import { serviceFromMetadata } from '../../cluster/service-identity.ts';
import { clusterOf, endpointOf, finishedRequest, routeOf } from '../records.test-double.ts';
import { FLAG } from '../response-flags.ts';
import { createClusterStats } from './cluster-stats.ts';
import { createListenerStats, createManagerStats, createTcpStats } from './connection-stats.ts';
import { createConnectionMetrics } from './istio-tcp.ts';
import { createRequestMetrics, type RequestMetricsOptions } from './request-metrics.ts';
import { statTextName } from './stat-names.ts';
import { parseWorkload, serviceFromCluster, workloadFromNode } from './workload-identity.ts';

const own = workloadFromNode({
  NAMESPACE: 'default',
  WORKLOAD_NAME: 'productpage-v1',
  CLUSTER_ID: 'cluster1',
  LABELS: { app: 'productpage', version: 'v1' },
});

function options(direction: 'INBOUND' | 'OUTBOUND' = 'OUTBOUND'): RequestMetricsOptions {
  return { statPrefix: 'outbound_0.0.0.0_9080', trafficDirection: direction, own, spans: null };
}

function seriesOf(registry: MetricsRegistry, name: string): { labels: Labels; value: number }[] {
  const family = registry.collect().find((each) => each.name === name);
  return (family?.series ?? []).map(({ labels, values }) => ({ labels, value: values[0] ?? 0 }));
}

/** Every value by its dotted name. */
function textStats(registry: MetricsRegistry): Record<string, number> {
  const stats: Record<string, number> = {};
  for (const { name, type, series } of registry.collect()) {
    if (type === 'histogram') continue;
    for (const { labels, values } of series) stats[statTextName(name, labels)] = values[0] ?? 0;
  }
  return stats;
}

describe("Envoy's counters", () => {
  test('a cluster that was not used shows nothing; one that was shows what happened', () => {
    const registry = new MetricsRegistry();
    createClusterStats(registry, 'idle');
    const stats = createClusterStats(registry, 'outbound|9080||reviews.default.svc.cluster.local');
    stats.connectionOpened();
    stats.requestStarted();
    stats.requestEnded(200, 4);
    stats.requestStarted();
    stats.requestEnded(503, 9);
    stats.requestRetried(true);
    stats.requestRetried(false);
    stats.bytesSent(100);
    stats.connectionClosed(true);
    const name = 'cluster.outbound|9080||reviews.default.svc.cluster.local';
    expect(textStats(registry)).toEqual({
      [`${name}.upstream_cx_total`]: 1,
      [`${name}.upstream_cx_active`]: 0,
      [`${name}.upstream_rq_total`]: 2,
      [`${name}.upstream_rq_active`]: 0,
      [`${name}.upstream_rq_completed`]: 2,
      [`${name}.upstream_rq_200`]: 1,
      [`${name}.upstream_rq_503`]: 1,
      [`${name}.upstream_rq_2xx`]: 1,
      [`${name}.upstream_rq_5xx`]: 1,
      [`${name}.upstream_rq_retry`]: 2,
      [`${name}.upstream_rq_retry_success`]: 1,
      [`${name}.upstream_cx_tx_bytes_total`]: 100,
      [`${name}.upstream_cx_destroy`]: 1,
      [`${name}.upstream_cx_destroy_remote`]: 1,
    });
  });

  test('every method of a cluster has its counter', () => {
    const registry = new MetricsRegistry();
    const stats = createClusterStats(registry, 'c');
    stats.retryLimitExceeded();
    stats.retryOverflow();
    stats.requestTimeout();
    stats.perTryTimeout();
    stats.pendingOverflow();
    stats.requestCancelled();
    stats.noHealthyEndpoint();
    stats.connectFailed();
    stats.connectTimeout();
    stats.connectionOverflow();
    stats.bytesReceived(5);
    expect(textStats(registry)).toEqual({
      'cluster.c.upstream_rq_retry_limit_exceeded': 1,
      'cluster.c.upstream_rq_retry_overflow': 1,
      'cluster.c.upstream_rq_timeout': 1,
      'cluster.c.upstream_rq_per_try_timeout': 1,
      'cluster.c.upstream_rq_pending_overflow': 1,
      'cluster.c.upstream_rq_cancelled': 1,
      'cluster.c.upstream_cx_none_healthy': 1,
      'cluster.c.upstream_cx_total': 1,
      'cluster.c.upstream_cx_connect_fail': 1,
      'cluster.c.upstream_cx_connect_timeout': 1,
      'cluster.c.upstream_cx_overflow': 1,
      'cluster.c.upstream_cx_rx_bytes_total': 5,
    });
  });

  test('a cancelled attempt is counted as started and not as completed', () => {
    const registry = new MetricsRegistry();
    const stats = createClusterStats(registry, 'c');
    stats.requestStarted();
    stats.requestEnded(0, 3);
    expect(textStats(registry)).toEqual({
      'cluster.c.upstream_rq_total': 1,
      'cluster.c.upstream_rq_active': 0,
    });
  });

  test('listeners, connection managers and TCP proxies', () => {
    const registry = new MetricsRegistry();
    const listener = createListenerStats(registry, '0.0.0.0:15006');
    listener.connectionOpened();
    listener.noFilterChainMatch();
    listener.connectionClosed(5);
    const manager = createManagerStats(registry, 'inbound_0.0.0.0_9080');
    manager.connectionOpened();
    manager.bytesReceived(10);
    manager.connectionClosed(false, 5);
    const tcp = createTcpStats(registry, 'mysql');
    tcp.connectionOpened();
    tcp.bytesSent(7);
    expect(textStats(registry)).toEqual({
      'listener.0.0.0.0_15006.downstream_cx_total': 1,
      'listener.0.0.0.0_15006.downstream_cx_active': 0,
      'listener.0.0.0.0_15006.downstream_cx_destroy': 1,
      'listener.0.0.0.0_15006.no_filter_chain_match': 1,
      'http.inbound_0.0.0.0_9080.downstream_cx_total': 1,
      'http.inbound_0.0.0.0_9080.downstream_cx_active': 0,
      'http.inbound_0.0.0.0_9080.downstream_cx_destroy': 1,
      'http.inbound_0.0.0.0_9080.downstream_cx_destroy_local': 1,
      'http.inbound_0.0.0.0_9080.downstream_cx_rx_bytes_total': 10,
      'tcp.mysql.downstream_cx_total': 1,
      'tcp.mysql.downstream_cx_active': 1,
      'tcp.mysql.downstream_cx_tx_bytes_total': 7,
    });
  });

  test('requests of a connection manager by code class and flag', () => {
    const registry = new MetricsRegistry();
    const metrics = createRequestMetrics(registry, options());
    const record = finishedRequest();
    metrics.onRequestStart(record);
    metrics.onRequestEnd(record);
    record.status = 404;
    record.flags = FLAG.NR;
    record.route = null;
    metrics.onRequestStart(record);
    metrics.onRequestEnd(record);
    const prefix = 'http.outbound_0.0.0.0_9080';
    expect(textStats(registry)).toMatchObject({
      [`${prefix}.downstream_rq_total`]: 2,
      [`${prefix}.downstream_rq_active`]: 0,
      [`${prefix}.downstream_rq_http1_total`]: 2,
      [`${prefix}.downstream_rq_completed`]: 2,
      [`${prefix}.downstream_rq_2xx`]: 1,
      [`${prefix}.downstream_rq_4xx`]: 1,
      [`${prefix}.no_route`]: 1,
      [`${prefix}.rq_direct_response`]: 1,
    });
  });
});

describe("Istio's standard metrics", () => {
  test('a source reports itself, the endpoint and the service by name', () => {
    const registry = new MetricsRegistry();
    createRequestMetrics(registry, options()).onRequestEnd(finishedRequest());
    expect(seriesOf(registry, 'istio_requests_total')).toEqual([
      {
        value: 1,
        labels: {
          reporter: 'source',
          source_workload: 'productpage-v1',
          source_canonical_service: 'productpage',
          source_canonical_revision: 'v1',
          source_workload_namespace: 'default',
          source_principal: 'unknown',
          source_app: 'productpage',
          source_version: 'v1',
          source_cluster: 'cluster1',
          destination_workload: 'reviews-v1',
          destination_workload_namespace: 'default',
          destination_principal: 'unknown',
          destination_app: 'reviews',
          destination_version: 'v1',
          destination_service: 'reviews.default.svc.cluster.local',
          destination_canonical_service: 'reviews',
          destination_canonical_revision: 'v1',
          destination_service_name: 'reviews',
          destination_service_namespace: 'default',
          destination_cluster: 'cluster1',
          request_protocol: 'http',
          response_code: '200',
          grpc_response_status: '',
          response_flags: '-',
          connection_security_policy: 'unknown',
        },
      },
    ]);
  });

  test('a destination reports itself, the peer as far as it is known, and the connection security', () => {
    const registry = new MetricsRegistry();
    const metrics = createRequestMetrics(registry, options('INBOUND'));
    const record = finishedRequest();
    record.cluster = clusterOf('inbound|9080||');
    metrics.onRequestEnd(record);
    record.connection = {
      ...record.connection,
      isMutualTls: true,
      peerIdentity: 'spiffe://cluster.local/ns/default/sa/a',
    };
    metrics.onRequestEnd(record);
    metrics.onRequestEnd(record);
    expect(seriesOf(registry, 'istio_requests_total')).toMatchObject([
      {
        value: 1,
        labels: {
          reporter: 'destination',
          source_workload: 'unknown',
          connection_security_policy: 'none',
          destination_workload: 'productpage-v1',
        },
      },
      {
        value: 2,
        labels: {
          source_principal: 'spiffe://cluster.local/ns/default/sa/a',
          connection_security_policy: 'mutual_tls',
        },
      },
    ]);
  });

  test('peer metadata and service names can be supplied', () => {
    const registry = new MetricsRegistry();
    const peer = parseWorkload('ratings-v1;shop;ratings;v1;east');
    const metrics = createRequestMetrics(registry, {
      ...options('INBOUND'),
      downstreamPeer: () => peer,
      service: () => ({ host: 'p.shop.svc.cluster.local', name: 'p', namespace: 'shop' }),
    });
    metrics.onRequestEnd(finishedRequest());
    expect(seriesOf(registry, 'istio_requests_total')).toMatchObject([
      {
        labels: {
          source_workload: 'ratings-v1',
          source_cluster: 'east',
          destination_service: 'p.shop.svc.cluster.local',
        },
      },
    ]);
  });

  test('each inbound service of one listener has its own series', () => {
    const registry = new MetricsRegistry();
    const metrics = createRequestMetrics(registry, options('INBOUND'));
    const record = finishedRequest();
    for (const service of ['a', 'b', 'a']) {
      record.cluster = clusterOf(`inbound|80||${service}.default.svc.cluster.local`);
      metrics.onRequestEnd(record);
    }
    const counts = seriesOf(registry, 'istio_requests_total').map(({ labels, value }) => [
      labels['destination_service_name'],
      value,
    ]);
    expect(counts).toEqual([
      ['a', 2],
      ['b', 1],
    ]);
  });

  test('endpoints of one workload share a series, and a request without endpoint is unknown', () => {
    const registry = new MetricsRegistry();
    const metrics = createRequestMetrics(registry, options());
    const record = finishedRequest();
    metrics.onRequestEnd(record);
    record.endpoint = endpointOf('10.0.0.8:9080', 'reviews-v1;default;reviews;v1;cluster1');
    metrics.onRequestEnd(record);
    record.endpoint = null;
    record.status = 503;
    record.flags = FLAG.UH;
    metrics.onRequestEnd(record);
    expect(seriesOf(registry, 'istio_requests_total')).toMatchObject([
      { value: 2, labels: { destination_workload: 'reviews-v1' } },
      {
        value: 1,
        labels: {
          destination_workload: 'unknown',
          response_flags: 'UH',
          destination_service_name: 'reviews',
        },
      },
    ]);
  });

  test('gRPC replies carry their status and count messages', () => {
    const registry = new MetricsRegistry();
    const metrics = createRequestMetrics(registry, options());
    metrics.onRequestEnd(finishedRequest());
    const record = finishedRequest();
    record.isGrpc = true;
    record.grpcStatus = 14;
    record.requestMessages = 3;
    record.responseMessages = 1;
    metrics.onRequestEnd(record);
    metrics.onRequestEnd(record);
    const labels = { request_protocol: 'grpc', grpc_response_status: '14' };
    expect(seriesOf(registry, 'istio_requests_total')).toMatchObject([
      { value: 1, labels: { request_protocol: 'http', grpc_response_status: '' } },
      { value: 2, labels },
    ]);
    expect(seriesOf(registry, 'istio_request_messages_total')).toMatchObject([{ value: 6, labels }]);
    expect(seriesOf(registry, 'istio_response_messages_total')).toMatchObject([{ value: 2, labels }]);
  });

  test('names that clients invent stay bounded: beyond the cap they share one series', () => {
    const registry = new MetricsRegistry();
    const metrics = createRequestMetrics(registry, options('INBOUND'));
    const record = finishedRequest();
    for (let i = 0; i < 6000; i += 1) {
      record.connection = {
        ...record.connection,
        isMutualTls: true,
        peerIdentity: `spiffe://td/ns/a/sa/${i}`,
      };
      metrics.onRequestEnd(record);
    }
    const series = seriesOf(registry, 'istio_requests_total');
    expect(series).toHaveLength(5001);
    expect(series.at(-1)).toMatchObject({ value: 1000, labels: { source_principal: 'overflow' } });
  });

  test('a series without traffic for an hour is evicted and comes back with the next request', () => {
    const registry = new MetricsRegistry();
    const metrics = createRequestMetrics(registry, options());
    const record = finishedRequest();
    metrics.onRequestEnd(record);
    registry.sweep(0);
    registry.sweep(60 * 60 * 1000);
    expect(seriesOf(registry, 'istio_requests_total')).toEqual([]);
    metrics.onRequestEnd(record);
    expect(seriesOf(registry, 'istio_requests_total')).toMatchObject([{ value: 1 }]);
  });

  test('TCP connections: opened, closed, bytes', () => {
    const registry = new MetricsRegistry();
    const metrics = createConnectionMetrics(registry, { reporter: 'source', own });
    const record = finishedRequest();
    record.kind = 'tcp';
    record.bytesReceived = 11;
    record.bytesSent = 22;
    metrics.onConnectionOpened(record);
    metrics.onBytes(record, record.bytesSent, record.bytesReceived);
    metrics.onConnectionClosed(record);
    const values = ['opened', 'closed'].map(
      (what) => seriesOf(registry, `istio_tcp_connections_${what}_total`)[0]?.value,
    );
    expect(values).toEqual([1, 1]);
    expect(seriesOf(registry, 'istio_tcp_sent_bytes_total')).toMatchObject([
      { value: 22, labels: { request_protocol: 'tcp' } },
    ]);
    expect(seriesOf(registry, 'istio_tcp_received_bytes_total')).toMatchObject([{ value: 11 }]);
  });

  test('metrics asked for once per connection are the same object', () => {
    const registry = new MetricsRegistry();
    const metrics = createConnectionMetrics(registry, { reporter: 'source', own });
    expect(createConnectionMetrics(registry, { reporter: 'source', own })).toBe(metrics);
    expect(createConnectionMetrics(registry, { reporter: 'destination', own })).not.toBe(metrics);
    expect(createManagerStats(registry, 'a')).toBe(createManagerStats(registry, 'a'));
    expect(createManagerStats(registry, 'b')).not.toBe(createManagerStats(registry, 'a'));
  });

  test('sampled requests are told to the span sink', () => {
    const spans: string[] = [];
    const metrics = createRequestMetrics(new MetricsRegistry(), {
      ...options(),
      spans: { onSpan: (span) => spans.push(span.traceId) },
    });
    const record = finishedRequest();
    metrics.onRequestEnd(record);
    record.isSampled = true;
    record.traceId = 'abc';
    metrics.onRequestEnd(record);
    expect(spans).toEqual(['abc']);
  });
});

describe('exposition', () => {
  test('golden: what Prometheus scrapes after one request', () => {
    const registry = new MetricsRegistry();
    const stats = createClusterStats(registry, 'outbound|80||a"b.default.svc.cluster.local');
    stats.requestStarted();
    stats.requestEnded(200, 3);
    const metrics = createRequestMetrics(registry, { ...options(), statPrefix: 'ingress' });
    const record = finishedRequest();
    record.route = routeOf('r');
    metrics.onRequestStart(record);
    metrics.onRequestEnd(record);
    const lines = renderPrometheusText(registry).split('\n');
    expect(lines).toContain(
      'envoy_cluster_upstream_rq_total{envoy_cluster_name="outbound|80||a\\"b.default.svc.cluster.local"} 1',
    );
    expect(lines).toContain(
      'envoy_cluster_upstream_rq_xx{envoy_response_code_class="2",envoy_cluster_name="outbound|80||a\\"b.default.svc.cluster.local"} 1',
    );
    expect(lines).toContain(
      'envoy_http_downstream_rq_xx{envoy_response_code_class="2",envoy_http_conn_manager_prefix="ingress"} 1',
    );
    expect(lines).toContain(
      'envoy_http_downstream_rq_time_bucket{envoy_http_conn_manager_prefix="ingress",le="25"} 1',
    );
    expect(lines).toContain('# TYPE istio_request_duration_milliseconds histogram');
    expect(lines.filter((line) => line.startsWith('istio_requests_total{reporter="source",'))).toHaveLength(
      1,
    );
  });
});

describe('names', () => {
  test.each([
    [
      'outbound|9080|v1|reviews.default.svc.cluster.local',
      'reviews.default.svc.cluster.local',
      'reviews',
      'default',
    ],
    ['outbound|443||api.example.com', 'api.example.com', 'api.example.com', 'unknown'],
    ['PassthroughCluster', 'unknown', 'PassthroughCluster', 'unknown'],
    ['inbound|9080||', 'unknown', 'inbound|9080||', 'unknown'],
    ['', 'unknown', 'unknown', 'unknown'],
  ])('the service of cluster %p', (cluster, host, name, namespace) => {
    expect(serviceFromCluster(null, cluster)).toEqual({ host, name, namespace });
  });

  test('the service that cluster metadata names', () => {
    const service = { host: 'a.default.svc.cluster.local', name: 'a', namespace: 'default' };
    expect(serviceFromMetadata({ istio: { services: [service, { host: 'b' }] } })).toEqual(service);
    expect(serviceFromMetadata({ istio: { services: [{ host: 'x.y' }] } })).toEqual({
      host: 'x.y',
      name: 'x.y',
      namespace: 'unknown',
    });
    for (const nothing of [null, {}, { istio: { services: [] } }, { istio: { services: 'a' } }]) {
      expect(serviceFromMetadata(nothing)).toBeNull();
    }
  });

  test('a workload that says nothing of itself is unknown', () => {
    expect(workloadFromNode({})).toMatchObject({
      workload: 'unknown',
      app: 'unknown',
      canonicalRevision: 'latest',
    });
    expect(parseWorkload('a;;b')).toMatchObject({
      workload: 'a',
      namespace: 'unknown',
      app: 'b',
      cluster: 'unknown',
    });
  });
});

describe('gRPC calls of a cluster', () => {
  test('are series by method, with dotted names in text', () => {
    const registry = new MetricsRegistry();
    const stats = createClusterStats(registry, 'outbound|80||cart');
    stats.grpc('shop.Cart', 'Add').ended(0);
    stats.grpc('shop.Cart', 'Add').ended(14);
    stats.grpc('', '').requestMessages(3);
    const names = [...registry.collect()].flatMap((family) =>
      family.series.map((series) => `${statTextName(family.name, series.labels)} ${series.values[0]}`),
    );
    expect(names.sort()).toEqual([
      'cluster.outbound|80||cart.grpc.request_message_count 3',
      'cluster.outbound|80||cart.grpc.shop.Cart.Add.0 1',
      'cluster.outbound|80||cart.grpc.shop.Cart.Add.14 1',
      'cluster.outbound|80||cart.grpc.shop.Cart.Add.failure 1',
      'cluster.outbound|80||cart.grpc.shop.Cart.Add.success 1',
      'cluster.outbound|80||cart.grpc.shop.Cart.Add.total 2',
    ]);
  });

  test('methods that clients invent share one series beyond the cap', () => {
    const registry = new MetricsRegistry();
    const stats = createClusterStats(registry, 'c');
    for (let i = 0; i < 1_500; i++) stats.grpc('s.S', `m${i}`).ended(0);
    expect(seriesOf(registry, 'envoy_cluster_grpc_total')).toHaveLength(1_001);
  });
});
