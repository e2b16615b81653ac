/**
 * CPU per request of what telemetry does after a response: filling and resetting a record, counting
 * it, and writing a log line in Istio's text and JSON formats. Beside each, as the yardstick of the same
 * run, what a line costs when it is built as a JavaScript string.
 *
 * Usage: bun bench/telemetry.ts [requests]
 */
import { MetricsRegistry, systemClock, TimerWheel } from '@sluice/runtime';
import { createBatchingSink } from '../packages/proxy/src/telemetry/log-batch.ts';
import { compileJsonFormat, ISTIO_JSON_FORMAT } from '../packages/proxy/src/telemetry/format-json.ts';
import {
  compileTextFormat,
  ISTIO_TEXT_FORMAT,
  type LineFormat,
} from '../packages/proxy/src/telemetry/format-text.ts';
import { createClusterStats } from '../packages/proxy/src/telemetry/metrics/cluster-stats.ts';
import { createRequestMetrics } from '../packages/proxy/src/telemetry/metrics/request-metrics.ts';
import { workloadFromNode } from '../packages/proxy/src/telemetry/metrics/workload-identity.ts';
import {
  endpointOf,
  finishedRequest,
  TEST_PROCESS,
} from '../packages/proxy/src/telemetry/records.test-double.ts';
import { createRequestRecord } from '../packages/proxy/src/telemetry/request-record.ts';
import { createIdSource } from '../packages/proxy/src/telemetry/request-id.ts';
import { systemRandom } from '@sluice/runtime';

const requests = Number(process.argv[2] ?? 500_000);
const template = finishedRequest();
const record = createRequestRecord(TEST_PROCESS);
const endpoints = Array.from({ length: 4 }, (_, i) =>
  endpointOf(`10.0.0.${i}:9080`, `reviews-v${i % 3};default;reviews;v${i % 3};cluster1`),
);
const metrics = new MetricsRegistry();
const own = workloadFromNode({
  NAMESPACE: 'default',
  WORKLOAD_NAME: 'productpage-v1',
  LABELS: { app: 'productpage' },
});
const requestMetrics = createRequestMetrics(metrics, {
  statPrefix: 'outbound_0.0.0.0_9080',
  trafficDirection: 'OUTBOUND',
  own,
  spans: null,
});
const clusterStats = createClusterStats(metrics, 'outbound|9080||reviews.default.svc.cluster.local');
const ids = createIdSource(systemRandom);
const wheel = new TimerWheel(systemClock);
let loggedBytes = 0;
const sink = createBatchingSink({
  take(batch) {
    loggedBytes += batch.length;
    return true;
  },
  wheel,
  dropped: metrics.counter('dropped', 'Lines dropped.'),
});

/** What the data path does to a record in the course of a request. */
function fill(i: number): void {
  record.reset();
  record.startWallMs = template.startWallMs + i * 0.01;
  record.startMs = i + 1;
  record.requestHeadEndMs = record.startMs + 0.1;
  record.requestEndMs = record.startMs + 0.1;
  record.upstreamHeadSentMs = record.startMs + 0.2;
  record.upstreamFirstByteMs = record.startMs + 3;
  record.upstreamLastByteMs = record.startMs + 3;
  record.responseEndMs = record.startMs + 3.2;
  record.listenerName = template.listenerName;
  record.trafficDirection = 'OUTBOUND';
  record.connection = template.connection;
  record.protocol = 'HTTP/1.1';
  record.method = 'GET';
  record.path = template.path;
  record.originalPath = template.path;
  record.authority = template.authority;
  record.requestHeaders = template.requestHeaders;
  record.responseHeaders = template.responseHeaders;
  record.route = template.route;
  record.cluster = template.cluster;
  record.clusterName = template.clusterName;
  record.endpoint = endpoints[i & 3] ?? null;
  record.upstreamLocalAddress = template.upstreamLocalAddress;
  record.attempts = 1;
  record.status = 200;
  record.responseCodeDetails = 'via_upstream';
  record.bytesSent = 1024;
}

function count(): void {
  requestMetrics.onRequestStart(record);
  clusterStats.requestStarted();
  clusterStats.bytesSent(300);
  clusterStats.bytesReceived(1200);
  clusterStats.requestEnded(200, 3);
  requestMetrics.onRequestEnd(record);
}

function asString(): string {
  const { connection: c, endpoint, route } = record;
  return (
    `[${new Date(record.startWallMs).toISOString()}] "${record.method} ${record.path} ${record.protocol}" ${record.status} - ` +
    `${record.responseCodeDetails} - "-" ${record.bytesReceived} ${record.bytesSent} 3 ${record.responseHeaders?.getByName('x-envoy-upstream-service-time') ?? '-'} ` +
    `"-" "${record.requestHeaders?.getByName('user-agent') ?? '-'}" "${record.requestHeaders?.getByName('x-request-id') ?? '-'}" "${record.authority}" ` +
    `"${endpoint?.label ?? '-'}" ${record.clusterName} ${record.upstreamLocalAddress} ${c.destinationAddress}:${c.destinationPort} ` +
    `${c.remoteAddress}:${c.remotePort} - ${route?.name ?? '-'}\n`
  );
}

/** Best of five rounds, microseconds of CPU each. */
function measure(name: string, each: (i: number) => void): number {
  for (let i = 0; i < requests / 5; i += 1) each(i);
  let best = Number.POSITIVE_INFINITY;
  for (let round = 0; round < 5; round += 1) {
    const before = process.cpuUsage();
    for (let i = 0; i < requests; i += 1) each(i);
    const { user, system } = process.cpuUsage(before);
    best = Math.min(best, (user + system) / requests);
  }
  console.log(`${name.padEnd(44)} ${best.toFixed(3)} µs`);
  return best;
}

const text = compileTextFormat(ISTIO_TEXT_FORMAT, false, TEST_PROCESS, []);
const json = compileJsonFormat(ISTIO_JSON_FORMAT, false, TEST_PROCESS, []);
const logged = (format: LineFormat) => (i: number) => {
  fill(i);
  count();
  sink.append(format, record);
};

measure('record filled and reset', fill);
measure('… and a request id', (i) => {
  fill(i);
  record.requestId = ids.requestId();
});
measure('… and metrics', (i) => {
  fill(i);
  count();
});
const withText = measure('… and a log line (text)', logged(text));
measure('… and a log line (JSON)', logged(json));
let stringBytes = 0;
const withString = measure('… and a line built as a string, encoded', (i) => {
  fill(i);
  count();
  stringBytes += Buffer.from(asString()).length;
});
console.log(
  `text line against a string line: ${(withText / withString).toFixed(2)} ×; ${loggedBytes + stringBytes} bytes`,
);
