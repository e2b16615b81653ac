/**
 * A data loop: applies configuration messages to its clusters, route tables and listeners, and lets the
 * data plane serve with them. Runs in a Worker; in tests in the test's own thread.
 */
import {
  createLogger,
  MetricsRegistry,
  parseLogLevel,
  startTimerDriver,
  systemClock,
  TimerNode,
  TimerWheel,
  type Logger,
} from '@sluice/runtime';
import { ClusterSet } from '../cluster/cluster-set.ts';
import type { ClusterState } from '../cluster/cluster-state.ts';
import type { ClusterReport, FromLoop, LoopInit, ToLoop } from '../data-loop.ts';
import { ListenerSet } from '../listener/listener-set.ts';
import { RouteTables } from '../route/route-tables.ts';
import { LoopLogSinks } from '../telemetry/log-sinks.ts';
import { loopTlsEnvironment, type TlsEnvironment } from '../tls/tls-environment.ts';
import { createClusterStats } from '../telemetry/metrics/cluster-stats.ts';
import { compileContexts } from './compile-contexts.ts';
import type { DataPlane, DataPlaneDeps } from './data-plane.ts';

/** How often idle original destinations are looked for. */
const sweepIntervalMs = 1_000;
/** How often series that nobody counts any more are looked for. */
const metricsSweepIntervalMs = 60_000;

export type PostToMain = (message: FromLoop, transfer?: ArrayBuffer[]) => void;

export class Loop {
  readonly #post: PostToMain;
  readonly #logger: Logger;
  readonly #timers: TimerWheel;
  readonly #clusters: ClusterSet;
  readonly #routes: RouteTables;
  readonly #listeners: ListenerSet;
  readonly #sinks: LoopLogSinks;
  readonly #plane: DataPlane;
  readonly #tls: TlsEnvironment;
  readonly #accepting = new Map<string, { stop(): void }[]>();

