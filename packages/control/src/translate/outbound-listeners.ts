/**
 * Listeners for what the application calls: explicit ones (mode NONE), or virtual ones behind a redirect. Behind a
 * redirect a service with addresses gets a listener for each; what has none, or ranges, shares its port's catch-all
 * (catch-all-listener.ts).
 */
import { hostAliases } from '@sluice/api';
import type { FilterChain, Init, Listener, NetworkFilter } from '@sluice/xds';
import { isHttp } from '../model/protocol.ts';
import type { MeshService, MeshServicePort } from '../model/service.ts';
import { catchAllListener } from './catch-all-listener.ts';
import type { OwnedListener, PortOwners } from './catch-all-listener.ts';
import { connectionChains, noConnectionRoutes } from './connection-routes.ts';
import type { ConnectionRoutes } from './connection-routes.ts';
import { httpManagerFilter, tcpProxyFilter } from './http-manager.ts';
import { httpInspector, inspected, sniffedProtocols, tlsInspector } from './inspectors.ts';
import {
  blackHoleCluster,
  httpProxyRoutes,
  passthroughCluster,
  serviceRoutes,
  virtualHostName,
  virtualOutbound,
} from './names.ts';
import { forwardProxy, http2Streams, httpProxyAllocation } from './node.ts';
import type { MeshSettings, ProxyNode } from './node.ts';
import type { VisibleServices } from './visible-services.ts';

/** Port of the virtual outbound listener (Istio's MeshConfig.proxyListenPort). */
export const outboundPort = 15001;

/** Address every explicit listener of an instance binds. */
const loopback = '127.0.0.1';

/** What listeners are made for. */
export interface OutboundScope {
  readonly facts: { readonly namespace: string };
  readonly visible: VisibleServices;
  /** By `host:port`. */
  readonly connectionRoutes: ReadonlyMap<string, ConnectionRoutes>;
}

export interface OutboundFacts {
  /** What happens to connections that no service has. */
  readonly policy: 'ALLOW_ANY' | 'REGISTRY_ONLY';
  readonly knowsHttp2: boolean;
}

/**
 * Mode NONE: one listener per service port on an address of the instance's own, and the forward proxy. An alias has
 * listeners like the service it stands for; behind a redirect DNS leads its callers to those of the service.
 */
export function explicitListeners(
  node: ProxyNode,
  { visible, connectionRoutes }: OutboundScope,
  mesh: MeshSettings,
): OwnedListener[] {
  const knowsHttp2 = node.capabilities.has(http2Streams);
  const named = [
    ...visible.services
      .filter((service) => !service.hostname.startsWith('*'))
      .map((service) => ({ name: service, service })),
    ...visible.aliases.map(({ alias, target }) => ({ name: alias, service: target })),
  ];
  const listeners = named.flatMap(({ name, service }) =>
    service.ports
      .filter((port) => port.protocol !== 'udp')
      .flatMap((port) => {
        const local = node.outboundPort(name.key, port.number);
        if (local === null) return [];
        const target = { service, port, routes: routesFor(connectionRoutes, service, port), knowsHttp2 };
        const origins = new Set([name.source, service.source, ...target.routes.origins]);
        return [{ message: explicitListener(target, name.hostname, local, mesh), origins: [...origins] }];
      }),
  );
  const proxyPort = node.capabilities.has(forwardProxy) ? node.outboundPort(httpProxyAllocation, 0) : null;
  if (proxyPort === null) return listeners;
  return [...listeners, { message: forwardProxyListener(proxyPort, node, mesh), origins: [] }];
}

/** Behind a redirect: 15001, one listener per address of what is not HTTP, one per port for everything else. */
export function redirectedListeners(
  { visible, connectionRoutes, facts: client }: OutboundScope,
  facts: OutboundFacts,
  mesh: MeshSettings,
): OwnedListener[] {
  const listeners: OwnedListener[] = [{ message: virtualOutboundListener(facts.policy, mesh), origins: [] }];
  const taken = new Set<string>();
  const shared = new Map<number, PortOwners>();
  const ownersOf = (port: number): PortOwners => {
    let owners = shared.get(port);
    if (!owners) shared.set(port, (owners = { http: [], ranges: [], bare: [] }));
    return owners;
  };
  for (const service of visible.services) {
    for (const port of service.ports) {
      if (port.protocol === 'udp') continue;
      if (isHttp(port.protocol, facts.knowsHttp2)) {
        ownersOf(port.number).http.push({ service, port, routes: noConnectionRoutes });
        continue;
      }
      const routes = routesFor(connectionRoutes, service, port);
      const target = { service, port, routes, knowsHttp2: facts.knowsHttp2 };
      for (const listener of addressListeners(target, mesh)) {
        // Hosts of one ServiceEntry share its addresses: the first gets what is not told apart by name.
        const name = listener.message.name ?? '';
        if (taken.has(name)) continue;
        taken.add(name);
        listeners.push(listener);
      }
      if (service.addresses.some((address) => address.includes('/')))
        ownersOf(port.number).ranges.push(target);
      else if (isBare(service)) {
        const aliases = visible.aliasesOf.get(service.key) ?? [];
        const names = aliases.flatMap((one) =>
          hostAliases(one.hostname, client.namespace, mesh.clusterDomain),
        );
        ownersOf(port.number).bare.push({ ...target, names: [service.hostname, ...names] });
      }
    }
  }
  for (const [port, owners] of [...shared].sort(([a], [b]) => a - b))
    listeners.push(catchAllListener(port, owners, facts, mesh));
  return listeners;
}

