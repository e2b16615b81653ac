/** An admin source for tests: fixed facts, and a record of what was asked of it. */
import { MetricsRegistry, parseLogLevel, type LogLevel } from '@sluice/runtime';
import {
  BootstrapTable,
  ClusterLoadAssignmentTable,
  ClusterTable,
  createMessage,
  ListenerTable,
  RouteConfigurationTable,
  type Listener,
} from '@sluice/xds';
import type { EndpointReport, LoopReport } from '../data-loop.ts';
import { createClusterStats } from '../telemetry/metrics/cluster-stats.ts';
import type { ServerState } from '../telemetry/metrics/server-stats.ts';
import type { CertificateFacts } from './certs-page.ts';
import type { AdminSource, ConfigEntry, ConfigState } from './source.ts';

/** 2026-11-23T10:00:00Z */
export const NOW_MS = Date.UTC(2026, 10, 23, 10);

export class TestSource implements AdminSource {
  readonly metrics = new MetricsRegistry();
  readonly asked: string[] = [];
  serverState: ServerState = 'LIVE';
  reason = '';
  configState: ConfigState = emptyConfig();
  contexts: readonly CertificateFacts[] = [];
  reports: LoopReport[] = [loopReport(1), loopReport(2)];
  levels: Record<string, LogLevel> = { router: 'info', pool: 'info' };

  constructor() {
    const stats = createClusterStats(this.metrics, 'reviews');
    stats.requestStarted();
    stats.requestEnded(200, 7);
    stats.requestStarted();
    // Bound without ever being counted: shown as 0, and left out by `usedonly`.
    this.metrics
      .family('counter', 'envoy_cluster_upstream_cx_total', 'Connections opened.', ['envoy_cluster_name'])
      .labels(['idle']);
  }

  state(): ServerState {
    return this.serverState;
  }

  notReadyReason(): string {
    return this.reason;
  }

  serverFacts() {
    return {
      version: '0.1.0',
      startedWallMs: NOW_MS - 90_500,
      nowWallMs: NOW_MS,
      nodeId: 'sidecar~10.0.0.5~a.default~default.svc.cluster.local',
      nodeCluster: 'a.default',
      nodeMetadata: { NAMESPACE: 'default', API_TOKEN: 'x', token: 'hush' },
      locality: { region: 'eu', zone: 'a', subZone: '' },
      hotRestartVersion: 'disabled',
      commandLine: { concurrency: 1 },
    };
  }

  loopReports(): Promise<readonly LoopReport[]> {
    return Promise.resolve(this.reports);
  }

  clusters() {
    const limits = { maxConnections: 1024, maxPendingRequests: 1024, maxRequests: 1024, maxRetries: 3 };
    return [{ name: 'reviews', statName: 'reviews', isAddedByApi: true, limits, highPriorityLimits: limits }];
  }

  listeners() {
    return [
      { name: 'virtualOutbound', address: '0.0.0.0', port: 15001 },
      { name: 'six', address: '::1', port: 80 },
      { name: 'unix', address: '/run/a.sock', port: 0 },
    ];
  }

  config(): ConfigState {
    return this.configState;
  }

  certificates(): readonly CertificateFacts[] {
    return this.contexts;
  }

  runtimeLayers() {
    return [
      { name: 'base', entries: new Map([['a.b', 1]]) },
      { name: 'admin', entries: new Map([['a.b', 2]]) },
    ];
  }

  logLevels(): Readonly<Record<string, LogLevel>> {
    return this.levels;
  }

  setLogLevel(level: LogLevel, component: string | undefined): void {
    for (const name of component === undefined ? Object.keys(this.levels) : [component]) {
      this.levels[name] = parseLogLevel(level) ?? 'off';
    }
  }

  failHealthCheck(): void {
    this.asked.push('fail');
  }

  passHealthCheck(): void {
    this.asked.push('pass');
  }

  drainListeners(options: object): void {
    this.asked.push(`drain ${JSON.stringify(options)}`);
  }

  quit(): void {
    this.asked.push('quit');
  }
}

function loopReport(n: number): LoopReport {
  const endpoint: EndpointReport = {
    label: '10.0.0.7:9080',
    hostname: 'pod-7',
    weight: 1,
    priority: 0,
    region: 'eu',
    zone: 'a',
    subZone: '',
    health: 'HEALTHY',
    activeRequests: n,
    isAvoided: false,
    stats: {
      requests: 10 * n,
      errors: n,
      successes: 9 * n,
      timeouts: 0,
      connections: n,
      connectFailures: 0,
      activeConnections: n,
    },
  };
  return { connections: n, clusters: [{ name: 'reviews', isInPanic: false, endpoints: [endpoint] }] };
}

export function entryOf<T>(
  name: string,
  message: T | null,
  part: Partial<ConfigEntry<T>> = {},
): ConfigEntry<T> {
  return {
    name,
    message,
    isStatic: false,
    state: 'active',
    version: 'v1',
    updatedMs: NOW_MS,
    unhonoured: [],
    rejected: null,
    ...part,
  };
}

export function emptyConfig(): ConfigState {
  return {
    bootstrap: createMessage(BootstrapTable, {}),
    bootstrapUpdatedMs: NOW_MS,
    clusters: [],
    listeners: [],
    routes: [],
    endpoints: [],
    secrets: [],
  };
}

export function smallConfig(): ConfigState {
  const rejected = { details: 'timeout: not supported', version: 'v2', atMs: NOW_MS };
  const unhonoured = [{ path: 'lb_subset_config', message: 'not honoured: no subsets' }];
  const listener = createMessage(ListenerTable, { name: 'virtualOutbound' });
  return {
    ...emptyConfig(),
    clusters: [
      entryOf('xds', createMessage(ClusterTable, { name: 'xds' }), { isStatic: true }),
      entryOf('reviews', createMessage(ClusterTable, { name: 'reviews', connectTimeout: 1500 }), {
        unhonoured,
      }),
      entryOf('late', createMessage(ClusterTable, { name: 'late' }), { state: 'warming' }),
    ],
    listeners: [
      entryOf('virtualOutbound', listener, { rejected }),
      entryOf('virtualOutbound', listener, { state: 'draining', version: 'v0' }),
      entryOf<Listener>('never', null, { rejected }),
    ],
    routes: [entryOf('9080', createMessage(RouteConfigurationTable, { name: '9080' }))],
    endpoints: [entryOf('reviews', createMessage(ClusterLoadAssignmentTable, { clusterName: 'reviews' }))],
  };
}