  constructor(init: LoopInit, post: PostToMain, createPlane: (deps: DataPlaneDeps) => DataPlane) {
    this.#post = post;
    this.#logger = loopLogger(init, post);
    this.#timers = new TimerWheel(systemClock, undefined, (error) => this.#reportBug('timer', error));
    startTimerDriver(this.#timers);
    const metrics = new MetricsRegistry();
    metrics.onSeries({
      added: (series) => post({ kind: 'series', series }),
      removed: (id) => post({ kind: 'seriesRemoved', id }),
    });
    this.#sinks = new LoopLogSinks({ wheel: this.#timers, metrics, post });
    this.#tls = loopTlsEnvironment(this.#timers, Math.random, metrics);
    this.#clusters = new ClusterSet({
      tls: this.#tls,
      limits: init.limits,
      nowMs: () => systemClock.nowMs(),
      random: Math.random,
      bindStats: (cluster) => createClusterStats(metrics, cluster.statName),
    });
    this.#tls.secrets.onChange((name) => this.#clusters.renewConnections(name, this.#tls.soon));
    const contexts = compileContexts(init, this.#sinks, (name) => this.#routes.find(name), this.#tls);
    this.#routes = new RouteTables(contexts.routes);
    this.#listeners = new ListenerSet(contexts.listeners, {
      chainsRetired: (chains) => this.#plane.retireChains(chains),
    });
    this.#plane = createPlane({
      init,
      timers: this.#timers,
      metrics,
      logger: this.#logger,
      clusters: this.#clusters,
    });
    this.#every(sweepIntervalMs, () => this.#clusters.sweep(systemClock.nowMs()));
    this.#every(metricsSweepIntervalMs, () => metrics.sweep(systemClock.nowMs()));
    post({ kind: 'ready' });
  }

  /** Never throws: what goes wrong is told to the main thread, which has validated it all before. */
  handle(message: ToLoop): void {
    this.#plane.flush();
    try {
      this.#apply(message);
    } catch (error) {
      this.#post({ kind: 'failed', resource: resourceOf(message), message: textOf(error) });
    }
  }

  #apply(message: ToLoop): void {
    switch (message.kind) {
      case 'putCluster':
        this.#clusters.put(message.cluster, message.version, message.limitsSlot);
        return this.#applied(message.cluster.name, message.version);
      case 'removeCluster':
        return this.#clusters.remove(message.name);
      case 'putEndpoints':
        this.#clusters.putEndpoints(message.assignment, message.version, message.part, message.isLast);
        return message.isLast ? this.#applied(message.assignment.clusterName, message.version) : undefined;
      case 'putRoutes':
        return this.#putRoutes(message);
      case 'removeRoutes':
        return this.#routes.remove(message.name);
      case 'putVirtualHost':
        return this.#routes.putVirtualHost(message.table, message.host, message.version);
      case 'removeVirtualHost':
        return this.#routes.removeVirtualHost(message.table, message.host);
      case 'putSecret':
        this.#tls.secrets.put(message.name, message.version, message.secret);
        return this.#applied(message.name, message.version);
      case 'removeSecret':
        return this.#tls.secrets.remove(message.name);
      case 'putListener':
        this.#listeners.put(message.listener, message.version);
        return this.#applied(message.listener.name, message.version);
      case 'removeListener':
        return this.#removeListener(message.name);
      case 'listen':
        return this.#listen(message.listener, message.fd);
      case 'accessLogTaken':
        return this.#sinks.onTaken(message);
      case 'trim':
        // A collection stops the loop for some 20 ms: only while it serves nobody.
        return this.#plane.connectionCount === 0 ? void Bun.gc(true) : undefined;
      case 'slice':
        return this.#post({ kind: 'taken' });
      case 'report':
        return this.#report(message.id);
      case 'setLogLevel':
        return this.#setLogLevel(message.component, message.level);
      case 'drain':
        return this.#drain(message.afterMs, message.mayWait);
      case 'stop':
        return this.#sinks.flush();
      case 'init':
        throw new Error('a loop is initialised once');
    }
  }

  #putRoutes({ routes, version, part, isLast }: ToLoop & { kind: 'putRoutes' }): void {
    if (this.#routes.putPart(routes, version, part, isLast)) this.#applied(routes.name, version);
  }

  #listen(name: string, fd: number): void {
    const accepting = this.#plane.listen(() => this.#listeners.find(name), fd);
    this.#accepting.set(name, [...(this.#accepting.get(name) ?? []), accepting]);
  }

  #removeListener(name: string): void {
    for (const accepting of this.#accepting.get(name) ?? []) accepting.stop();
    this.#accepting.delete(name);
    this.#listeners.remove(name);
  }

  #drain(afterMs: number, mayWait: boolean): void {
    for (const all of this.#accepting.values()) for (const accepting of all) accepting.stop();
    this.#accepting.clear();
    this.#plane.drain(afterMs, mayWait, () => {
      this.#sinks.flush();
      this.#post({ kind: 'drained' });
    });
  }

  #setLogLevel(component: string, level: string): void {
    const parsed = parseLogLevel(level);
    if (parsed !== undefined) this.#logger.setLevel(parsed, component === '' ? undefined : component);
  }

  #report(id: number): void {
    const nowMs = systemClock.nowMs();
    const clusters = [...this.#clusters.all()].map((cluster) => clusterReport(cluster, nowMs));
    this.#post({ kind: 'report', id, report: { connections: this.#plane.connectionCount, clusters } });
  }

  #applied(resource: string, version: string): void {
    this.#logger.debug('applied', { resource, version });
  }

  #every(intervalMs: number, run: () => void): void {
    const timer = new TimerNode((node) => {
      run();
      this.#timers.arm(node, intervalMs);
    });
    this.#timers.arm(timer, intervalMs);
  }

  #reportBug(what: string, error: unknown): void {
    this.#logger.error(`unexpected error in ${what}`, { error: textOf(error) });
  }
}

function loopLogger(init: LoopInit, post: PostToMain): Logger {
  const logger = createLogger({
    component: 'loop',
    level: init.logLevel,
    format: init.logFormat,
    write: (line) => post({ kind: 'log', line }),
  });
  for (const [component, level] of Object.entries(init.componentLogLevels)) logger.setLevel(level, component);
  return logger;
}

function clusterReport(cluster: ClusterState, nowMs: number): ClusterReport {
  return {
    name: cluster.name,
    isInPanic: cluster.isInPanic,
    endpoints: cluster.endpoints.map((endpoint) => ({
      label: endpoint.label,
      hostname: endpoint.hostname,
      weight: endpoint.weight,
      priority: endpoint.priority,
      region: endpoint.locality.region,
      zone: endpoint.locality.zone,
      subZone: endpoint.locality.subZone,
      health: endpoint.health,
      activeRequests: endpoint.activeRequests,
      isAvoided: endpoint.avoidUntilMs > nowMs,
      stats: { ...endpoint.stats },
    })),
  };
}

function resourceOf(message: ToLoop): string {
  switch (message.kind) {
    case 'putCluster':
      return message.cluster.name;
    case 'putEndpoints':
      return message.assignment.clusterName;
    case 'putRoutes':
      return message.routes.name;
    case 'putListener':
      return message.listener.name;
    case 'listen':
      return message.listener;
    default:
      return message.kind;
  }
}

function textOf(error: unknown): string {
  return error instanceof Error ? (error.stack ?? error.message) : String(error);
}
