/**
 * `0.0.0.0_PORT` behind a redirect: everything to a port that no address has a listener of its own for. HTTP services
 * of the port share one route table; TLS is told apart by name, ranges by destination; of several TCP services
 * without address the oldest gets the port, since nothing tells them apart.
 */
import type { ResourceKey } from '@sluice/api';
import type { FilterChain, Init, Listener } from '@sluice/xds';
import type { MeshService, MeshServicePort } from '../model/service.ts';
import { connectionChains, rangeOf } from './connection-routes.ts';
import type { ConnectionChains, ConnectionRoutes } from './connection-routes.ts';
import { httpManagerFilter, tcpProxyFilter, type ManagerOptions } from './http-manager.ts';
import { httpInspector, inspected, sniffedProtocols, tlsInspector } from './inspectors.ts';
import { blackHoleCluster, passthroughCluster, portRoutes } from './names.ts';
import type { MeshSettings } from './node.ts';

/** A listener with the resources it was made from. */
export interface OwnedListener {
  readonly message: Init<Listener>;
  readonly origins: readonly ResourceKey[];
}

interface ServicePort {
  readonly service: MeshService;
  readonly port: MeshServicePort;
  readonly routes: ConnectionRoutes;
}

/** Who wants a port's traffic. */
export interface PortOwners {
  readonly http: ServicePort[];
  /** Opaque services with address ranges. */
  readonly ranges: ServicePort[];
  /** Opaque services without any address, and the names that they are called by in TLS. */
  readonly bare: (ServicePort & { readonly names: readonly string[] })[];
}

export function catchAllListener(
  port: number,
  owners: PortOwners,
  { policy, knowsHttp2 }: { readonly policy: 'ALLOW_ANY' | 'REGISTRY_ONLY'; readonly knowsHttp2: boolean },
  mesh: MeshSettings,
): OwnedListener {
  const tls = owners.bare.filter((owner) => owner.port.protocol === 'tls');
  const [oldest] = owners.bare
    .filter((owner) => owner.port.protocol !== 'tls')
    .sort((a, b) => a.service.createdMs - b.service.createdMs || compareText(a.service.key, b.service.key));
  const hasHttp = owners.http.length > 0;
  const translatesGrpcWeb = knowsHttp2 && owners.http.some((owner) => owner.port.protocol === 'grpc-web');
  const unknown = tcpProxyFilter(policy === 'ALLOW_ANY' ? passthroughCluster : blackHoleCluster, mesh);
  const own = oldest ? unreadChains(oldest, mesh) : null;
  const chains = firstOfEach([
    ...owners.ranges.flatMap((owner) => rangeChains(owner, mesh)),
    ...tls.flatMap((owner) => nameChains(owner, mesh)),
    ...(own?.chains ?? []),
  ]);
  const hasNames = chains.some((chain) => (chain.filterChainMatch?.serverNames?.length ?? 0) > 0);
  const inspectors = [...(hasNames ? [tlsInspector()] : []), ...(hasHttp ? [httpInspector()] : [])];
  const message: Init<Listener> = {
    name: `0.0.0.0_${port}`,
    address: { socketAddress: { address: '0.0.0.0', portValue: port } },
    bindToPort: false,
    trafficDirection: 'OUTBOUND',
    filterChains: [...chains, ...(hasHttp ? [httpChain(port, { knowsHttp2, translatesGrpcWeb }, mesh)] : [])],
    defaultFilterChain: { name: 'PassthroughFilterChain', filters: [own?.rest ?? unknown] },
    // Where silence leads nowhere there is nothing to gain by taking it for an answer.
    ...inspected(inspectors, own === null && policy === 'REGISTRY_ONLY' ? null : mesh.detectionTimeoutMs),
  };
  const used = [...owners.http, ...owners.ranges, ...tls, ...(oldest ? [oldest] : [])];
  return { message, origins: used.flatMap((owner) => [owner.service.source, ...owner.routes.origins]) };
}

/** Requests, HTTP/2 ones included: the route table's clusters say which version goes upstream. */
function httpChain(
  port: number,
  facts: Pick<ManagerOptions, 'knowsHttp2' | 'translatesGrpcWeb'>,
  mesh: MeshSettings,
): Init<FilterChain> {
  const options = {
    ...facts,
    statPrefix: `outbound_0.0.0.0_${port};`,
    routes: { rds: portRoutes(port) },
  };
  return { filterChainMatch: sniffedProtocols(true), filters: [httpManagerFilter(options, mesh)] };
}

function unreadChains({ service, port, routes }: ServicePort, mesh: MeshSettings): ConnectionChains {
  return connectionChains(service, port, routes, false, mesh);
}

/** By the names that its routes say, by its own and by those of its aliases. */
function nameChains(owner: PortOwners['bare'][number], mesh: MeshSettings): Init<FilterChain>[] {
  const { chains, rest } = unreadChains(owner, mesh);
  return [...chains, { filterChainMatch: { serverNames: [...owner.names] }, filters: [rest] }];
}

function rangeChains(owner: ServicePort, mesh: MeshSettings): Init<FilterChain>[] {
  const prefixRanges = owner.service.addresses.filter((address) => address.includes('/')).map(rangeOf);
  const { chains, rest } = unreadChains(owner, mesh);
  return [
    ...chains.map((chain) => ({ ...chain, filterChainMatch: { prefixRanges, ...chain.filterChainMatch } })),
    { filterChainMatch: { prefixRanges }, filters: [rest] },
  ];
}

/** A range, or a name in one, belongs to the first service that has it: two chains with one match are refused. */
function firstOfEach(chains: readonly Init<FilterChain>[]): Init<FilterChain>[] {
  const taken = new Set<string>();
  return chains.flatMap((chain) => {
    const { serverNames, prefixRanges, ...match } = chain.filterChainMatch ?? {};
    const places = prefixRanges?.map((range) => JSON.stringify(range)) ?? [''];
    const isFree = (name: string, place: string): boolean => !taken.has(`${name} ${place}`);
    const names = serverNames?.filter((name) => places.every((place) => isFree(name, place)));
    const ranges = serverNames
      ? prefixRanges
      : prefixRanges?.filter((_, index) => isFree('', places[index] ?? ''));
    if (names?.length === 0 || ranges?.length === 0) return [];
    for (const name of names ?? ['']) for (const place of places) taken.add(`${name} ${place}`);
    const filterChainMatch = {
      ...match,
      ...(names ? { serverNames: names } : {}),
      ...(ranges ? { prefixRanges: ranges } : {}),
    };
    return [{ ...chain, filterChainMatch }];
  });
}

function compareText(a: string, b: string): number {
  return a < b ? -1 : a > b ? 1 : 0;
}
