/**
 * The main thread of a proxy: configuration in, data loops fed, admin's questions answered. Carries no
 * traffic. Life: start → (initial configuration) ready → drain → stopped; each state shows in `/ready`.
 */
import {
  MetricsAggregator,
  MetricsRegistry,
  startTimerDriver,
  systemClock,
  TimerNode,
  TimerWheel,
  type Logger,
  type LogLevel,
} from '@sluice/runtime';
import { xdsTypes, type Bootstrap, type Init, type JsonObject, type Node, type Secret } from '@sluice/xds';
import { DnsClusters } from './cluster/dns-clusters.ts';
import { reservedLimitSlots } from './tcp/connection-limits.ts';
import { LimitSlots, newLimitsMemory } from './cluster/shared-limits.ts';
import { systemResolver } from './cluster/system-resolver.ts';
import type { CommandLine } from './command-line.ts';
import type { ActivationBase } from './config/activation-base.ts';
import { controlPlaneClusters } from './config/check-static.ts';
import type { CertificateFacts } from './admin/certs-page.ts';
import { certificateContexts } from './config/certificate-contexts.ts';
import { ConfigChecker } from './config/checker.ts';
import { ClusterActivation, type ActivationDeps } from './config/cluster-activation.ts';
import { ConfigStore } from './config/config-store.ts';
import { ListenerActivation } from './config/listener-activation.ts';
import type { SecretActivation } from './config/secret-activation.ts';
import { flatRuntime, runtimeLayers, type FlatLayer } from './config/runtime-layers.ts';
import type { LoopInit, LoopReport } from './data-loop.ts';
import { HeapTrim } from './heap-trim.ts';
import { releaseStartupPages } from './startup-pages.ts';
import type { IdentityWiring } from './identity/start-identity.ts';
import { WorkloadSecrets } from './identity/workload-secrets.ts';
import type { FileLogSinks, LogSinks } from './telemetry/log-sinks.ts';
import { recordInitialization } from './telemetry/metrics/server-stats.ts';
import { SubscriptionStats } from './telemetry/metrics/subscription-stats.ts';
import { Fleet, type LoopPort } from './workers/fleet.ts';
import type { ListenSocket, ListenSpec } from './workers/listen-socket.ts';
import { AdsConfiguration } from './xds/ads-configuration.ts';
import { ControlPlaneLink } from './xds/control-plane-link.ts';
import { nodeOf } from './xds/node.ts';

export interface ProxyProcessDeps {
  readonly bootstrap: Bootstrap;
  readonly bootstrapWarnings: readonly string[];
  readonly options: CommandLine;
  readonly hostname: string;
  readonly environment: Readonly<Record<string, string>>;
  readonly version: string;
  readonly logger: Logger;
  readonly writeLog: (line: string) => void;
  readonly spawn: (index: number) => LoopPort;
  /** A transport to `host:port` or `unix:/path`. */
  readonly transport: IdentityWiring['transport'];
  readonly createSinks: (wheel: TimerWheel, metrics: MetricsRegistry) => FileLogSinks;
  /** A listening socket that the process before has left, by hot restart. */
  readonly inherit?: (listener: string, spec: ListenSpec) => ListenSocket | null;
  /** Told once, when the initial configuration serves. */
  readonly onLive?: () => void;
}

export type ProxyState = 'PRE_INITIALIZING' | 'INITIALIZING' | 'LIVE' | 'DRAINING';

export class ProxyProcess {
  readonly deps: ProxyProcessDeps;
  readonly store = new ConfigStore();
  readonly metrics = new MetricsAggregator();
  readonly layers: readonly FlatLayer[];
  readonly node: Init<Node>;
  readonly startedWallMs = systemClock.wallMs();
  readonly subscriptions = new SubscriptionStats(() => systemClock.wallMs());
  readonly secrets: SecretActivation;
  readonly listeners: ListenerActivation;
  readonly clusters: ClusterActivation;
  readonly #own = new MetricsRegistry();
  readonly #timers: TimerWheel;
  readonly #slots: LimitSlots;
  readonly #limits = newLimitsMemory();
  readonly #dns: DnsClusters;
  readonly #fleet: Fleet;
  readonly #sinks: FileLogSinks;
  readonly #trim: HeapTrim;
  readonly #workload: WorkloadSecrets;
  readonly #controlPlane: ControlPlaneLink;
  readonly #ads: AdsConfiguration;
  #connectionCount = 0;
  #isStarted = false;
  #isDraining = false;
  #isHealthFailed = false;
  #wasReady = false;
  #isAwaitingLoops = false;
  #onStopped: (() => void) | null = null;

