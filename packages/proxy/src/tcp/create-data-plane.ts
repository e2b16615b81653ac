/**
 * The traffic side of one data loop, put together: sockets, pools, exchanges, telemetry bindings, accepting.
 * Everything here lives as long as the loop.
 */
import { systemRandom, type Random } from '@sluice/runtime';
import type { UpstreamHttpFilter } from '../filter/filter.ts';
import { createHttpDate } from '../http/http-date.ts';
import { acceptOn, defaultConnectionCap, type AcceptHandle, type ConnectionCap } from '../io/accept.ts';
import { bunSockets } from '../io/bun-sockets.ts';
import type { AcceptTarget, SocketProvider } from '../io/connection.ts';
import { IoLoop } from '../io/io-loop.ts';
import type { FilterChain, ListenerRuntime } from '../listener/listener.ts';
import {
  createListenerStats,
  createManagerStats,
  createTcpStats,
  type ListenerStats,
} from '../telemetry/metrics/connection-stats.ts';
import { downstreamHttp2Stats } from '../telemetry/metrics/http2-stats.ts';
import { createConnectionMetrics } from '../telemetry/metrics/istio-tcp.ts';
import {
  createRequestMetrics,
  peerOptions,
  type RequestMetricsOptions,
} from '../telemetry/metrics/request-metrics.ts';
import { workloadFromNode } from '../telemetry/metrics/workload-identity.ts';
import { createIdSource } from '../telemetry/request-id.ts';
import { createRequestRecord } from '../telemetry/request-record.ts';
import { responseFlagBit } from '../telemetry/response-flags.ts';
import { createConnector } from '../upstream/connector.ts';
import type { DataPlane, DataPlaneDeps } from '../workers/data-plane.ts';
import { createProtocolFallback } from './protocol-fallback.ts';
import { ConnectionLimits } from './connection-limits.ts';
import { createRefusedConnections } from './refused-connections.ts';
import { createUnmatchedConnections } from './unmatched-connections.ts';
import { ConnectionServer } from './serve-connection.ts';
import type { ServeServices } from './serve-services.ts';

export interface DataPlaneOptions {
  readonly random?: Random;
  readonly sockets?: (loop: IoLoop) => SocketProvider;
  /** Of downstream connections of the process; below RLIMIT_NOFILE by default. */
  readonly cap?: ConnectionCap;
  readonly upstreamFilters?: readonly UpstreamHttpFilter[];
}

export function createDataPlane(deps: DataPlaneDeps, options: DataPlaneOptions = {}): DataPlane {
  const services = createServeServices(deps, options);
  const server = new ConnectionServer(services);
  const accepting = new Set<AcceptHandle>();
  const connectionCount = (): number => {
    let count = 0;
    for (const handle of accepting) count += handle.connectionCount;
    return count;
  };
  return {
    get connectionCount() {
      return connectionCount();
    },
    listen(listener, fd) {
      const handle = acceptListener(services, server, listener, {
        bind: { fd },
        highWaterBytes: bufferLimitOf(listener()),
      });
      accepting.add(handle);
      return { stop: () => handle.stopAccepting() };
    },
    flush: services.flush,
    retireChains: (chains) => server.retireChains(chains, deps.init.drainMs),
    drain(afterMs, mayWait, onDone) {
      for (const handle of accepting) handle.stopAccepting();
      server.drain(afterMs, mayWait);
      watchDrain(services, accepting, connectionCount, afterMs, onDone);
    },
  };
}

/** Used when a listener is gone between its descriptor and its configuration. */
const DEFAULT_BUFFER_LIMIT_BYTES = 1024 * 1024;
/** How often a drain looks whether the last connection is gone. */
const DRAIN_CHECK_MS = 50;

function bufferLimitOf(listener: ListenerRuntime | null): number {
  return listener === null || listener.bufferLimitBytes === 0
    ? DEFAULT_BUFFER_LIMIT_BYTES
    : listener.bufferLimitBytes;
}

