/**
 * `0.0.0.0_PORT` behind a redirect: everything to a port that no address has a listener of its own for. HTTP services
 * of the port share one route table; TLS is told apart by name, ranges by destination; of several TCP services
 * without address the oldest gets the port, since nothing tells them apart.
 */
import type { ResourceKey } from '@sluice/api';
import type { FilterChain, Init, Listener } from '@sluice/xds';
import type { MeshService, MeshServicePort } from '../model/service.ts';
import { httpManagerFilter, tcpProxyFilter } from './http-manager.ts';
import { httpInspector, inspected, sniffedProtocols, tlsInspector } from './inspectors.ts';
import { blackHoleCluster, outboundCluster, passthroughCluster, portRoutes } from './names.ts';
import type { MeshSettings } from './node.ts';

/** A listener with the resources it was made from. */
export interface OwnedListener {
  readonly message: Init<Listener>;
  readonly origins: readonly ResourceKey[];
}

interface ServicePort {
  readonly service: MeshService;
  readonly port: MeshServicePort;
}

/** Who wants a port's traffic. */
export interface PortOwners {
  readonly http: ServicePort[];
  /** Opaque services with address ranges. */
  readonly ranges: ServicePort[];
  /** Opaque services without any address. */
  readonly bare: ServicePort[];
}

export function catchAllListener(
  port: number,
  owners: PortOwners,
  policy: 'ALLOW_ANY' | 'REGISTRY_ONLY',
  mesh: MeshSettings,
): OwnedListener {
  const tls = owners.bare.filter((owner) => owner.port.protocol === 'tls');
  const [oldest] = owners.bare
    .filter((owner) => owner.port.protocol !== 'tls')
    .sort((a, b) => a.service.createdMs - b.service.createdMs || compareText(a.service.key, b.service.key));
  const hasHttp = owners.http.length > 0;
  const rest = oldest ? clusterOf(oldest) : policy === 'ALLOW_ANY' ? passthroughCluster : blackHoleCluster;
  const inspectors = [...(tls.length > 0 ? [tlsInspector()] : []), ...(hasHttp ? [httpInspector()] : [])];
  const message: Init<Listener> = {
    name: `0.0.0.0_${port}`,
    address: { socketAddress: { address: '0.0.0.0', portValue: port } },
    bindToPort: false,
    trafficDirection: 'OUTBOUND',
    filterChains: [
      ...rangeChains(owners.ranges, mesh),
      ...tls.map((owner) => nameChain(owner, mesh)),
      ...(hasHttp ? [httpChain(port, mesh)] : []),
    ],
    defaultFilterChain: { name: 'PassthroughFilterChain', filters: [tcpProxyFilter(rest, mesh)] },
    ...inspected(inspectors, mesh.detectionTimeoutMs),
  };
  const used = [...owners.http, ...owners.ranges, ...tls, ...(oldest ? [oldest] : [])];
  return { message, origins: used.map((owner) => owner.service.source) };
}

/** Requests, HTTP/2 ones included: the route table's clusters say which version goes upstream. */
function httpChain(port: number, mesh: MeshSettings): Init<FilterChain> {
  const options = { statPrefix: `outbound_0.0.0.0_${port};`, routes: { rds: portRoutes(port) } };
  return { filterChainMatch: sniffedProtocols(true), filters: [httpManagerFilter(options, mesh)] };
}

function nameChain(owner: ServicePort, mesh: MeshSettings): Init<FilterChain> {
  return {
    filterChainMatch: { serverNames: [owner.service.hostname] },
    filters: [tcpProxyFilter(clusterOf(owner), mesh)],
  };
}

/** A range belongs to the first service that has it: two chains with one match are refused. */
function rangeChains(owners: readonly ServicePort[], mesh: MeshSettings): Init<FilterChain>[] {
  const taken = new Set<string>();
  return owners.flatMap((owner) => {
    const ranges = owner.service.addresses.filter((address) => address.includes('/') && !taken.has(address));
    for (const range of ranges) taken.add(range);
    return ranges.length > 0 ? [rangeChain(owner, ranges, mesh)] : [];
  });
}

function rangeChain(owner: ServicePort, ranges: readonly string[], mesh: MeshSettings): Init<FilterChain> {
  return {
    filterChainMatch: {
      prefixRanges: ranges.map((range) => {
        const slash = range.indexOf('/');
        return { addressPrefix: range.slice(0, slash), prefixLen: Number(range.slice(slash + 1)) };
      }),
    },
    filters: [tcpProxyFilter(clusterOf(owner), mesh)],
  };
}

function clusterOf({ service, port }: ServicePort): string {
  return outboundCluster(port.number, '', service.hostname);
}

function compareText(a: string, b: string): number {
  return a < b ? -1 : a > b ? 1 : 0;
}