  constructor(deps: ProxyProcessDeps) {
    const { bootstrap, options, logger } = deps;
    this.deps = deps;
    this.layers = runtimeLayers(bootstrap);
    this.#slots = new LimitSlots(reservedLimitSlots(flatRuntime(this.layers)));
    this.node = nodeOf(bootstrap.node, options, deps.version);
    this.#timers = new TimerWheel(systemClock, undefined, (error) => {
      logger.error('unexpected error in a timer', { error: String(error) });
    });
    startTimerDriver(this.#timers);
    const own = this.#own;
    this.metrics.attach('main', own);
    this.#sweepMetrics(own);
    this.#sinks = deps.createSinks(this.#timers, own);
    this.#fleet = this.#createFleet();
    this.#trim = new HeapTrim(this.#timers, () => {
      Bun.gc(true);
      this.#fleet.send({ kind: 'trim' });
    });
    const checker = new ConfigChecker(this.#compileFacts(), options.unsupportedFields);
    this.#dns = new DnsClusters({
      resolver: systemResolver,
      timers: this.#timers,
      random: Math.random,
      logger: logger.child('dns'),
      onEndpoints: (assignment) => this.clusters.putResolved(assignment),
    });
    const common: ActivationBase = {
      store: this.store,
      timers: this.#timers,
      wallMs: () => systemClock.wallMs(),
      send: (message) => this.#fleet.send(message),
      changed: () => this.#changed(),
      warn: (kind, name, lines) => {
        for (const line of lines)
          logger.warning('a configured field has no effect', { kind, name, field: line });
      },
      wentWithout: (kind, name, missing) =>
        logger.warning('goes live without what did not come in time', {
          kind,
          name,
          missing: missing.join(', '),
        }),
    };
    this.#workload = new WorkloadSecrets({
      ...common,
      mode: options.unsupportedFields,
      rules: { allowedPaths: options.allowedSecretPaths, environment: deps.environment },
      logger,
      metrics: own,
      identity: options.identity,
      nodeMetadata: (this.node.metadata ?? {}) as JsonObject,
      transport: deps.transport,
      arrived: (secret) => this.#secretArrived(secret),
      absent: () => this.#rewarm(),
      replaced: (kind, name) => this.#fileReplaced(kind, name),
    });
    this.secrets = this.#workload.activation;
    this.#controlPlane = new ControlPlaneLink(
      bootstrap,
      this.secrets,
      () => systemClock.wallMs(),
      (target, tls) => deps.transport(target, this.#timers, tls),
    );
    const shared: ActivationDeps = { ...common, checker, secrets: this.secrets };
    this.clusters = new ClusterActivation({ ...shared, slots: this.#slots, dns: this.#dns });
    this.listeners = new ListenerActivation({
      ...shared,
      drainMs: options.drainTimeMs,
      inherit: (name, spec) => deps.inherit?.(name, spec) ?? null,
      listen: (name, sockets) => this.#fleet.listen(name, sockets),
      unlisten: (name) => this.#fleet.unlisten(name),
      listening: (listener, address) => logger.info('listening', { listener, address }),
    });
    this.#ads = this.#createAds();
  }

  /** Throws when a static resource cannot be had (a port is taken); its message names it. */
  start(): void {
    for (const line of this.deps.bootstrapWarnings)
      this.deps.logger.warning('a configured field has no effect', { field: line });
    this.#fleet.start();
    this.#putStaticSecrets();
    // Before what waits for the certificate: a stored one is there at once.
    this.#workload.agent?.start();
    this.#putStatic();
    this.#isStarted = true;
    this.#ads.begin();
    this.#changed();
  }

  get sinks(): LogSinks {
    return this.#sinks;
  }

  state(): ProxyState {
    if (this.#isDraining || this.#isHealthFailed) return 'DRAINING';
    if (this.notReadyReason() === '') return 'LIVE';
    return this.#ads.isAwaited ? 'PRE_INITIALIZING' : 'INITIALIZING';
  }

  /** Empty when the proxy serves its initial configuration; it then stays ready over later updates. */
  notReadyReason(): string {
    if (this.#isDraining) return 'the proxy is draining';
    if (this.#isHealthFailed) return 'failed by /healthcheck/fail';
    if (this.#wasReady) return '';
    return this.#missing() || 'data loops are taking over the configuration';
  }

  /** What the initial configuration still waits for, in words. */
  #missing(): string {
    if (!this.#fleet.isReady) return 'data loops are starting';
    if (this.#workload.missing !== '') return this.#workload.missing;
    const dynamic = this.deps.bootstrap.dynamicResources;
    if (dynamic?.cdsConfig !== undefined && !this.#ads.hasReceived(xdsTypes.cluster)) {
      return 'no clusters have come from the control plane';
    }
    const [cluster] = this.clusters.warmingNames;
    if (cluster !== undefined) return `cluster "${cluster}" waits for ${this.clusters.waitingFor(cluster)}`;
    if (dynamic?.ldsConfig !== undefined && !this.#ads.hasReceived(xdsTypes.listener)) {
      return 'no listeners have come from the control plane';
    }
    const [listener] = this.listeners.warmingNames;
    if (listener !== undefined)
      return `listener "${listener}" waits for ${this.listeners.waitingFor(listener)}`;
    return '';
  }

  certificates(): CertificateFacts[] {
    const messages = [...this.listeners.liveMessages(), ...this.clusters.liveMessages()];
    return certificateContexts(messages, this.secrets.all());
  }

  setHealthFailed(isFailed: boolean): void {
    this.#isHealthFailed = isFailed;
  }

  /** As of the last report asked for. */
  get connectionCount(): number {
    return this.#connectionCount;
  }

  loopReports(): Promise<readonly LoopReport[]> {
    return this.#fleet.report().then((reports) => {
      this.#connectionCount = reports.reduce((sum, report) => sum + report.connections, 0);
      return reports;
    });
  }

  setLogLevel(level: LogLevel, component: string | undefined): void {
    this.deps.logger.setLevel(level, component);
    this.#fleet.send({ kind: 'setLogLevel', component: component ?? '', level });
  }

  reopenLogs(): void {
    this.#sinks.reopen();
  }

  /**
   * Not ready, no new connections, those that are open end; `onStopped` follows within `afterMs`. `mayWait`:
   * another process has taken the listening sockets over.
   */
  drain(afterMs: number, mayWait: boolean, onStopped: () => void): void {
    if (this.#isDraining) return;
    this.#isDraining = true;
    this.#onStopped = onStopped;
    this.#ads.stop();
    this.#dns.stop();
    this.#fleet.drain(afterMs, mayWait, () => void this.#stop());
    this.listeners.closeAll();
  }

  async #stop(): Promise<void> {
    this.#fleet.stop();
    // Not before: who still drains may need a connection with a valid certificate.
    this.#workload.agent?.stop();
    await this.#sinks.close(logGraceMs);
    this.#onStopped?.();
  }

  #putStaticSecrets(): void {
    for (const secret of this.deps.bootstrap.staticResources?.secrets ?? [])
      orThrow(`secret "${secret.name}"`, this.secrets.put(secret, '', null, 'static'));
  }

  #putStatic(): void {
    const { bootstrap } = this.deps;
    const control = controlPlaneClusters(bootstrap);
    for (const cluster of bootstrap.staticResources?.clusters ?? []) {
      if (control.has(cluster.name)) this.clusters.putControlPlane(cluster, 'static');
      else orThrow(`cluster "${cluster.name}"`, this.clusters.put(cluster, 'static', null, true));
    }
    this.#trim.applied(bootstrap.staticResources?.clusters.length ?? 0);
    for (const listener of bootstrap.staticResources?.listeners ?? []) {
      orThrow(`listener "${listener.name}"`, this.listeners.put(listener, 'static', null, true));
    }
  }

  #secretArrived(secret: Secret): void {
    const isShown = this.#controlPlane.put(secret);
    this.#rewarm();
    if (this.#isStarted && !this.#ads.hasBegun) this.#ads.begin();
    else if (isShown) this.#ads.move();
  }

  /** What waited for a secret need not wait for it any more. */
  #rewarm(): void {
    this.clusters.rewarm();
    this.listeners.rewarm();
  }

  #fileReplaced(kind: 'cluster' | 'listener', name: string): void {
    const control = this.#controlPlane.messages.find((cluster) => cluster.name === name);
    const rejection =
      kind === 'listener'
        ? this.listeners.refresh(name)
        : control === undefined
          ? this.clusters.refresh(name)
          : this.#controlPlane.refresh(control);
    if (rejection === null && control !== undefined) this.#ads.move();
    if (rejection === null) return;
    this.deps.logger.error('a file was replaced by one that cannot be used; what is loaded stays', {
      kind,
      name,
      problem: rejection,
    });
  }

  /** After every change: subscriptions follow what the configuration names; readiness is looked at again. */
  #changed(): void {
    if (this.#isDraining || this.#ads.isApplying) return;
    this.#ads.ask();
    if (!this.#wasReady && !this.#isAwaitingLoops && this.#missing() === '') void this.#awaitLoops();
  }

  /** A report is answered after everything sent before it has been applied. */
  async #awaitLoops(): Promise<void> {
    this.#isAwaitingLoops = true;
    await this.#fleet.report();
    this.#isAwaitingLoops = false;
    if (this.#isDraining || this.#wasReady || this.#missing() !== '') return;
    this.#wasReady = true;
    const afterMs = Math.round(systemClock.wallMs() - this.startedWallMs);
    recordInitialization(this.#own, afterMs);
    this.deps.logger.info('ready', { afterMs });
    this.#timers.schedule(startedMs, releaseStartupPages);
    this.deps.onLive?.();
  }

  #sweepMetrics(own: MetricsRegistry): void {
    const timer = new TimerNode((node) => {
      const nowMs = systemClock.nowMs();
      own.sweep(nowMs);
      this.metrics.sweep(nowMs, orphanedSeriesTtlMs);
      this.#timers.arm(node, metricsSweepIntervalMs);
    });
    this.#timers.arm(timer, metricsSweepIntervalMs);
  }

  #compileFacts(): Pick<LoopInit, 'runtime' | 'hostname' | 'environment' | 'allowedLogPaths'> {
    const { hostname, environment, options } = this.deps;
    const { allowedLogPaths } = options;
    return { hostname, environment, allowedLogPaths, runtime: flatRuntime(this.layers) };
  }

  #createAds(): AdsConfiguration {
    return new AdsConfiguration({
      bootstrap: this.deps.bootstrap,
      node: this.node,
      link: this.#controlPlane,
      activations: this,
      timers: this.#timers,
      logger: this.deps.logger.child('xds'),
      observer: this.subscriptions,
      onApplied: (resourceCount, mayName) => {
        this.#trim.applied(resourceCount);
        if (!this.#wasReady || mayName) this.#changed();
      },
      onDue: () => this.#changed(),
      onRefused: () => this.#workload.agent?.refusedByControlPlane(),
    });
  }

  #createFleet(): Fleet {
    const { options, logger, spawn, writeLog } = this.deps;
    return new Fleet({
      concurrency: options.concurrency,
      spawn,
      init: (index, share) => ({
        kind: 'init',
        index,
        limits: { total: this.#limits, share },
        drainMs: options.drainTimeMs,
        ...this.#compileFacts(),
        nodeMetadata: (this.node.metadata ?? {}) as LoopInit['nodeMetadata'],
        nodeId: this.node.id ?? '',
        nodeCluster: this.node.cluster ?? '',
        logLevel: options.logLevel,
        componentLogLevels: options.componentLogLevels,
        logFormat: options.logFormat,
      }),
      limitsTotal: this.#limits,
      limitSlotsUsed: () => this.#slots.used,
      metrics: this.metrics,
      logger: logger.child('loops'),
      nowMs: () => systemClock.nowMs(),
      later: (run, delayMs) => void setTimeout(run, delayMs),
      soon: (run) => void setTimeout(run, 0),
      onAccessLog: (message, taken) => taken(this.#sinks.onBatch(message).bytes),
      writeLog,
      onReady: () => this.#changed(),
    });
  }
}

const logGraceMs = 2_000;
/** After readiness: first requests have come, and what they need is mapped. */
const startedMs = 3_000;
const metricsSweepIntervalMs = 60_000;
/** Counters of a loop that is gone are shown this long, for its successor to go on with. */
const orphanedSeriesTtlMs = 600_000;

function orThrow(what: string, rejection: string | null): void {
  if (rejection !== null) throw new Error(`${what}: ${rejection}`);
}
