/**
 * Everything that clients of one scope share: clusters, endpoints and route tables, encoded once for all of
 * them. Work is in proportion to the change: each resource is remembered with what it was made from.
 */
import { ClusterLoadAssignmentTable, ClusterTable, RouteConfigurationTable } from '@sluice/xds';
import type { AdsResources, Init, VirtualHost } from '@sluice/xds';
import type { InterceptionMode } from '@sluice/api';
import type { MergedRule } from '../model/destination-rule.ts';
import type { MeshModel } from '../model/mesh-model.ts';
import { isHttp } from '../model/protocol.ts';
import { canSee, readEgress } from '../model/scope.ts';
import type { SidecarSource } from '../model/scope.ts';
import type { MeshService, MeshServicePort } from '../model/service.ts';
import { blackHoleMessage, outboundClusterMessage, passthroughMessage, subsetLabels } from './clusters.ts';
import { compileRules } from './compile-rules.ts';
import { loadAssignment } from './endpoints.ts';
import { Memo, sameItems } from './memo.ts';
import {
  httpProxyRoutes,
  inboundPassthroughCluster,
  outboundCluster,
  passthroughCluster,
  portRoutes,
  serviceRoutes,
  virtualHostName,
} from './names.ts';
import type { MeshSettings } from './node.ts';
import { encodeResource, resourceSet } from './resources.ts';
import type { NamedResource } from './resources.ts';
import type { ClientFacts } from './virtual-hosts.ts';
import {
  connectRoute,
  domainsOf,
  routeTable,
  serviceRoutesOf,
  unmatchedConnectRoute,
  unmatchedHost,
  virtualHost,
} from './virtual-hosts.ts';

export interface ScopeFacts extends ClientFacts {
  readonly mode: InterceptionMode;
  readonly sidecar: SidecarSource | null;
  readonly knowsMethodAwareRetry: boolean;
}

export class ScopeView {
  readonly facts: ScopeFacts;
  readonly #model: MeshModel;
  readonly #clusterMemo = new Memo<NamedResource>();
  readonly #endpointMemo = new Memo<NamedResource>();
  readonly #hostMemo = new Memo<HostEntry>();
  readonly #tableMemo = new Memo<NamedResource>();
  services: readonly MeshService[] = [];
  clusters: AdsResources = new Map();
  endpoints: AdsResources = new Map();
  routes: AdsResources = new Map();
  outboundPolicy: 'ALLOW_ANY' | 'REGISTRY_ONLY' = 'ALLOW_ANY';

  constructor(model: MeshModel, facts: ScopeFacts) {
    this.#model = model;
    this.facts = facts;
  }

  refresh(settings: MeshSettings): void {
    this.outboundPolicy = this.facts.sidecar?.spec.outboundTrafficPolicy?.mode ?? settings.outboundPolicy;
    this.services = this.#visibleServices();
    this.#refreshClusters(settings);
    this.#refreshRoutes(settings);
  }

