/**
 * Everything that clients of one scope share: clusters, endpoints and route tables, encoded once for all of
 * them. Work is in proportion to the change: each resource is remembered with what it was made from.
 */
import { canonicalJson } from '@sluice/runtime';
import { ClusterLoadAssignmentTable, ClusterTable } from '@sluice/xds';
import { xdsTypes } from '@sluice/xds';
import type { AdsResources } from '@sluice/xds';
import type { MergedRule } from '../model/destination-rule.ts';
import type { MeshModel } from '../model/mesh-model.ts';
import type { SidecarSource } from '../model/scope.ts';
import type { MeshService, MeshServicePort } from '../model/service.ts';
import {
  blackHoleMessage,
  hasEndpointResource,
  outboundClusterMessage,
  passthroughMessage,
  subsetLabels,
} from './clusters.ts';
import type { ClusterFacts, ClusterTarget } from './clusters.ts';
import { connectionRoutesOf, noConnectionRoutes } from './connection-routes.ts';
import type { ConnectionRoutes } from './connection-routes.ts';
import { loadAssignment } from './endpoints.ts';
import { makeHostEntry } from './host-entry.ts';
import type { HostEntry, HostFacts } from './host-entry.ts';
import { Memo, sameItems } from './memo.ts';
import { inboundPassthroughCluster, outboundCluster, passthroughCluster, virtualHostName } from './names.ts';
import type { MeshSettings } from './node.ts';
import { encodeResource, originsOf, resourceSet } from './resources.ts';
import type { NamedResource, OriginIndex } from './resources.ts';
import { RouteTables } from './route-tables.ts';
import { nothingVisible } from './visible-services.ts';
import type { VisibleServices } from './visible-services.ts';

export interface ScopeFacts extends HostFacts {
  readonly knowsTls: boolean;
  readonly knowsSystemRoots: boolean;
  readonly sidecar: SidecarSource | null;
  readonly knowsVirtualHosts: boolean;
}

const noAliases: readonly MeshService[] = [];

/** What may be another than at the last refresh. */
export interface TouchedParts {
  readonly clusters: boolean;
  readonly routes: boolean;
}

