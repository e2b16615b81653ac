/**
 * Model × proxy → snapshot, for all connected proxies: scopes are shared, views are kept per proxy.
 * Pure but for what it remembers; the same inputs give the same bytes after a restart and everywhere.
 */
import { formatKey } from '@sluice/api';
import type { ResourceKey } from '@sluice/api';
import type { AdsSnapshot } from '@sluice/xds';
import type { MeshModel, ModelChange } from '../model/mesh-model.ts';
import { selectSidecar } from '../model/scope.ts';
import type { SidecarSource } from '../model/scope.ts';
import { http2Streams, methodAwareRetry, systemRoots, transportTls, virtualHostDiscovery } from './node.ts';
import type { MeshSettings, ProxyNode } from './node.ts';
import { ProxyView } from './proxy-view.ts';
import type { OriginIndex } from './resources.ts';
import { ScopeView } from './scope-view.ts';
import { VisibleIndex } from './visible-index.ts';
import type { VisibleServices } from './visible-services.ts';

/** A proxy as far as what it sees is concerned. */
export type ClientNode = Omit<ProxyNode, 'outboundPort'>;

/** What a proxy's configuration was made from. */
export interface Provenance {
  /** Shared by all proxies of a scope; the same object until something of it changes. */
  readonly scope: OriginIndex;
  /** The proxy's own listeners, by name. */
  readonly listeners: ReadonlyMap<string, readonly ResourceKey[]>;
  readonly sidecar: ResourceKey | null;
}

interface KnownScope {
  readonly view: ScopeView;
  epoch: number;
}

/** When each part was last touched, in epochs: a scope that is older looks at that part again. */
interface PartEpochs {
  services: number;
  clusters: number;
  routes: number;
}

export class Translator {
  readonly #model: MeshModel;
  #settings: MeshSettings;
  readonly #scopes = new Map<string, KnownScope>();
  readonly #views = new Map<string, ProxyView>();
  readonly #visible: VisibleIndex;
  #epoch = 1;
  readonly #touched: PartEpochs = { services: 1, clusters: 1, routes: 1 };
  #sourceLabels: readonly string[] = [];

  constructor(model: MeshModel, settings: MeshSettings) {
    this.#model = model;
    this.#settings = settings;
    this.#visible = new VisibleIndex(model);
    this.invalidate();
  }

  /** To be called after the model changed: scopes refresh on their next use. Without `change`, everything. */
  invalidate(change?: ModelChange): void {
    const epoch = ++this.#epoch;
    const hasServices = change === undefined || change.services.size > 0 || change.sidecars;
    if (hasServices) this.#touched.services = epoch;
    if (hasServices || change.endpoints.size > 0 || change.rules || change.peerAuthentications)
      this.#touched.clusters = epoch;
    if (hasServices || change.routes) this.#touched.routes = epoch;
    // Labels of clients that rules are for decide who shares a scope.
    if (!hasServices && !change.routes && !change.rules) return;
    this.#sourceLabels = [...labelsThatMatter(this.#model)].sort();
  }

  get autoMtls(): boolean {
    return this.#settings.autoMtls;
  }

  updateSettings(settings: MeshSettings): void {
    this.#settings = settings;
    this.invalidate();
  }

  snapshot(node: ProxyNode): AdsSnapshot {
    let view = this.#views.get(node.id);
    if (!view) this.#views.set(node.id, (view = new ProxyView()));
    return view.refresh({
      node,
      scope: this.#scope(node),
      model: this.#model,
      settings: this.#settings,
      version: String(this.#epoch),
      servicesEpoch: this.#touched.services,
    });
  }

  /** Services a proxy sees, and the aliases of them: what it is given listeners for. */
  visible(node: ClientNode): VisibleServices {
    return this.#visibleTo(node, this.#sidecarOf(node));
  }

  /** Of the snapshot that the proxy was last given. */
  provenance(node: ClientNode): Provenance {
    const { origins, facts } = this.#scope(node);
    return {
      scope: origins,
      listeners: this.#views.get(node.id)?.listenerOrigins ?? new Map(),
      sidecar: facts.sidecar?.key ?? null,
    };
  }

  forget(nodeId: string): void {
    this.#views.delete(nodeId);
  }

  /** Drops scopes that were not used since the last change: to be called when all proxies have been served. */
  sweep(): void {
    this.#visible.sweep();
    for (const [key, scope] of this.#scopes) if (scope.epoch !== this.#epoch) this.#scopes.delete(key);
  }

  #scope(node: ClientNode): ScopeView {
    const sidecar = this.#sidecarOf(node);
    const visible = this.#visibleTo(node, sidecar);
    const key = this.#scopeKey(node, sidecar);
    let scope = this.#scopes.get(key);
    if (!scope || scope.view.facts.sidecar !== sidecar) {
      const view = new ScopeView(this.#model, {
        namespace: node.namespace,
        labels: node.labels,
        mode: node.mode,
        sidecar,
        knowsMethodAwareRetry: node.capabilities.has(methodAwareRetry),
        knowsHttp2: node.capabilities.has(http2Streams),
        knowsTls: node.capabilities.has(transportTls),
        knowsSystemRoots: node.capabilities.has(systemRoots),
        knowsVirtualHosts: node.capabilities.has(virtualHostDiscovery),
      });
      this.#scopes.set(key, (scope = { view, epoch: 0 }));
    }
    if (scope.epoch !== this.#epoch) {
      const { clusters, routes } = this.#touched;
      const { epoch } = scope;
      scope.view.refresh(this.#settings, visible, { clusters: clusters > epoch, routes: routes > epoch });
      scope.epoch = this.#epoch;
    }
    return scope.view;
  }

  #sidecarOf(node: ClientNode): SidecarSource | null {
    return selectSidecar(this.#model.sidecars, node, this.#model.options.rootNamespace);
  }

  #visibleTo({ namespace, mode }: ClientNode, sidecar: SidecarSource | null): VisibleServices {
    return this.#visible.of({ namespace, mode, sidecar }, this.#touched.services);
  }

  /** Proxies with the same key see the same mesh, byte for byte. */
  #scopeKey(node: ClientNode, sidecar: SidecarSource | null): string {
    return JSON.stringify([
      node.mode === 'NONE',
      node.namespace,
      sidecar ? formatKey(sidecar.key) : '',
      node.capabilities.has(methodAwareRetry),
      node.capabilities.has(http2Streams),
      node.capabilities.has(transportTls),
      node.capabilities.has(systemRoots),
      node.capabilities.has(virtualHostDiscovery),
      this.#sourceLabels.map((label) => node.labels[label] ?? null),
    ]);
  }
}

/** Labels that some rule asks of its clients (`sourceLabels`): only these tell scopes apart. */
function labelsThatMatter(model: MeshModel): Set<string> {
  const labels = new Set<string>(model.ruleClientLabels);
  for (const { spec } of model.virtualServices.values()) {
    const routes = [...(spec.http ?? []), ...(spec.tls ?? []), ...(spec.tcp ?? [])];
    for (const match of routes.flatMap((route) => route.match ?? [])) {
      for (const label of Object.keys(match.sourceLabels ?? {})) labels.add(label);
    }
  }
  return labels;
}
