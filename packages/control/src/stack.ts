/**
 * The control plane put together, in the order in which it may be used: state, settings, sources, registry, then
 * model and translation, then API and metrics, and xDS last, when every source and the registry are restored
 * (design §6, xDS). A step that fails takes down what the steps before it opened.
 */
import { resolve } from 'node:path';
import type { MeshSettings } from '@sluice/api';
import { spiffeId } from '@sluice/identity';
import { MetricsRegistry, systemClock, type Clock, type Logger } from '@sluice/runtime';
import { openAuthority, type IdentityOptions, type OpenedAuthority } from './authority/open-authority.ts';
import { advertisedAddress, controlAccount, localAddresses } from './authority/server-credential.ts';
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
import { openMeshConfig } from './source/mesh-config.ts';
import { openSqliteStore } from './source/sqlite-store.ts';
import { openStateFile, type StateFile } from './source/state-file.ts';
import type { ResourceStore } from './source/store.ts';

export interface ControlOptions {
  readonly stateDir: string;
  /** Folders of resources, or single files. */
  readonly resources: readonly string[];
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
  const closers: (() => void | Promise<void>)[] = [];
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

async function compose(
  options: ControlOptions,
  dependencies: ControlDependencies,
  closers: (() => void | Promise<void>)[],
  close: () => Promise<void>,
): Promise<RunningControl> {
  const { log, clock = systemClock } = dependencies;
  const metrics = new MetricsRegistry();
  const startedAt = isoTime(clock);
  const file = openStateFile(resolve(options.stateDir));
  closers.push(() => file.close());
  const token = loadToken(resolve(options.stateDir));

  let serving: MeshServing | null = null;
  const meshConfig = openMeshConfig({
    file: options.meshConfig,
    log: log.child('mesh-config'),
    onChange: (settings: MeshSettings) => serving?.updateSettings(settings),
  });
  closers.push(() => meshConfig.close());
  const { settings } = meshConfig;

  const store = openSources(options, file, { clock, log, closers });
  let opened: OpenedAuthority | null = null;
  const registry = new InstanceRegistry({
    store,
    table: sqliteRegistryTable(file),
    clock,
    log: log.child('registry'),
    clusterDomain: settings.clusterDomain,
    outboundServices: (instance) => serving?.outboundServices(instance) ?? [],
    strictPorts: (instance) => serving?.strictPorts(instance) ?? [],
    revoked: () => opened?.authority.revokedInstances ?? new Set(),
  });
  const ticker = setInterval(() => registry.check(), checkIntervalMs);
  closers.push(() => clearInterval(ticker));

  const addresses = {
    xds: options.xdsAddress,
    secure: options.identity.secureAddress,
    api: options.apiAddress,
    metrics: options.metricsAddress,
  };
  const identity = openAuthority({
    options: options.identity,
    file,
    store,
    settings,
    metrics,
    clock,
    log: log.child('identity'),
    hasReachedAll: () => serving?.hasReachedAll() ?? false,
    secureAddress: () => addresses.secure,
  });
  opened = identity;
  closers.push(() => identity.close());
  identity.authority.subscribe((change) => {
    if (change === 'instances') registry.reviewRevoked();
  });
  registry.reviewRevoked();
  const mesh = dependencies.serving({
    store,
    registry,
    settings,
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
  serving = mesh;
  closers.push(() => mesh.close());

  let isServing = false;
  const readiness = (): readonly string[] => (isServing ? [] : ['xDS is not open yet']);
  const views = buildViews({
    store,
    registry,
    proxies: () => mesh.proxies.proxies.values(),
    services: () => mesh.services(),
    edges: (of) => mesh.edges(of),
    analyze: (text) => analyzeText(text, 'stdin', store, meshConfig.settings),
    about: () => ({
      version: dependencies.version,
      startedAt,
      now: isoTime(clock),
      addresses,
      sidecars: sidecarsOf(meshConfig.settings),
    }),
  });
  const access = new Access({ token, clock });
  const metricsServer = startHttpServer({
    address: options.metricsAddress,
    flag: '--metrics-address',
    purpose: 'metrics',
    fetch: createMetricsHandler({ metrics, log: log.child('metrics'), store, registry, readiness, access }),
  });
  closers.push(() => metricsServer.close());
  const bootstrap = bootstrapOf(addresses, settings);
  const api = startApi(options, {
    log,
    clock,
    metrics,
    version: dependencies.version,
    store,
    registry,
    access,
    views,
    readiness,
    bootstrap,
    identity,
  });
  closers.push(() => api.close());

  const { xds, secure } = await mesh.listen();
  const reached = advertisedAddress(secure, options.identity.names);
  Object.assign(addresses, { metrics: metricsServer.address, api: api.address, xds, secure: reached });
  isServing = true;
  log.info('control plane ready', {
    ...addresses,
    resources: [...store.all()].length,
    instances: registry.instances.size,
  });
  return {
    addresses,
    token,
    loginLink: () => `http://${addresses.api}/${access.newLoginLink()}`,
    store,
    registry,
    close,
  };
}

/** The store, and the folders of resources read into it. */
function openSources(
  options: ControlOptions,
  file: StateFile,
  {
    clock,
    log,
    closers,
  }: { readonly clock: Clock; readonly log: Logger; readonly closers: (() => void | Promise<void>)[] },
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
  if (options.resources.length === 0) return store;
  const folder = openFolderSource({
    paths: options.resources,
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
