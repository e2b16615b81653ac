/**
 * Records for tests and benchmarks of this package: one finished request, with everything set.
 */
import { HeaderList } from '@sluice/wire';
import type { Cluster, Endpoint } from '../cluster/cluster.ts';
import type { CompiledRoute } from '../route/route.ts';
import type { ProcessFacts } from './operators.ts';
import type { RequestRecord } from './record.ts';
import { createRequestRecord } from './request-record.ts';

export const TEST_PROCESS: ProcessFacts = {
  hostname: 'reviews-v1-0',
  environment: (name) => (name === 'REGION' ? 'eu' : null),
};

export function headers(...fields: readonly (readonly [string, string])[]): HeaderList {
  const list = new HeaderList();
  for (const [name, value] of fields) {
    if (!list.append(name, value)) throw new Error(`${name}: ${value} may not stand in a header`);
  }
  return list;
}

/** A header whose value holds any octets, as a broken parser might have let them through. */
export function rawHeader(name: string, octets: Uint8Array): HeaderList {
  const line = Buffer.concat([Buffer.from(`${name}: `), octets, Buffer.from('\r\n')]);
  const list = headers([name, '']);
  list.reset();
  const id = headers([name, 'x']).nameIdAt(0);
  list.push(id, line, 0, name.length, name.length + 2, name.length + 2 + octets.length, line.length);
  return list;
}

export function endpointOf(label: string, workload: string | null = null): Endpoint {
  const colon = label.lastIndexOf(':');
  const part: Partial<Endpoint> = {
    cluster: 'outbound|9080||reviews.default.svc.cluster.local',
    address: label.slice(0, colon),
    port: Number(label.slice(colon + 1)),
    label,
    hostname: '',
    metadata: workload === null ? null : { istio: { workload } },
  };
  return part as Endpoint;
}

export function clusterOf(name: string): Cluster {
  const part: Partial<Cluster> = { name, statName: name };
  return part as Cluster;
}

export function routeOf(name: string): CompiledRoute {
  const part: Partial<CompiledRoute> = {
    name,
    action: { kind: 'direct', status: 200, body: null },
  };
  return part as CompiledRoute;
}

/** `GET /reviews/7?full=1` answered 200 by 10.0.0.7:9080 in 12 ms. */
export function finishedRequest(): RequestRecord {
  const record = createRequestRecord(TEST_PROCESS);
  record.startWallMs = Date.UTC(2026, 10, 23, 10, 42, 1, 7);
  record.startMs = 1000;
  record.requestHeadEndMs = 1000.2;
  record.requestEndMs = 1001.4;
  record.upstreamHeadSentMs = 1001;
  record.upstreamFirstByteMs = 1010.5;
  record.upstreamLastByteMs = 1011;
  record.responseEndMs = 1012.9;
  record.listenerName = 'virtualOutbound';
  record.trafficDirection = 'OUTBOUND';
  record.statPrefix = 'outbound_0.0.0.0_9080';
  record.connection = {
    ...record.connection,
    localAddress: '127.0.0.1',
    localPort: 15001,
    destinationAddress: '10.0.0.9',
    destinationPort: 9080,
    isDestinationRestored: true,
    remoteAddress: '10.0.0.5',
    remotePort: 40312,
  };
  record.protocol = 'HTTP/1.1';
  record.method = 'GET';
  record.path = '/reviews/7?full=1';
  record.originalPath = record.path;
  record.authority = 'reviews:9080';
  record.requestHeaders = headers(
    ['user-agent', 'curl/8.5'],
    ['x-request-id', '5f8ad2d1-3b1c-4f0e-9d3c-1f2e3d4c5b6a'],
  );
  record.responseHeaders = headers(
    ['x-envoy-upstream-service-time', '9'],
    ['content-type', 'application/json'],
  );
  record.route = routeOf('default');
  record.clusterName = 'outbound|9080||reviews.default.svc.cluster.local';
  record.cluster = clusterOf(record.clusterName);
  record.endpoint = endpointOf('10.0.0.7:9080', 'reviews-v1;default;reviews;v1;cluster1');
  record.upstreamLocalAddress = '10.0.0.5:51234';
  record.attempts = 1;
  record.status = 200;
  record.responseCodeDetails = 'via_upstream';
  record.requestId = '5f8ad2d1-3b1c-4f0e-9d3c-1f2e3d4c5b6a';
  record.bytesReceived = 0;
  record.bytesSent = 379;
  return record;
}