/** Without an address every destination of its port may be meant; a headless service's instances are dialled. */
function isBare(service: MeshService): boolean {
  return service.addresses.length === 0 && service.source.kind === 'ServiceEntry';
}

/** A service's port with its routes of connections. */
interface ServiceTarget {
  readonly service: MeshService;
  readonly port: MeshServicePort;
  readonly routes: ConnectionRoutes;
  readonly knowsHttp2: boolean;
}

function routesFor(
  all: OutboundScope['connectionRoutes'],
  service: MeshService,
  port: MeshServicePort,
): ConnectionRoutes {
  return all.get(virtualHostName(service.hostname, port.number)) ?? noConnectionRoutes;
}

function explicitListener(
  target: ServiceTarget,
  hostname: string,
  local: number,
  mesh: MeshSettings,
): Init<Listener> {
  return {
    name: `${loopback}_${local}`,
    address: { socketAddress: { address: loopback, portValue: local } },
    trafficDirection: 'OUTBOUND',
    metadata: { filterMetadata: { 'sluice.dev': { service: hostname, port: target.port.number } } },
    ...serviceChains(target, { name: `${loopback}_${local}`, hostname, isExplicit: true }, mesh),
  };
}

function addressListeners(target: ServiceTarget, mesh: MeshSettings): OwnedListener[] {
  const { service, port, routes } = target;
  const { hostname } = service;
  return service.addresses
    .filter((address) => !address.includes('/'))
    .map((address) => ({
      message: {
        name: `${address}_${port.number}`,
        address: { socketAddress: { address, portValue: port.number } },
        bindToPort: false,
        trafficDirection: 'OUTBOUND' as const,
        ...serviceChains(target, { name: `${address}_${port.number}`, hostname, isExplicit: false }, mesh),
      },
      origins: [service.source, ...routes.origins],
    }));
}

/** A listener by its name, and the name that its clients call the service by. */
interface Place {
  readonly name: string;
  readonly hostname: string;
  readonly isExplicit: boolean;
}

/** HTTP, TCP, or (undeclared) HTTP where the first bytes look like it and TCP otherwise. */
function serviceChains(
  { service, port, routes, knowsHttp2 }: ServiceTarget,
  place: Place,
  mesh: MeshSettings,
): Init<Listener> {
  const isDeclaredHttp = isHttp(port.protocol, knowsHttp2);
  const manager = (): Init<NetworkFilter> =>
    httpManagerFilter(
      {
        statPrefix: `outbound_${place.name};`,
        routes: { rds: serviceRoutes(place.hostname, port.number) },
        defaultHost: place.hostname,
        knowsHttp2,
        translatesGrpcWeb: knowsHttp2 && port.protocol === 'grpc-web',
      },
      mesh,
    );
  if (isDeclaredHttp) return { filterChains: [{ filters: [manager()] }] };
  const unread = connectionChains(service, port, routes, place.isExplicit, mesh);
  const rest: Init<FilterChain> = { filters: [unread.rest] };
  const inspectors = unread.needsTlsInspector ? [tlsInspector()] : [];
  if (port.protocol !== 'auto') {
    const isAlone = unread.chains.length === 0;
    return {
      filterChains: isAlone ? [rest] : [...unread.chains],
      ...(isAlone ? {} : { defaultFilterChain: rest }),
      // Server names are looked for on ports of TLS, whose clients speak first: one that is late goes by its name too.
      ...inspected(inspectors, null),
    };
  }
  return {
    filterChains: [
      ...unread.chains,
      { filterChainMatch: sniffedProtocols(knowsHttp2), filters: [manager()] },
    ],
    defaultFilterChain: rest,
    ...inspected([...inspectors, httpInspector()], mesh.detectionTimeoutMs),
  };
}

function virtualOutboundListener(policy: OutboundFacts['policy'], mesh: MeshSettings): Init<Listener> {
  const cluster = policy === 'ALLOW_ANY' ? passthroughCluster : blackHoleCluster;
  return {
    name: virtualOutbound,
    address: { socketAddress: { address: '0.0.0.0', portValue: outboundPort } },
    useOriginalDst: true,
    trafficDirection: 'OUTBOUND',
    filterChains: [
      {
        name: 'virtualOutbound-blackhole',
        // A connection to the listener's own port was never redirected: it would loop.
        filterChainMatch: { destinationPort: outboundPort },
        filters: [tcpProxyFilter(blackHoleCluster, mesh)],
      },
      { name: 'virtualOutbound-catchall-tcp', filters: [tcpProxyFilter(cluster, mesh)] },
    ],
  };
}

function forwardProxyListener(port: number, node: ProxyNode, mesh: MeshSettings): Init<Listener> {
  const options = {
    statPrefix: `${httpProxyRoutes};`,
    routes: { rds: httpProxyRoutes },
    knowsHttp2: node.capabilities.has(http2Streams),
    forwardProxy: { refusedAddresses: node.refusedAddresses },
  };
  return {
    name: `${loopback}_${port}`,
    address: { socketAddress: { address: loopback, portValue: port } },
    trafficDirection: 'OUTBOUND',
    metadata: { filterMetadata: { 'sluice.dev': { forward_proxy: true } } },
    filterChains: [{ filters: [httpManagerFilter(options, mesh)] }],
  };
}