  #visibleServices(): readonly MeshService[] {
    const egress = readEgress(this.facts.sidecar);
    const byHost = new Map<string, MeshService>();
    for (const service of this.#model.services.values()) {
      if (!canSee(service, this.facts.namespace, egress)) continue;
      const other = byHost.get(service.hostname);
      // One hostname, several namespaces: the client's own first, then the oldest.
      if (!other || isPreferred(service, other, this.facts.namespace)) byHost.set(service.hostname, service);
    }
    const visible = [...byHost.values()].sort((a, b) => (a.key < b.key ? -1 : a.key > b.key ? 1 : 0));
    return sameItems(visible, this.services) ? this.services : visible;
  }

  #refreshClusters(settings: MeshSettings): void {
    const clusters: NamedResource[] = [];
    const endpoints: NamedResource[] = [];
    for (const service of this.services) {
      const rule = this.#model.rule(service, this.facts.namespace);
      const instances = this.#model.instancesOf(service);
      const isEds = service.resolution === 'registry' || service.resolution === 'static';
      for (const port of service.ports) {
        if (port.protocol === 'udp') continue;
        for (const subset of subsetNames(rule)) {
          const name = outboundCluster(port.number, subset, service.hostname);
          clusters.push(
            this.#clusterMemo.get(name, [service, port, rule, settings, isEds ? null : instances], () =>
              encodeResource(
                ClusterTable,
                name,
                outboundClusterMessage(service, port, rule, subset, settings, instances),
              ),
            ),
          );
          if (!isEds) continue;
          endpoints.push(
            this.#endpointMemo.get(name, [service, port, rule, instances], () =>
              encodeResource(
                ClusterLoadAssignmentTable,
                name,
                loadAssignment(name, service, port, subsetLabels(rule, subset), instances),
              ),
            ),
          );
        }
      }
    }
    clusters.push(...this.#fixedClusters(settings));
    this.#clusterMemo.sweep();
    this.#endpointMemo.sweep();
    this.clusters = resourceSet(this.clusters, clusters);
    this.endpoints = resourceSet(this.endpoints, endpoints);
  }

  #fixedClusters(settings: MeshSettings): NamedResource[] {
    const messages = [
      blackHoleMessage(settings),
      passthroughMessage(passthroughCluster, settings),
      ...(this.facts.mode === 'NONE' ? [] : [passthroughMessage(inboundPassthroughCluster, settings)]),
    ];
    return messages.map((message) => {
      const name = message.name ?? '';
      return this.#clusterMemo.get(name, [settings], () => encodeResource(ClusterTable, name, message));
    });
  }

  #refreshRoutes(settings: MeshSettings): void {
    const isExplicit = this.facts.mode === 'NONE';
    const tables: NamedResource[] = [];
    const hosts: HostEntry[] = [];
    for (const service of this.services) {
      for (const port of service.ports) {
        if (port.protocol === 'udp') continue;
        const entry = this.#hostEntry(service, port, settings);
        hosts.push(entry);
        if (isHttp(port.protocol) ? isExplicit : port.protocol === 'auto')
          tables.push(this.#serviceTable(entry, isExplicit));
      }
    }
    if (isExplicit) tables.push(this.#proxyTable(hosts));
    else tables.push(...this.#portTables(hosts));
    this.#hostMemo.sweep();
    this.#tableMemo.sweep();
    this.routes = resourceSet(this.routes, tables);
  }

  #hostEntry(service: MeshService, port: MeshServicePort, settings: MeshSettings): HostEntry {
    const applied = this.#model.routes(service, this.facts.namespace);
    const isRouted = applied.virtualService !== null || applied.httpRoutes.length > 0;
    const key = virtualHostName(service.hostname, port.number);
    // Routes refer to other services, so those with rules are looked at again when any service changed.
    const epoch = isRouted ? this.#model.referenceEpoch : 0;
    const deps = [service, port, settings, applied.virtualService, epoch, ...applied.httpRoutes];
    return this.#hostMemo.get(key, deps, () => this.#makeHostEntry(service, port, settings));
  }

  #makeHostEntry(service: MeshService, port: MeshServicePort, settings: MeshSettings): HostEntry {
    const compiled = compileRules(this.#model, service, port, this.facts.namespace);
    const shared = {
      knowsMethodAwareRetry: this.facts.knowsMethodAwareRetry,
      defaultRetry: settings.defaultRetry,
    };
    const authority = port.number === 80 ? service.hostname : `${service.hostname}:${port.number}`;
    return {
      service,
      port,
      domains: domainsOf(service, this.facts.namespace, settings.clusterDomain),
      shared: serviceRoutesOf(service, port, compiled, this.facts, { ...shared, hostRewrite: null }),
      explicit:
        this.facts.mode === 'NONE' && !service.hostname.startsWith('*')
          ? serviceRoutesOf(service, port, compiled, this.facts, { ...shared, hostRewrite: authority })
          : [],
    };
  }

  /** The table of one service's own listener: whatever the authority says, this service is meant. */
  #serviceTable(entry: HostEntry, isExplicit: boolean): NamedResource {
    const name = serviceRoutes(entry.service.hostname, entry.port.number);
    return this.#tableMemo.get(name, [entry], () => {
      const host = virtualHost(entry.service, entry.port, ['*'], isExplicit ? entry.explicit : entry.shared);
      return encodeResource(RouteConfigurationTable, name, routeTable(name, [host], true));
    });
  }

  #portTables(hosts: readonly HostEntry[]): NamedResource[] {
    const byPort = new Map<number, HostEntry[]>();
    for (const entry of hosts) {
      if (!isHttp(entry.port.protocol)) continue;
      const list = byPort.get(entry.port.number);
      if (list) list.push(entry);
      else byPort.set(entry.port.number, [entry]);
    }
    return [...byPort.entries()].map(([port, entries]) => {
      const name = portRoutes(port);
      return this.#tableMemo.get(name, [this.outboundPolicy, ...entries], () => {
        const list = uniqueDomains(
          entries.map((entry) => virtualHost(entry.service, entry.port, entry.domains, entry.shared)),
        );
        return encodeResource(
          RouteConfigurationTable,
          name,
          routeTable(name, [...list, unmatchedHost(this.outboundPolicy)], true),
        );
      });
    });
  }

  /** The forward proxy's table: every service and port under its names, absolute form and CONNECT. */
  #proxyTable(hosts: readonly HostEntry[]): NamedResource {
    return this.#tableMemo.get(httpProxyRoutes, [this.outboundPolicy, ...hosts], () => {
      const list = hosts.map((entry) => {
        const { number, protocol } = entry.port;
        const withPort = entry.domains.map((domain) => `${domain}:${number}`);
        const domains = number === 80 ? [...withPort, ...entry.domains] : withPort;
        const routes = [
          connectRoute(entry.service, entry.port),
          ...(isHttp(protocol) || protocol === 'auto' ? entry.shared : []),
        ];
        return virtualHost(entry.service, entry.port, domains, routes);
      });
      const unmatched = unmatchedHost(this.outboundPolicy);
      const rest = {
        ...unmatched,
        routes: [unmatchedConnectRoute(this.outboundPolicy), ...(unmatched.routes ?? [])],
      };
      return encodeResource(
        RouteConfigurationTable,
        httpProxyRoutes,
        routeTable(httpProxyRoutes, [...uniqueDomains(list), rest], false),
      );
    });
  }
}

interface HostEntry {
  readonly service: MeshService;
  readonly port: MeshServicePort;
  readonly domains: readonly string[];
  /** Routes where the authority names the service. */
  readonly shared: ReturnType<typeof serviceRoutesOf>;
  /** Routes of the service's own listener, where it does not. */
  readonly explicit: ReturnType<typeof serviceRoutesOf>;
}

function subsetNames(rule: MergedRule | null): string[] {
  return ['', ...(rule?.subsets.map((one) => one.spec.name) ?? [])];
}

/** A domain belongs to one virtual host: a table with a repeated one is refused as a whole. */
function uniqueDomains(hosts: readonly Init<VirtualHost>[]): Init<VirtualHost>[] {
  const taken = new Set<string>();
  return hosts.flatMap((host) => {
    const domains = (host.domains ?? []).filter((domain) => !taken.has(domain));
    for (const domain of domains) taken.add(domain);
    return domains.length > 0 ? [{ ...host, domains }] : [];
  });
}

function isPreferred(a: MeshService, b: MeshService, namespace: string): boolean {
  const isOwnA = a.namespace === namespace;
  const isOwnB = b.namespace === namespace;
  return isOwnA === isOwnB ? a.createdMs < b.createdMs : isOwnA;
}
