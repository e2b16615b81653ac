/**
 * The control plane put together, in the order in which it may be used: state, settings, sources, registry, then
 * model and translation, then API and metrics, and xDS last, when every source and the registry are restored
 * (design §6, xDS). A step that fails takes down what the steps before it opened.
 */
import { join, resolve } from 'node:path';
import type { MeshSettings } from '@sluice/api';
import { spiffeId } from '@sluice/identity';
import { MetricsRegistry, systemClock, type Clock, type Logger } from '@sluice/runtime';
import { openAuthority, type IdentityOptions, type OpenedAuthority } from './authority/open-authority.ts';
import { advertisedAddress, controlAccount, localAddresses } from './authority/server-credential.ts';
import { soleLeadership, type Leadership } from './leader/leadership.ts';
import { InstanceRegistry } from './registry/instance-registry.ts';
import { checkIntervalMs } from './registry/lease-table.ts';
import { sqliteRegistryTable } from './registry/registry-table.ts';
import { Access, loadToken } from './serve/access.ts';
import { createApiMetrics, createMetricsHandler } from './serve/api-metrics.ts';
import { createApiHandler } from './serve/api-server.ts';
import { createIdentityApi } from './serve/api/identity-api.ts';
import { createMeshApi } from './serve/api/mesh-api.ts';
import { createResourceApi } from './serve/api/resource-api.ts';
import type { BootstrapOptions } from './serve/bootstrap.ts';
import { buildViews } from './serve/build-views.ts';
import { startHttpServer, type HttpServer } from './serve/http-server.ts';
import type { CreateMeshServing, MeshServing } from './serve/mesh-serving.ts';
import type { ControlAddresses, MeshViews, SidecarSettings } from './serve/mesh-views.ts';
import { admission, readResourceText } from './source/admission.ts';
import { analyzeText } from './source/analyze-text.ts';
import { openFolderSource } from './source/folder.ts';
import { openMeshConfig, type MeshConfigSource } from './source/mesh-config.ts';
import { openSqliteStore } from './source/sqlite-store.ts';
import { openStateFile, type StateFile } from './source/state-file.ts';
import type { ResourceStore } from './source/store.ts';

export interface ControlOptions {
  readonly stateDir: string;
  /** Folders of resources, or single files. */
  readonly resources: readonly string[];
  /** Likewise; those that are missing are taken over when they appear. */
  readonly optionalResources?: readonly string[];
  /** sluice.yaml; undefined for a mesh with defaults. */
  readonly meshConfig: string | undefined;
  readonly xdsAddress: string;
  readonly apiAddress: string;
  readonly metricsAddress: string;
  readonly identity: IdentityOptions;
}

export interface ControlDependencies {
  readonly serving: CreateMeshServing;
  readonly log: Logger;
  readonly version: string;
  readonly clock?: Clock;
}

export interface RunningControl {
  readonly addresses: ControlAddresses;
  readonly token: string;
  /** The page's address with a login that is good for one use. */
  loginLink(): string;
  readonly store: ResourceStore;
  readonly registry: InstanceRegistry;
  close(): Promise<void>;
}

/** Starts everything. Throws this package's errors (errors.ts), whose messages are for the operator. */
export async function startControl(
  options: ControlOptions,
  dependencies: ControlDependencies,
): Promise<RunningControl> {
  const closers: Closers = [];
  const close = async (): Promise<void> => {
    for (let closer = closers.pop(); closer !== undefined; closer = closers.pop()) await closer();
  };
  try {
    return await compose(options, dependencies, closers, close);
  } catch (error) {
    await close();
    throw error;
  }
}

/** What everything else stands on: state, settings, sources, and what comes to be known later. */
interface Ground {
  readonly options: ControlOptions;
  readonly version: string;
  readonly log: Logger;
  readonly clock: Clock;
  readonly metrics: MetricsRegistry;
  readonly startedAt: string;
  readonly closers: Closers;
  readonly file: StateFile;
  readonly token: string;
  readonly meshConfig: MeshConfigSource;
  readonly store: ResourceStore;
  readonly leadership: Leadership;
  /** As configured until they are bound. */
  readonly addresses: ControlAddresses;
  /** Filled while composing: parts that ask each other. */
  readonly late: { serving: MeshServing | null; identity: OpenedAuthority | null };
}

type Closers = (() => void | Promise<void>)[];

