/**
 * The data path with one static route, as bench/plain-proxy.ts runs it: its own process, to be pinned to a
 * core. Routing, metrics and request ids are on; telemetry is the real one.
 * Usage: plain-proxy-target.ts <origin port>; prints the port it listens on.
 */
import { MetricsRegistry, startTimerDriver, systemClock, systemRandom, TimerWheel } from '@sluice/runtime';
import {
  testCluster,
  testEndpoint,
  testLimits,
  forwardTo,
  testManager,
  testRoute,
} from '../packages/proxy/src/http/test-doubles.ts';
import { httpChainOf } from '../packages/proxy/src/filter/http-chain.ts';
import type { HttpBinding } from '../packages/proxy/src/http/exchange-services.ts';
import { H1DownstreamConnection } from '../packages/proxy/src/http/h1-downstream.ts';
import { createHttpDate } from '../packages/proxy/src/http/http-date.ts';
import { bunSockets } from '../packages/proxy/src/io/bun-sockets.ts';
import { IoLoop } from '../packages/proxy/src/io/io-loop.ts';
import type { ListenerRuntime } from '../packages/proxy/src/listener/listener.ts';
import { createClusterStats } from '../packages/proxy/src/telemetry/metrics/cluster-stats.ts';
import { downstreamHttp2Stats } from '../packages/proxy/src/telemetry/metrics/http2-stats.ts';
import { createManagerStats } from '../packages/proxy/src/telemetry/metrics/connection-stats.ts';
import { createRequestMetrics } from '../packages/proxy/src/telemetry/metrics/request-metrics.ts';
import { UNKNOWN_WORKLOAD } from '../packages/proxy/src/telemetry/metrics/workload-identity.ts';
import { createIdSource } from '../packages/proxy/src/telemetry/request-id.ts';
import { createRequestRecord } from '../packages/proxy/src/telemetry/request-record.ts';
import { createConnector } from '../packages/proxy/src/upstream/connector.ts';

const originPort = Number(process.argv[2]);
const timers = new TimerWheel(systemClock);
startTimerDriver(timers);
const reportError = (error: unknown): void => console.error(error);
const loop = new IoLoop(timers, reportError);
const sockets = bunSockets(loop);
const metrics = new MetricsRegistry();
const endpoint = testEndpoint(originPort);
const cluster = testCluster('outbound|80||origin.default.svc.cluster.local', [endpoint], {
  pick: () => endpoint,
});
cluster.stats = createClusterStats(metrics, cluster.name) as unknown as typeof cluster.stats;
cluster.limits = testLimits();
const route = testRoute(forwardTo(cluster.name, { timeoutMs: 0 }));
const prefix = '/';
const config = testManager((request) => (request.path.startsWith(prefix) ? route : null));
const services = {
  timers,
  clock: loop.clock,
  random: systemRandom,
  draw: () => systemRandom.next(),
  upstream: createConnector({ sockets, timers, clock: loop.clock, random: systemRandom }),
  ids: createIdSource(systemRandom),
  date: createHttpDate(systemClock),
  newRecord: () => createRequestRecord(),
  reportError,
  findCluster: (name: string) => (name === cluster.name ? cluster : null),
};
const binding: HttpBinding = {
  config,
  listener: { name: 'bench', trafficDirection: 'OUTBOUND' } as ListenerRuntime,
  chain: httpChainOf(config.filters),
  upstreamFilters: [],
  metrics: createRequestMetrics(metrics, {
    statPrefix: 'bench',
    trafficDirection: 'OUTBOUND',
    own: UNKNOWN_WORKLOAD,
    spans: null,
  }),
  connectionStats: createManagerStats(metrics, 'bench'),
  http2Stats: downstreamHttp2Stats(metrics),
  isDraining: () => false,
};
const listener = sockets.listen(
  { bind: { address: '127.0.0.1', port: 0 }, highWaterBytes: 1024 * 1024 },
  (connection) => {
    const { localAddress, localPort, remoteAddress, remotePort } = connection;
    const facts = {
      localAddress,
      localPort,
      remoteAddress,
      remotePort,
      destinationAddress: localAddress,
      destinationPort: localPort,
      isDestinationRestored: false,
      transportProtocol: 'raw_buffer' as const,
      serverName: '',
      applicationProtocols: [],
      peerIdentity: null,
      isMutualTls: false,
      tls: null,
    };
    connection.handler = new H1DownstreamConnection(connection, facts, binding, services, {
      onCodecGone() {},
    });
  },
);
// A profile (--cpu-prof) is written at an orderly exit only.
process.on('SIGTERM', () => process.exit(0));
console.log(listener.port);