export class ScopeView {
  readonly facts: ScopeFacts;
  readonly #model: MeshModel;
  readonly #clusterMemo = new Memo<NamedResource>();
  readonly #endpointMemo = new Memo<NamedResource>();
  readonly #hostMemo = new Memo<HostEntry>();
  readonly #connectionMemo = new Memo<ConnectionRoutes>();
  readonly #tables: RouteTables;
  readonly #clusterFacts: ClusterFacts;
  #entries: Readonly<Record<'clusters' | 'endpoints' | 'tables' | 'hosts', readonly NamedResource[]>> = {
    hosts: [],
    clusters: [],
    endpoints: [],
    tables: [],
  };
  #origins: OriginIndex | null = null;
  /** By `host:port`: where connections go that pass unread. The same map as long as nothing in it changed. */
  connectionRoutes: ReadonlyMap<string, ConnectionRoutes> = new Map();
  /** Keys of the services that routes lead to, sorted. */
  #referenced: readonly string[] = [];
  /** Services and aliases; the same object as long as nothing in it changed. */
  visible: VisibleServices = nothingVisible;
  clusters: AdsResources = new Map();
  endpoints: AdsResources = new Map();
  routes: AdsResources = new Map();
  /** Null for clients that get them inline. */
  virtualHosts: AdsResources | null = null;
  outboundPolicy: 'ALLOW_ANY' | 'REGISTRY_ONLY' = 'ALLOW_ANY';

  constructor(model: MeshModel, facts: ScopeFacts) {
    this.#model = model;
    this.facts = facts;
    this.#tables = new RouteTables(facts);
    this.#clusterFacts = {
      knowsHttp2: facts.knowsHttp2,
      knowsTls: facts.knowsTls,
      knowsSystemRoots: facts.knowsSystemRoots,
      hasOriginalDestination: facts.mode !== 'NONE',
    };
  }

  refresh(settings: MeshSettings, visible: VisibleServices, touched: TouchedParts): void {
    this.outboundPolicy = this.facts.sidecar?.spec.outboundTrafficPolicy?.mode ?? settings.outboundPolicy;
    this.visible = visible;
    let hasNewReferences = false;
    const hasNewConnections = (touched.routes || touched.clusters) && this.#refreshConnections();
    // The forward proxy's table says where a CONNECT goes, and rules have a word in that.
    if (touched.routes || (hasNewConnections && this.facts.mode === 'NONE')) {
      const referenced = this.#refreshRoutes(settings);
      hasNewReferences = !sameItems(referenced, this.#referenced);
      this.#referenced = referenced;
    }
    if (touched.clusters || hasNewReferences) this.#refreshClusters(settings, this.#referenced);
    this.#origins = null;
  }

  /** What each resource was made from; the same object until the next refresh. */
  get origins(): OriginIndex {
    this.#origins ??= new Map([
      [xdsTypes.cluster, originsOf(this.#entries.clusters)],
      [xdsTypes.endpoint, originsOf(this.#entries.endpoints)],
      [xdsTypes.route, originsOf(this.#entries.tables)],
      [xdsTypes.virtualHost, originsOf(this.#entries.hosts)],
    ]);
    return this.#origins;
  }

  /** Clusters of what is visible, and of what its routes lead to: a Sidecar's egress does not cut routes off. */
  #refreshClusters(settings: MeshSettings, referenced: readonly string[]): void {
    const clusters: NamedResource[] = [];
    const endpoints: NamedResource[] = [];
    const hostnames = new Set(this.visible.services.map((service) => service.hostname));
    const others = referenced.flatMap((key) => {
      const service = this.#model.services.get(key);
      return service && !hostnames.has(service.hostname) ? [service] : [];
    });
    for (const service of [...this.visible.services, ...others]) {
      const rule = this.#model.rule(service, this.facts);
      const instances = this.#model.instancesOf(service);
      const tls = this.#model.endpointTls(service);
      for (const port of service.ports) {
        if (port.protocol === 'udp') continue;
        for (const subset of subsetNames(rule)) {
          this.#addCluster({ service, port, rule, subset, instances, tls }, settings, clusters, endpoints);
        }
      }
    }
    clusters.push(...this.#fixedClusters(settings));
    this.#clusterMemo.sweep();
    this.#endpointMemo.sweep();
    this.#entries = { ...this.#entries, clusters, endpoints };
    this.clusters = resourceSet(this.clusters, clusters);
    this.endpoints = resourceSet(this.endpoints, endpoints);
  }

  #addCluster(
    target: ClusterTarget,
    settings: MeshSettings,
    clusters: NamedResource[],
    endpoints: NamedResource[],
  ): void {
    const { service, port, rule, subset, instances, tls } = target;
    const name = outboundCluster(port.number, subset, service.hostname);
    const origins = [service.source, ...(rule?.sources.map((source) => source.key) ?? [])];
    const isEds = hasEndpointResource(target, this.#clusterFacts);
    clusters.push(
      this.#clusterMemo.get(
        name,
        [service, port, rule, settings, tls.accounts, isEds ? null : instances, isEds ? null : tls.policies],
        () =>
          encodeResource(
            ClusterTable,
            name,
            outboundClusterMessage(target, this.#clusterFacts, settings),
            origins,
          ),
      ),
    );
    if (!isEds) return;
    endpoints.push(
      this.#endpointMemo.get(name, [service, port, rule, instances, tls.policies], () =>
        encodeResource(
          ClusterLoadAssignmentTable,
          name,
          loadAssignment({
            clusterName: name,
            service,
            port,
            labels: subsetLabels(rule, subset),
            instances,
            policies: tls.policies,
            resolution: 'addresses',
          }),
          origins,
        ),
      ),
    );
  }

  #fixedClusters(settings: MeshSettings): NamedResource[] {
    const { knowsHttp2, mode } = this.facts;
    const messages = [
      blackHoleMessage(settings),
      passthroughMessage(passthroughCluster, knowsHttp2, settings),
      ...(mode === 'NONE' ? [] : [passthroughMessage(inboundPassthroughCluster, knowsHttp2, settings)]),
    ];
    return messages.map((message) => {
      const name = message.name ?? '';
      return this.#clusterMemo.get(name, [settings], () => encodeResource(ClusterTable, name, message));
    });
  }

  /** Returns the services that routes lead to. */
  #refreshRoutes(settings: MeshSettings): readonly string[] {
    const entries = this.visible.services.flatMap((service) =>
      service.ports
        .filter((port) => port.protocol !== 'udp')
        .map((port) => this.#hostEntry(service, port, settings)),
    );
    this.#hostMemo.sweep();
    const { tables, hosts } = this.#tables.build(entries, this.outboundPolicy);
    this.#entries = { ...this.#entries, tables, hosts };
    this.routes = resourceSet(this.routes, tables);
    if (this.facts.knowsVirtualHosts) this.virtualHosts = resourceSet(this.virtualHosts ?? undefined, hosts);
    const connections = this.connectionRoutes.values();
    return [...new Set([...entries, ...connections].flatMap((entry) => entry.destinations))].sort(
      compareText,
    );
  }

  /** True when any of them is another than before. */
  #refreshConnections(): boolean {
    const found = new Map<string, ConnectionRoutes>();
    for (const service of this.visible.services) {
      for (const port of service.ports) {
        const source = this.#model.routes(service, port, this.facts.namespace).virtualService;
        const isRouted = source?.spec.tls !== undefined || source?.spec.tcp !== undefined;
        const rule = this.#model.rule(service, this.facts);
        if (!isRouted && rule === null) continue;
        const key = virtualHostName(service.hostname, port.number);
        // What a route leads to has rules of its own.
        const deps = isRouted
          ? [service, port, source, this.#model.referenceEpoch, this.#model.ruleEpoch]
          : [service, port, rule];
        const routes = this.#connectionMemo.get(key, deps, () =>
          keepIfEqual(
            this.connectionRoutes.get(key),
            connectionRoutesOf(this.#model, service, port, this.facts),
          ),
        );
        if (routes !== noConnectionRoutes) found.set(key, routes);
      }
    }
    this.#connectionMemo.sweep();
    const before = this.connectionRoutes;
    const isSame = before.size === found.size && [...found].every(([key, one]) => before.get(key) === one);
    if (!isSame) this.connectionRoutes = found;
    return !isSame;
  }

  #hostEntry(service: MeshService, port: MeshServicePort, settings: MeshSettings): HostEntry {
    const applied = this.#model.routes(service, port, this.facts.namespace);
    const isRouted = applied.virtualService !== null || applied.httpRoutes.length > 0;
    const key = virtualHostName(service.hostname, port.number);
    // Routes refer to other services, so those with rules are looked at again when any service changed.
    const epoch = isRouted ? this.#model.referenceEpoch : 0;
    const aliases = this.visible.aliasesOf.get(service.key) ?? noAliases;
    const connections = this.connectionRoutes.get(key) ?? noConnectionRoutes;
    const { virtualService, httpRoutes } = applied;
    const deps = [service, port, settings, aliases, connections, virtualService, epoch, ...httpRoutes];
    return this.#hostMemo.get(key, deps, () =>
      makeHostEntry(this.#model, { service, port, aliases, connections }, this.facts, settings),
    );
  }
}

/** Services change more often than what rules make of them. */
function keepIfEqual(before: ConnectionRoutes | undefined, fresh: ConnectionRoutes): ConnectionRoutes {
  return before !== undefined && canonicalJson(before) === canonicalJson(fresh) ? before : fresh;
}

function subsetNames(rule: MergedRule | null): string[] {
  return ['', ...(rule?.subsets.map((one) => one.spec.name) ?? [])];
}

function compareText(a: string, b: string): number {
  return a < b ? -1 : a > b ? 1 : 0;
}