async function compose(
  options: ControlOptions,
  dependencies: ControlDependencies,
  closers: Closers,
  close: () => Promise<void>,
): Promise<RunningControl> {
  const ground = openGround(options, dependencies, closers);
  const { addresses, store, token } = ground;
  const registry = openRegistry(ground);
  const identity = openIdentity(ground, registry);
  const mesh = openServing(ground, registry, identity, dependencies.serving);
  let isServing = false;
  const ports = openPorts(ground, {
    registry,
    identity,
    mesh,
    readiness: () => (isServing ? [] : ['xDS is not open yet']),
  });
  const { xds, secure } = await mesh.listen();
  const reached = advertisedAddress(secure, options.identity.names);
  Object.assign(addresses, { metrics: ports.metrics, api: ports.api, xds, secure: reached });
  isServing = true;
  ground.log.info('control plane ready', {
    ...addresses,
    resources: [...store.all()].length,
    instances: registry.instances.size,
  });
  return {
    addresses,
    token,
    loginLink: () => `http://${addresses.api}/${ports.access.newLoginLink()}`,
    store,
    registry,
    close,
  };
}

function openGround(options: ControlOptions, dependencies: ControlDependencies, closers: Closers): Ground {
  const { log, version, clock = systemClock } = dependencies;
  const startedAt = isoTime(clock);
  const file = openStateFile(resolve(options.stateDir));
  closers.push(() => file.close());
  const late: Ground['late'] = { serving: null, identity: null };
  const meshConfig = openMeshConfig({
    file: options.meshConfig,
    lastGood: join(resolve(options.stateDir), 'mesh-config.last-good.yaml'),
    log: log.child('mesh-config'),
    onChange: (settings: MeshSettings) => late.serving?.updateSettings(settings),
  });
  closers.push(() => meshConfig.close());
  return {
    options,
    version,
    log,
    clock,
    metrics: new MetricsRegistry(),
    startedAt,
    closers,
    file,
    token: loadToken(resolve(options.stateDir)),
    meshConfig,
    store: openSources(options, file, { clock, log, closers }),
    // The lock on the state, which is held by now, makes this the only one.
    leadership: soleLeadership(),
    addresses: {
      xds: options.xdsAddress,
      secure: options.identity.secureAddress,
      api: options.apiAddress,
      metrics: options.metricsAddress,
    },
    late,
  };
}

function openRegistry({
  store,
  file,
  leadership,
  clock,
  log,
  meshConfig,
  late,
  closers,
}: Ground): InstanceRegistry {
  const registry = new InstanceRegistry({
    store,
    table: sqliteRegistryTable(file),
    leadership,
    clock,
    log: log.child('registry'),
    clusterDomain: meshConfig.settings.clusterDomain,
    outboundServices: (instance) => late.serving?.outboundServices(instance) ?? [],
    strictPorts: (instance) => late.serving?.strictPorts(instance) ?? [],
    revoked: () => late.identity?.authority.revokedInstances ?? new Set(),
  });
  const endExpiry = leadership.take({
    name: 'lease expiry',
    begin: () => {
      const ticker = setInterval(() => registry.check(), checkIntervalMs);
      return () => clearInterval(ticker);
    },
  });
  closers.push(endExpiry);
  return registry;
}

function openIdentity(ground: Ground, registry: InstanceRegistry): OpenedAuthority {
  const { options, file, store, leadership, meshConfig, metrics, clock, log, late, addresses, closers } =
    ground;
  const identity = openAuthority({
    options: options.identity,
    file,
    store,
    leadership,
    settings: meshConfig.settings,
    metrics,
    clock,
    log: log.child('identity'),
    hasReachedAll: () => late.serving?.hasReachedAll() ?? false,
    secureAddress: () => addresses.secure,
  });
  late.identity = identity;
  closers.push(() => identity.close());
  identity.authority.subscribe((change) => {
    if (change === 'instances') registry.reviewRevoked();
  });
  registry.reviewRevoked();
  return identity;
}

function openServing(
  { options, store, leadership, meshConfig, metrics, clock, log, late, addresses, closers }: Ground,
  registry: InstanceRegistry,
  identity: OpenedAuthority,
  create: CreateMeshServing,
): MeshServing {
  const mesh = create({
    store,
    registry,
    leadership,
    settings: meshConfig.settings,
    metrics,
    clock,
    log: log.child('ads'),
    ownAddresses: () => [
      addresses.xds,
      ...localAddresses(addresses.secure),
      addresses.api,
      addresses.metrics,
    ],
    xdsAddress: options.xdsAddress,
    identity,
  });
  late.serving = mesh;
  closers.push(() => mesh.close());
  return mesh;
}

interface PortParts {
  readonly registry: InstanceRegistry;
  readonly identity: OpenedAuthority;
  readonly mesh: MeshServing;
  readonly readiness: () => readonly string[];
}

