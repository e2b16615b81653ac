/**
 * Model, translation, ADS and status put together behind the seam that stack.ts uses.
 *
 * A store change goes into the model at once; what proxies are told of it is debounced. The life of an
 * update, file by file: docs/life-of-an-update.md.
 */
import type { MeshSettings } from '@sluice/api';
import { startTimerDriver, TimerWheel } from '@sluice/runtime';
import type { Logger } from '@sluice/runtime';
import type { LeaderDuty } from '../leader/leadership.ts';
import { MeshModel, type ModelChange, type ModelInput } from '../model/mesh-model.ts';
import type { MeshService } from '../model/service.ts';
import type { OutboundService } from '../registry/instance-registry.ts';
import type { RegisteredInstance, Registry } from '../registry/registry.ts';
import type { ResourceStore, StoreChange, StoredObject } from '../source/store.ts';
import type { ProxyProgress } from '../status/programmed.ts';
import { edgesOf } from '../status/edges.ts';
import { StatusWriter } from '../status/status-writer.ts';
import { translationSettings } from '../translate/mesh-settings.ts';
import type { MeshSettings as TranslationSettings } from '../translate/node.ts';
import { Translator } from '../translate/translator.ts';
import type { VisibleServices } from '../translate/visible-services.ts';
import { AdsServer } from './ads/ads-server.ts';
import { Debounce } from './ads/debounce.ts';
import { ClientNodes } from './client-nodes.ts';
import { GrpcServer } from './ads/grpc-server.ts';
import { isLoopback } from './access.ts';
import { localError } from '../errors.ts';
import { openSecurePort } from './secure-port.ts';
import { strictPortsOf } from './strict-ports.ts';
import { edgeClients } from './edge-clients.ts';
import { describeListenFailure, parseAddress } from './http-server.ts';
import type { MeshServing, MeshServingOptions } from './mesh-serving.ts';
import { serviceViews } from './service-views.ts';

/** Changes within this time of a push go together (istiod waits 100 ms before its first). */
const debounceMs = 50;
const xdsFlag = '--xds-address';
const grpcLimits = {
  maxStreams: 16,
  maxStreamsInAll: 1000,
  maxMessageBytes: 4 * 1024 * 1024,
  maxQueuedBytes: 64 * 1024 * 1024,
} as const;

export function createMeshServing(options: MeshServingOptions): MeshServing {
  const { store, registry, log } = options;
  const settings = readSettings(options.settings, log);
  const model = new MeshModel({
    clusterDomain: settings.clusterDomain,
    rootNamespace: settings.rootNamespace,
  });
  model.load(seenObjects(store, registry));
  const translator = new Translator(model, settings);
  const wheel = new TimerWheel(options.clock);
  const driver = startTimerDriver(wheel);
  const nodes = new ClientNodes((...allotment) => registry.outboundPort(...allotment), options.ownAddresses);
  const outbound = new OutboundLists(translator, nodes);

  const ads: AdsServer = new AdsServer({
    registry,
    snapshot: (instance, stream) => {
      const snapshot = translator.snapshot(nodes.forTranslation(instance, stream));
      return secure === null || stream.proof !== 'certificate'
        ? snapshot
        : secure.withSecrets(snapshot, instance);
    },
    admit: (node, peer) =>
      secure?.admit(node, peer) ?? { ok: false, reason: 'certificates are not served here' },
    wallMs: () => options.clock.wallMs(),
    metrics: options.metrics,
    log,
  });
  const progress = () => progressOf(ads, registry, nodes, translator);
  const status = createStatusWriter(options, model, progress, wheel);
  const server = new GrpcServer({ handlers: ads.handlers, log, ...grpcLimits });
  const push = new Debounce(wheel, debounceMs, () => {
    ads.pushAll();
    translator.sweep();
  });

  const secure = openSecurePort(options, ads, grpcLimits, () => push.trigger());
  const unfollow = followChanges(options, { model, translator, ads, secure, push, status });
  const unwatch = ads.subscribe(() => status.progressChanged());
  const endStatus = options.leadership.take(statusDuty(status));
  return {
    proxies: ads,
    services: () => serviceViews(model),
    edges: (of) =>
      edgesOf(model, edgeClients(registry.instances.values(), nodes, translator, of), translator.autoMtls),
    outboundServices: (instance) => outbound.of(instance),
    strictPorts: (instance) => strictPortsOf(model, nodes.of(instance, null)),
    updateSettings: (fresh: MeshSettings) => {
      translator.updateSettings(readSettings(fresh, log));
      push.trigger();
    },
    listen: async () => ({
      xds: await listenInTheClear(server, options.xdsAddress),
      secure: (await secure?.listen()) ?? '',
    }),
    hasReachedAll: () => secure?.hasReachedAll() ?? true,
    close: async () => {
      unfollow();
      unwatch();
      push.stop();
      endStatus();
      ads.close();
      driver.stop();
      await secure?.close();
      await server.close();
    },
  };
}

interface ChangeTakers {
  readonly model: MeshModel;
  readonly translator: Translator;
  readonly ads: AdsServer;
  readonly secure: ReturnType<typeof openSecurePort>;
  readonly push: Debounce;
  readonly status: StatusWriter;
}

