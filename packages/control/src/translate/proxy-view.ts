/** What one proxy gets: its scope's shared resources and its own listeners and inbound clusters. */
import type { ResourceKey } from '@sluice/api';
import { ClusterTable, ListenerTable, xdsTypes } from '@sluice/xds';
import type { AdsResources, AdsSnapshot, Init, Listener } from '@sluice/xds';
import type { MeshModel } from '../model/mesh-model.ts';
import { selects } from '../model/instance.ts';
import type { MeshService } from '../model/service.ts';
import type { OwnedListener } from './catch-all-listener.ts';
import { inboundClusterMessage, inboundOriginalClusterMessage } from './clusters.ts';
import { boundInboundListeners, inboundPorts, virtualInboundListener } from './inbound-listeners.ts';
import type { InboundFacts } from './inbound-listeners.ts';
import { Memo, sameItems } from './memo.ts';
import { inboundCluster } from './names.ts';
import { http2Streams } from './node.ts';
import type { MeshSettings, ProxyNode } from './node.ts';
import { explicitListeners, redirectedListeners } from './outbound-listeners.ts';
import { encodeResource, originsOf, resourceSet } from './resources.ts';
import type { NamedResource } from './resources.ts';
import type { ScopeView } from './scope-view.ts';
import { upstreamVersion } from './upstream-protocol.ts';

/** Where the application behind a sidecar of mode NONE listens. */
const applicationAddress = '127.0.0.1';

export interface ProxyInputs {
  readonly node: ProxyNode;
  readonly scope: ScopeView;
  readonly model: MeshModel;
  readonly settings: MeshSettings;
  /** Of the snapshot, if it is another than before. */
  readonly version: string;
  /** Grows with every change of a service's definition. */
  readonly servicesEpoch: number;
}

export class ProxyView {
  readonly #own = new Memo<readonly NamedResource[]>();
  readonly #sets = new Memo<AdsResources>();
  #listeners: AdsResources = new Map();
  #clusters: AdsResources = new Map();
  #leading: readonly MeshService[] = [];
  #leadingFor: { readonly labels: ProxyNode['labels'] | null; readonly epoch: number } = {
    labels: null,
    epoch: 0,
  };
  #snapshot: AdsSnapshot | null = null;
  #ownListeners: readonly NamedResource[] = [];
  #listenerOrigins: ReadonlyMap<string, readonly ResourceKey[]> = new Map();

  /** The same object as before when nothing changed for this proxy. */
  refresh({ node, scope, model, settings, version, servicesEpoch }: ProxyInputs): AdsSnapshot {
    const leading = this.#leadingServices(node, model, servicesEpoch);
    const { registration } = node;
    const policy = model.mutualTls(node);
    const listeners = this.#own.get(
      'listeners',
      [
        scope.visible,
        scope.connectionRoutes,
        scope.outboundPolicy,
        registration,
        node.capabilities,
        leading,
        policy,
        settings,
      ],
      () =>
        listenersOf(node, scope, leading, { policy, mesh: settings }).map(({ message, origins }) =>
          encodeResource(ListenerTable, message.name ?? '', message, origins),
        ),
    );
    const inbound = this.#own.get('inbound', [registration, node.capabilities, leading, settings], () =>
      inboundClustersOf(node, leading, settings),
    );
    this.#own.sweep();
    if (listeners !== this.#ownListeners) {
      this.#ownListeners = listeners;
      this.#listenerOrigins = originsOf(listeners);
      this.#listeners = resourceSet(this.#listeners, listeners);
    }
    this.#clusters = this.#sets.get('clusters', [scope.clusters, inbound], () =>
      resourceSet(this.#clusters, [
        ...[...scope.clusters].map(([name, resource]) => ({ name, resource })),
        ...inbound,
      ]),
    );
    this.#sets.sweep();
    return this.#assemble(scope, version);
  }

  /** Origins of what is the proxy's own, the same object until that changes; what it shares with its scope is the scope's to tell. */
  get listenerOrigins(): ReadonlyMap<string, readonly ResourceKey[]> {
    return this.#listenerOrigins;
  }

  #assemble(scope: ScopeView, version: string): AdsSnapshot {
    const before = this.#snapshot?.types;
    const parts: [string, AdsResources][] = [
      [xdsTypes.cluster, this.#clusters],
      [xdsTypes.endpoint, scope.endpoints],
      [xdsTypes.listener, this.#listeners],
      [xdsTypes.route, scope.routes],
      ...(scope.virtualHosts ? [[xdsTypes.virtualHost, scope.virtualHosts] as [string, AdsResources]] : []),
    ];
    if (this.#snapshot && parts.every(([type, set]) => before?.get(type) === set)) return this.#snapshot;
    this.#snapshot = { version, types: new Map(parts) };
    return this.#snapshot;
  }

  /** Services that select this instance: their ports say what protocol the application speaks. */
  #leadingServices(node: ProxyNode, model: MeshModel, servicesEpoch: number): readonly MeshService[] {
    if (this.#leadingFor.labels === node.labels && this.#leadingFor.epoch === servicesEpoch)
      return this.#leading;
    this.#leadingFor = { labels: node.labels, epoch: servicesEpoch };
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
  facts: InboundFacts,
): OwnedListener[] {
  const settings = facts.mesh;
  const ports = inboundPorts(node, leading);
  const { policy } = facts;
  const inboundOrigins = [
    ...leading.map((service) => service.source),
    ...[policy.origin, policy.portsOrigin].filter((origin) => origin !== null),
  ];
  const inbound = (message: Init<Listener>): OwnedListener => ({ message, origins: inboundOrigins });
  if (node.mode === 'NONE') {
    return [
      ...explicitListeners(node, scope, settings),
      ...boundInboundListeners(node, ports, facts).map(inbound),
    ];
  }
  return [
    ...redirectedListeners(
      scope,
      { policy: scope.outboundPolicy, knowsHttp2: node.capabilities.has(http2Streams) },
      settings,
    ),
    inbound(virtualInboundListener(node, ports, facts)),
  ];
}

function inboundClustersOf(
  node: ProxyNode,
  leading: readonly MeshService[],
  settings: MeshSettings,
): NamedResource[] {
  const knowsHttp2 = node.capabilities.has(http2Streams);
  return inboundPorts(node, leading).map(({ port, services, protocol }) => {
    const target = {
      appPort: port.appPort,
      services,
      version: upstreamVersion({ protocol }, undefined, knowsHttp2),
    };
    const message =
      node.mode === 'NONE'
        ? inboundClusterMessage(target, applicationAddress, settings)
        : inboundOriginalClusterMessage(target, settings);
    const origins = services.map((service) => service.source);
    return encodeResource(ClusterTable, inboundCluster(port.appPort), message, origins);
  });
}