/** Metrics and API; returns where they listen. */
function openPorts(ground: Ground, parts: PortParts): { access: Access; metrics: string; api: string } {
  const { options, version, store, clock, metrics, log, closers, meshConfig } = ground;
  const { registry, identity, readiness } = parts;
  const views = viewsOf(ground, parts);
  const access = new Access({ token: ground.token, clock });
  const metricsServer = startHttpServer({
    address: options.metricsAddress,
    flag: '--metrics-address',
    purpose: 'metrics',
    fetch: createMetricsHandler({
      metrics,
      log: log.child('metrics'),
      store,
      storageTrouble: () => ground.file.trouble(),
      registry,
      readiness,
      access,
    }),
  });
  closers.push(() => metricsServer.close());
  const bootstrap = bootstrapOf(ground.addresses, meshConfig.settings);
  const api = startApi(options, {
    log,
    clock,
    metrics,
    version,
    store,
    registry,
    access,
    views,
    readiness,
    bootstrap,
    identity,
  });
  closers.push(() => api.close());
  return { access, metrics: metricsServer.address, api: api.address };
}

function viewsOf(ground: Ground, { registry, mesh }: PortParts): MeshViews {
  const { store, file, meshConfig, version, startedAt, clock, addresses } = ground;
  return buildViews({
    store,
    registry,
    proxies: () => mesh.proxies.proxies.values(),
    services: () => mesh.services(),
    edges: (of) => mesh.edges(of),
    settingsProblems: () => meshConfig.problems,
    analyze: (text) => analyzeText(text, 'stdin', store, meshConfig.settings),
    about: () => ({
      version,
      startedAt,
      now: isoTime(clock),
      addresses,
      storageTrouble: file.trouble(),
      sidecars: sidecarsOf(meshConfig.settings),
    }),
  });
}

/** The store, and the folders of resources read into it. */
function openSources(
  options: ControlOptions,
  file: StateFile,
  { clock, log, closers }: { readonly clock: Clock; readonly log: Logger; readonly closers: Closers },
): ResourceStore {
  const store = openSqliteStore(file, {
    admission,
    wallMs: () => clock.wallMs(),
    onListenerError: (error) => {
      log.error('a change could not be taken over', {
        error: error instanceof Error ? (error.stack ?? '') : String(error),
      });
    },
  });
  closers.push(() => store.close());
  const { resources, optionalResources = [] } = options;
  if (resources.length + optionalResources.length === 0) return store;
  const folder = openFolderSource({
    paths: resources,
    optionalPaths: optionalResources,
    store,
    read: readResourceText,
    log: log.child('folder'),
  });
  closers.push(() => folder.close());
  return store;
}

/** Asked for when an instance registers: by then the ports are known. */
function bootstrapOf(addresses: ControlAddresses, settings: MeshSettings): BootstrapOptions {
  return {
    get xdsAddress() {
      return addresses.xds;
    },
    get secureAddress() {
      return addresses.secure;
    },
    controlId: spiffeId(settings.trustDomain, settings.rootNamespace, controlAccount),
    clusterDomain: settings.clusterDomain,
    clusterId: 'Kubernetes',
  };
}

function sidecarsOf(settings: MeshSettings): SidecarSettings {
  const { concurrency, drainDurationMs, terminationDrainDurationMs } = settings;
  return { concurrency, drainMs: drainDurationMs, terminationDrainMs: terminationDrainDurationMs };
}

function isoTime(clock: Clock): string {
  return new Date(clock.wallMs()).toISOString();
}

interface ApiParts {
  readonly log: Logger;
  readonly clock: Clock;
  readonly metrics: MetricsRegistry;
  readonly version: string;
  readonly store: ResourceStore;
  readonly registry: InstanceRegistry;
  readonly access: Access;
  readonly views: MeshViews;
  readonly readiness: () => readonly string[];
  readonly bootstrap: BootstrapOptions;
  readonly identity: OpenedAuthority;
}

function startApi(options: ControlOptions, parts: ApiParts): HttpServer {
  const { clock, version, store, registry, access, views, readiness, bootstrap } = parts;
  const log = parts.log.child('api');
  const handler = createApiHandler({
    access,
    resources: createResourceApi({ store, clock, log, version }),
    mesh: createMeshApi({
      views,
      registry,
      access,
      bootstrap,
      log,
      identity: createIdentityApi(parts.identity, clock, log.child('audit')),
    }),
    views,
    readiness,
    metrics: createApiMetrics(parts.metrics),
    clock,
    log,
  });
  return startHttpServer({
    address: options.apiAddress,
    flag: '--api-address',
    purpose: 'API',
    fetch: handler,
  });
}