/** What was committed, and instances that are seen otherwise although nothing was, reach model and proxies. */
function followChanges(
  { store, registry }: MeshServingOptions,
  { model, translator, ads, secure, push, status }: ChangeTakers,
): () => void {
  const takeOver = (change: ModelChange, gone: readonly string[], reachesSecrets: boolean): void => {
    for (const instance of gone) {
      ads.disconnect(instance);
      translator.forget(instance);
    }
    const reaches = reachesProxies(change);
    if (reaches) translator.invalidate(change);
    if (reachesSecrets || reaches) push.trigger();
  };
  const unsubscribe = store.subscribe((changes: readonly StoreChange[]) => {
    const change = model.apply(changes.map((one) => asSeen(one, registry)));
    takeOver(change, goneInstances(changes, registry), secure?.apply(changes) === true);
    if (changes.some(concernsStatus)) status.contentChanged();
  });
  const endView = registry.view.subscribe((seen) => {
    takeOver(model.apply([seen]), seen.gone === null ? [] : [seen.gone], false);
  });
  return () => {
    unsubscribe();
    endView();
  };
}

function createStatusWriter(
  { store, clock, log }: MeshServingOptions,
  model: MeshModel,
  proxies: () => Iterable<ProxyProgress>,
  wheel: TimerWheel,
): StatusWriter {
  const wallMs = (): number => clock.wallMs();
  return new StatusWriter({ store, model, proxies, wheel, wallMs, log: log.child('status') });
}

function statusDuty(status: StatusWriter): LeaderDuty {
  return {
    name: 'status',
    begin() {
      status.begin();
      return () => status.end();
    },
  };
}

async function listenInTheClear(server: GrpcServer, address: string): Promise<string> {
  const { host, port } = parseAddress(address, xdsFlag);
  requireLoopback(host, port);
  try {
    return await server.listen(host, port);
  } catch (error) {
    throw describeListenFailure(error, { flag: xdsFlag, purpose: 'xDS' }, host, port);
  }
}

/** What the store holds, with what is known of instances and not on the disk yet. */
function seenObjects(store: ResourceStore, { view }: Registry): StoredObject[] {
  return [...store.all()].flatMap((stored) => view.see(stored) ?? []);
}

function asSeen({ key, after, isSpecChange }: StoreChange, { view }: Registry): ModelInput {
  return { key, after: after && view.see(after), isSpecChange };
}

/** Whose streams end: their registration is gone, and not replaced by another. */
function goneInstances(changes: readonly StoreChange[], registry: Registry): string[] {
  return changes.flatMap(({ type, key, before }) => {
    if (type !== 'delete' || key.kind !== 'WorkloadEntry' || before?.origin.source !== 'registration')
      return [];
    return registry.instances.has(before.origin.instance) ? [] : [before.origin.instance];
  });
}

function reachesProxies(change: ModelChange): boolean {
  return (
    change.services.size + change.endpoints.size > 0 ||
    change.routes ||
    change.rules ||
    change.sidecars ||
    change.peerAuthentications ||
    change.instances
  );
}

/** What is served in the clear is for this machine only; others come with certificates. */
function requireLoopback(host: string, port: number): void {
  if (isLoopback(host)) return;
  throw localError(
    'address-not-protected',
    `${xdsFlag} ${host}:${port}: xDS in the clear is served on loopback only; other machines use --secure-xds-address`,
  );
}

/** A generation that is not valid changes nothing for proxies, and must be told all the same. */
function concernsStatus({ before, after, isSpecChange }: StoreChange): boolean {
  return isSpecChange || before?.generation !== after?.generation || before?.problems !== after?.problems;
}

/** How far each connected proxy is with what it was given. */
function* progressOf(
  ads: AdsServer,
  registry: Registry,
  nodes: ClientNodes,
  translator: Translator,
): Iterable<ProxyProgress> {
  for (const stream of ads.streams) {
    const registered = registry.instances.get(stream.instance);
    if (!registered || !stream.node) continue;
    const provenance = translator.provenance(nodes.of(registered, stream));
    yield { provenance, types: stream.syncStatus() };
  }
}

/** Settings that cannot be used are told, and have their defaults. */
function readSettings(configured: MeshSettings, log: Logger): TranslationSettings {
  const { settings, problems } = translationSettings(configured);
  for (const problem of problems) log.error(problem);
  return settings;
}

/** The services an instance may have listeners for; the same array while its scope sees the same. */
class OutboundLists {
  readonly #translator: Translator;
  readonly #nodes: ClientNodes;
  readonly #known = new WeakMap<VisibleServices, readonly OutboundService[]>();

  constructor(translator: Translator, nodes: ClientNodes) {
    this.#translator = translator;
    this.#nodes = nodes;
  }

  of(instance: RegisteredInstance): readonly OutboundService[] {
    const visible = this.#translator.visible(this.#nodes.of(instance, null));
    let list = this.#known.get(visible);
    if (!list) {
      list = [
        ...visible.services
          .filter((service) => !service.hostname.startsWith('*'))
          .flatMap((service) => outboundServices(service, service.ports)),
        // Who calls an alias calls the ports of what it stands for.
        ...visible.aliases.flatMap(({ alias, target }) => outboundServices(alias, target.ports)),
      ];
      this.#known.set(visible, list);
    }
    return list;
  }
}

function outboundServices(
  { key, name, namespace, hostname }: MeshService,
  ports: MeshService['ports'],
): OutboundService[] {
  return ports
    .filter((port) => port.protocol !== 'udp')
    .map((port) => ({ key, name, namespace, hostname, port: port.number }));
}
