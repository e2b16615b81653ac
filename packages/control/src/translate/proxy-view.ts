/** What one proxy gets: its scope's shared resources and its own listeners and inbound clusters. */
import { ClusterTable, ListenerTable, xdsTypes } from '@sluice/xds';
import type { AdsResources, AdsSnapshot, Init, Listener } from '@sluice/xds';
import type { MeshModel } from '../model/mesh-model.ts';
import { selects } from '../model/instance.ts';
import type { MeshService } from '../model/service.ts';
import { inboundClusterMessage, inboundOriginalClusterMessage } from './clusters.ts';
import { boundInboundListeners, inboundPorts, virtualInboundListener } from './inbound-listeners.ts';
import { Memo, sameItems } from './memo.ts';
import { inboundCluster } from './names.ts';
import type { MeshSettings, ProxyNode } from './node.ts';
import { explicitListeners, redirectedListeners } from './outbound-listeners.ts';
import { encodeResource, resourceSet } from './resources.ts';
import type { NamedResource } from './resources.ts';
import type { ScopeView } from './scope-view.ts';

/** Where the application behind a sidecar of mode NONE listens. */
const applicationAddress = '127.0.0.1';

export class ProxyView {
  readonly #own = new Memo<readonly NamedResource[]>();
  readonly #sets = new Memo<AdsResources>();
  #listeners: AdsResources = new Map();
  #clusters: AdsResources = new Map();
  #leading: readonly MeshService[] = [];
  #snapshot: AdsSnapshot | null = null;

  /** The same object as before when nothing changed for this proxy. */
  refresh(
    node: ProxyNode,
    scope: ScopeView,
    model: MeshModel,
    settings: MeshSettings,
    version: string,
  ): AdsSnapshot {
    const leading = this.#leadingServices(node, model);
    const { registration } = node;
    const listeners = this.#own.get(
      'listeners',
      [scope.services, scope.outboundPolicy, registration, leading, settings],
      () =>
        listenersOf(node, scope, leading, settings).map((message) =>
          encodeResource(ListenerTable, message.name ?? '', message),
        ),
    );
    const inbound = this.#own.get('inbound', [registration, leading, settings], () =>
      inboundClustersOf(node, leading, settings),
    );
    this.#own.sweep();
    this.#listeners = resourceSet(this.#listeners, listeners);
    this.#clusters = this.#sets.get('clusters', [scope.clusters, inbound], () =>
      resourceSet(this.#clusters, [
        ...[...scope.clusters].map(([name, resource]) => ({ name, resource })),
        ...inbound,
      ]),
    );
    this.#sets.sweep();
    return this.#assemble(scope, version);
  }

  #assemble(scope: ScopeView, version: string): AdsSnapshot {
    const before = this.#snapshot?.types;
    const parts: [string, AdsResources][] = [
      [xdsTypes.cluster, this.#clusters],
      [xdsTypes.endpoint, scope.endpoints],
      [xdsTypes.listener, this.#listeners],
      [xdsTypes.route, scope.routes],
    ];
    if (this.#snapshot && parts.every(([type, set]) => before?.get(type) === set)) return this.#snapshot;
    this.#snapshot = { version, types: new Map(parts) };
    return this.#snapshot;
  }

  /** Services that select this instance: their ports say what protocol the application speaks. */
  #leadingServices(node: ProxyNode, model: MeshModel): readonly MeshService[] {
    const found = [...model.services.values()].filter(
      (service) =>
        service.namespace === node.namespace &&
        service.selector !== null &&
        selects(service.selector, node.labels),
    );
    if (!sameItems(found, this.#leading)) this.#leading = found;
    return this.#leading;
  }
}

function listenersOf(
  node: ProxyNode,
  scope: ScopeView,
  leading: readonly MeshService[],
  settings: MeshSettings,
): Init<Listener>[] {
  const ports = inboundPorts(node, leading);
  if (node.mode === 'NONE') {
    return [
      ...explicitListeners(node, scope.services, settings),
      ...boundInboundListeners(node, ports, settings),
    ];
  }
  return [
    ...redirectedListeners(scope.services, { mode: scope.outboundPolicy }, settings),
    virtualInboundListener(ports, settings),
  ];
}

function inboundClustersOf(
  node: ProxyNode,
  leading: readonly MeshService[],
  settings: MeshSettings,
): NamedResource[] {
  return inboundPorts(node, leading).map(({ port, services }) => {
    const message =
      node.mode === 'NONE'
        ? inboundClusterMessage(port.appPort, applicationAddress, services, settings)
        : inboundOriginalClusterMessage(port.appPort, services, settings);
    return encodeResource(ClusterTable, inboundCluster(port.appPort), message);
  });
}
