/** What admin shows, read from the running process. */
import type {
  Bootstrap,
  Cluster,
  ClusterLoadAssignment,
  JsonObject,
  JsonValue,
  Listener,
  RouteConfiguration,
  Secret,
} from '@sluice/xds';
import { daysUntilFirstExpiry } from '../admin/certs-page.ts';
import type { AdminSource, ClusterFacts, ConfigEntry, ListenerFacts } from '../admin/source.ts';
import { compileCluster } from '../cluster/compile-cluster.ts';
import type { ProxyProcess } from '../proxy-process.ts';
import { clusterManagerFamilies, listenerManagerFamilies } from '../telemetry/metrics/manager-stats.ts';
import { membershipFamilies } from '../telemetry/metrics/membership-stats.ts';
import { withFamilies } from '../telemetry/metrics/read-families.ts';
import { serverFamilies, type ServerFacts } from '../telemetry/metrics/server-stats.ts';
import type { ConfigStore, ResourceEntry, ResourceKind } from './config-store.ts';
import { newProblems } from './problems.ts';
import { HANDOVER_PROTOCOL } from '../restart/handover-messages.ts';

export interface AdminActions {
  /** Ends the process in order. */
  quit(): void;
  /** Ends the process when connections have ended, within the drain time. */
  drainAndExit(): void;
  readonly nowWallMs: () => number;
}

export function adminSource(proxy: ProxyProcess, actions: AdminActions): AdminSource {
  const { options, bootstrap, version, logger } = proxy.deps;
  const { store, node } = proxy;
  return {
    metrics: withFamilies(proxy.metrics, () => [
      ...membershipFamilies(proxy.clusters.memberships()),
      ...clusterManagerFamilies(proxy.clusters.facts()),
      ...listenerManagerFamilies(proxy.listeners.facts()),
      // A proxy without a control plane has not lost any.
      ...(bootstrap.dynamicResources?.adsConfig === undefined ? [] : proxy.subscriptions.families()),
      ...serverFamilies(serverStatFacts(proxy, actions)),
    ]),
    state: () => proxy.state(),
    notReadyReason: () => proxy.notReadyReason(),
    serverFacts: () => ({
      version,
      startedWallMs: proxy.startedWallMs,
      nowWallMs: actions.nowWallMs(),
      nodeId: node.id ?? '',
      nodeCluster: node.cluster ?? '',
      nodeMetadata: (node.metadata ?? {}) as JsonObject,
      locality: { region: '', zone: '', subZone: '', ...definedLocality(node.locality) },
      hotRestartVersion: options.hotRestart === null ? 'disabled' : `sluice.${HANDOVER_PROTOCOL}`,
      commandLine: { ...options.given, concurrency: options.concurrency } satisfies Record<string, JsonValue>,
    }),
    loopReports: () => proxy.loopReports(),
    clusters: () => store.all('cluster').flatMap((entry) => clusterFacts(entry)),
    listeners: () => listenerFacts(proxy),
    config: () => ({
      bootstrap: { ...bootstrap, node } as Bootstrap,
      bootstrapUpdatedMs: proxy.startedWallMs,
      clusters: entries<Cluster>(store, 'cluster'),
      listeners: entries<Listener>(store, 'listener'),
      routes: entries<RouteConfiguration>(store, 'routes'),
      endpoints: entries<ClusterLoadAssignment>(store, 'endpoints'),
      secrets: [...entries<Secret>(store, 'secret'), ...missingSecrets(proxy)],
    }),
    certificates: () => proxy.certificates(),
    runtimeLayers: () => proxy.layers,
    logLevels: () => logger.levels(),
    setLogLevel: (level, component) => proxy.setLogLevel(level, component),
    failHealthCheck: () => proxy.setHealthFailed(true),
    passHealthCheck: () => proxy.setHealthFailed(false),
    drainListeners: ({ isGraceful, isInboundOnly, skipsExit }) => {
      // Only a graceful drain of everything is a shutdown; the others stop accepting and go on.
      if (isGraceful && !isInboundOnly && !skipsExit) actions.drainAndExit();
      else proxy.listeners.stopListening(isInboundOnly);
    },
    quit: () => actions.quit(),
  };
}

