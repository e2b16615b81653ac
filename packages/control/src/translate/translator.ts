/**
 * Model × proxy → snapshot, for all connected proxies: scopes are shared, views are kept per proxy.
 * Pure but for what it remembers; the same inputs give the same bytes after a restart and everywhere.
 */
import { formatKey } from '@sluice/api';
import type { AdsSnapshot } from '@sluice/xds';
import type { MeshModel } from '../model/mesh-model.ts';
import { selectSidecar } from '../model/scope.ts';
import type { MeshService } from '../model/service.ts';
import { methodAwareRetry } from './node.ts';
import type { MeshSettings, ProxyNode } from './node.ts';
import { ProxyView } from './proxy-view.ts';
import { ScopeView } from './scope-view.ts';

interface KnownScope {
  readonly view: ScopeView;
  epoch: number;
}

export class Translator {
  readonly #model: MeshModel;
  #settings: MeshSettings;
  readonly #scopes = new Map<string, KnownScope>();
  readonly #views = new Map<string, ProxyView>();
  #epoch = 1;
  #sourceLabels: readonly string[] = [];

  constructor(model: MeshModel, settings: MeshSettings) {
    this.#model = model;
    this.#settings = settings;
    this.invalidate();
  }

  /** To be called after the model changed: scopes refresh on their next use. */
  invalidate(): void {
    this.#epoch += 1;
    this.#sourceLabels = [...labelsThatMatter(this.#model)].sort();
  }

  updateSettings(settings: MeshSettings): void {
    this.#settings = settings;
    this.invalidate();
  }

  snapshot(node: ProxyNode): AdsSnapshot {
    let view = this.#views.get(node.id);
    if (!view) this.#views.set(node.id, (view = new ProxyView()));
    return view.refresh(node, this.#scope(node), this.#model, this.#settings, String(this.#epoch));
  }

  /** Services a proxy sees: what it is given listeners for. */
  services(node: Omit<ProxyNode, 'outboundPort'>): readonly MeshService[] {
    return this.#scope(node).services;
  }

  forget(nodeId: string): void {
    this.#views.delete(nodeId);
  }

  /** Drops scopes that no longer have a proxy. */
  sweep(nodes: Iterable<Omit<ProxyNode, 'outboundPort'>>): void {
    const used = new Set([...nodes].map((node) => this.#scopeKey(node)));
    for (const key of this.#scopes.keys()) if (!used.has(key)) this.#scopes.delete(key);
  }

  #scope(node: Omit<ProxyNode, 'outboundPort'>): ScopeView {
    const key = this.#scopeKey(node);
    let scope = this.#scopes.get(key);
    const sidecar = selectSidecar(this.#model.sidecars, node, this.#model.options.rootNamespace);
    if (!scope || scope.view.facts.sidecar !== sidecar) {
      const view = new ScopeView(this.#model, {
        namespace: node.namespace,
        labels: node.labels,
        mode: node.mode,
        sidecar,
        knowsMethodAwareRetry: node.capabilities.has(methodAwareRetry),
      });
      this.#scopes.set(key, (scope = { view, epoch: 0 }));
    }
    if (scope.epoch !== this.#epoch) {
      scope.view.refresh(this.#settings);
      scope.epoch = this.#epoch;
    }
    return scope.view;
  }

  /** Proxies with the same key see the same mesh, byte for byte. */
  #scopeKey(node: Omit<ProxyNode, 'outboundPort'>): string {
    const sidecar = selectSidecar(this.#model.sidecars, node, this.#model.options.rootNamespace);
    return JSON.stringify([
      node.mode === 'NONE',
      node.namespace,
      sidecar ? formatKey(sidecar.key) : '',
      node.capabilities.has(methodAwareRetry),
      this.#sourceLabels.map((label) => node.labels[label] ?? null),
    ]);
  }
}

/** Labels that some rule asks of its clients (`sourceLabels`): only these tell scopes apart. */
function labelsThatMatter(model: MeshModel): Set<string> {
  const labels = new Set<string>();
  for (const { spec } of model.virtualServices.values()) {
    for (const match of (spec.http ?? []).flatMap((route) => route.match ?? [])) {
      for (const label of Object.keys(match.sourceLabels ?? {})) labels.add(label);
    }
  }
  return labels;
}