export function acceptListener(
  services: ServeServices,
  server: ConnectionServer,
  listener: () => ListenerRuntime | null,
  target: AcceptTarget,
): AcceptHandle {
  return acceptOn(target, {
    sockets: services.sockets,
    mayAccept() {
      const current = listener();
      if (current === null) return false;
      const reached = services.connectionLimits.take(current.name);
      if (reached === null) return true;
      services.listenerStats(current).connectionOverflow();
      services.connectionRefused(current, reached);
      return false;
    },
    serve(connection, onServed) {
      const current = listener();
      if (current === null) {
        connection.terminate();
        return;
      }
      const { name } = current;
      const stats = services.listenerStats(current);
      const openedMs = services.clock.nowMs();
      const countedOut = connection.onceClosed;
      stats.connectionOpened();
      connection.onceClosed = (closed) => {
        services.connectionLimits.release(name);
        stats.connectionClosed(services.clock.nowMs() - openedMs);
        countedOut?.(closed);
      };
      server.serve(connection, current, onServed);
    },
  });
}

function watchDrain(
  services: ServeServices,
  accepting: Set<AcceptHandle>,
  count: () => number,
  afterMs: number,
  onDone: () => void,
): void {
  const startedMs = services.clock.nowMs();
  const check = (): void => {
    if (count() === 0) {
      onDone();
      return;
    }
    if (services.clock.nowMs() - startedMs >= afterMs) for (const handle of accepting) handle.closeAll();
    services.timers.schedule(DRAIN_CHECK_MS, check);
  };
  check();
}

function createServeServices(deps: DataPlaneDeps, options: DataPlaneOptions): ServeServices {
  const { timers, metrics, logger, clusters, init } = deps;
  const random = options.random ?? systemRandom;
  const reportError = (error: unknown): void => {
    logger.error('a connection was lost to a broken invariant', {
      error: error instanceof Error ? (error.stack ?? error.message) : String(error),
    });
  };
  const loop = new IoLoop(timers, reportError);
  const sockets = (options.sockets ?? bunSockets)(loop);
  const cap = { ...defaultConnectionCap(), ...options.cap };
  const own = workloadFromNode(init.nodeMetadata);
  const processFacts = {
    hostname: init.hostname,
    environment: (name: string) => init.environment[name] ?? null,
  };
  const metricsOf = (listener: ListenerRuntime, chain: FilterChain): RequestMetricsOptions => ({
    statPrefix: chain.terminal.statPrefix,
    trafficDirection: listener.trafficDirection,
    own,
    service: (cluster) => cluster.service,
    spans: null,
  });
  const listenerStats = new Map<string, ListenerStats>();
  return {
    sockets,
    flush: () => loop.flushNow(),
    timers,
    clock: loop.clock,
    random,
    draw: () => random.next(),
    upstream: createConnector({ sockets, timers, clock: loop.clock, random }),
    ids: createIdSource(random),
    date: createHttpDate(timers.clock),
    newRecord: () => createRequestRecord(processFacts),
    reportError,
    connectionLimits: new ConnectionLimits(init.limits, init.runtime, cap.connections),
    connectionRefused: createRefusedConnections(timers, logger, cap),
    findCluster: (name) => clusters.find(name),
    listenerStats(listener) {
      const address = `${listener.address}:${listener.port}`;
      let stats = listenerStats.get(address);
      if (stats === undefined) listenerStats.set(address, (stats = createListenerStats(metrics, address)));
      return stats;
    },
    managerStats: (chain) => createManagerStats(metrics, chain.terminal.statPrefix),
    http2Stats: downstreamHttp2Stats(metrics),
    tcpStats: (chain) => createTcpStats(metrics, chain.terminal.statPrefix),
    requestMetrics: (listener, chain) => createRequestMetrics(metrics, metricsOf(listener, chain)),
    connectionMetrics: (listener, chain) =>
      createConnectionMetrics(metrics, peerOptions(metricsOf(listener, chain))),
    protocolFallback: createProtocolFallback(metrics, timers.clock, logger),
    unmatchedConnection: createUnmatchedConnections(metrics, timers.clock, logger),
    upstreamFilters: () => options.upstreamFilters ?? [],
    logRefusedConnection(listener, facts, flag, details) {
      const record = createRequestRecord(processFacts);
      record.kind = 'tcp';
      record.startMs = record.responseEndMs = timers.clock.nowMs();
      record.startWallMs = timers.clock.wallMs();
      record.listenerName = listener.name;
      record.trafficDirection = listener.trafficDirection;
      record.connection = facts;
      record.flags = responseFlagBit(flag) ?? 0;
      record.responseCodeDetails = details;
      for (const access of listener.accessLoggers) access.log(record);
    },
  };
}