function serverStatFacts(proxy: ProxyProcess, actions: AdminActions): ServerFacts {
  const { options } = proxy.deps;
  const memory = process.memoryUsage();
  return {
    state: proxy.state(),
    uptimeSeconds: Math.round((actions.nowWallMs() - proxy.startedWallMs) / 1_000),
    concurrency: options.concurrency,
    hotRestartEpoch: options.hotRestart?.epoch ?? 0,
    memoryBytes: memory.rss,
    heapBytes: memory.heapUsed,
    connections: proxy.connectionCount,
    daysUntilFirstExpiry: daysUntilFirstExpiry(proxy.certificates(), actions.nowWallMs()),
  };
}

function definedLocality(
  locality:
    { region?: string | undefined; zone?: string | undefined; subZone?: string | undefined } | undefined,
): object {
  return Object.fromEntries(Object.entries(locality ?? {}).filter(([, value]) => value !== undefined));
}

function clusterFacts(entry: ResourceEntry): ClusterFacts[] {
  if (entry.live === null) return [];
  const settings = compileCluster(entry.live.message as Cluster, newProblems());
  return [
    {
      name: entry.name,
      statName: settings.statName,
      isAddedByApi: !entry.isStatic,
      limits: settings.limits,
      highPriorityLimits: settings.highPriorityLimits,
    },
  ];
}

function listenerFacts(proxy: ProxyProcess): ListenerFacts[] {
  return proxy.listeners.sockets().map(({ listener, socket }) => ({
    name: listener,
    address: socket.spec.address,
    port: socket.port,
  }));
}

/** What listeners and clusters name and nobody has sent: the first thing to look for where handshakes are refused. */
function missingSecrets({ store, listeners, clusters, secrets }: ProxyProcess): ConfigEntry<Secret>[] {
  const missing = [...listeners.messages(), ...clusters.messages()].flatMap((message) =>
    secrets.missingFor(message).map(({ name }) => name),
  );
  const refused = new Set(store.all('secret').map(({ name }) => name));
  return [...new Set(missing)]
    .filter((name) => !refused.has(name))
    .map((name) => ({
      name,
      isStatic: false,
      isAbsent: secrets.isAbsent(name),
      state: 'warming',
      version: '',
      updatedMs: 0,
      message: null,
      unhonoured: [],
      rejected: null,
    }));
}

function entries<T>(store: ConfigStore, kind: ResourceKind): ConfigEntry<T>[] {
  return store.all(kind).flatMap((entry) => {
    const both = entry.live !== null && entry.warming !== null;
    const rows = [
      entryOf<T>(entry, entry.live ?? entry.warming, entry.live === null && entry.warming !== null),
    ];
    return both ? [...rows, entryOf<T>(entry, entry.warming, true)] : rows;
  });
}

function entryOf<T>(entry: ResourceEntry, held: ResourceEntry['live'], isWarming: boolean): ConfigEntry<T> {
  return {
    name: entry.name,
    isStatic: entry.isStatic,
    state: isWarming ? 'warming' : 'active',
    version: held?.version ?? '',
    updatedMs: held?.updatedMs ?? 0,
    message: (held?.message ?? null) as T | null,
    unhonoured: (held?.unhonoured ?? []).map(splitLine),
    rejected:
      entry.rejected === null
        ? null
        : { details: entry.rejected.reason, version: entry.rejected.version, atMs: entry.rejected.atMs },
  };
}

/** `path: message`, as problems are written. */
function splitLine(line: string): { path: string; message: string } {
  const colon = line.indexOf(': ');
  return colon < 0
    ? { path: '', message: line }
    : { path: line.slice(0, colon), message: line.slice(colon + 2) };
}
