/** Names of xDS resources as Istio's users know them (reference: istiod's dumps). */
import { kindOfKey, storageApiVersion } from '@sluice/api';
import type { ResourceKey } from '@sluice/api';

export const passthroughCluster = 'PassthroughCluster';
export const blackHoleCluster = 'BlackHoleCluster';
export const inboundPassthroughCluster = 'InboundPassthroughCluster';
export const virtualOutbound = 'virtualOutbound';
export const virtualInbound = 'virtualInbound';
/** Route table of the forward-proxy listener. */
export const httpProxyRoutes = 'http_proxy';

/** `outbound|9080|v1|reviews.default.svc.cluster.local` */
export function outboundCluster(port: number, subset: string, hostname: string): string {
  return `outbound|${port}|${subset}|${hostname}`;
}

/** `outbound_.9080_.v1_.reviews.default.svc.cluster.local`: what clients of the mesh call a port by in TLS. */
export function serverNameOf(port: number, subset: string, hostname: string): string {
  return `outbound_.${port}_.${subset}_.${hostname}`;
}

/** Never a cluster: what a route names where its reference leads nowhere. */
export function unresolvedCluster(port: number, subset: string, hostname: string): string {
  return `unresolved|${port}|${subset}|${hostname}`;
}

/** `inbound|9080||` */
export function inboundCluster(port: number): string {
  return `inbound|${port}||`;
}

/** Route table of all HTTP services of a port; also the shared listener's. */
export function portRoutes(port: number): string {
  return String(port);
}

/** Route table of one service's port: explicit listeners and sniffed ports have one of their own. */
export function serviceRoutes(hostname: string, port: number): string {
  return `${hostname}:${port}`;
}

/** Name of a virtual host, and the `host:port` that decorates its routes. */
export function virtualHostName(hostname: string, port: number): string {
  return `${hostname}:${port}`;
}

/**
 * `filter_metadata.istio.config`: the path of the resource a piece of configuration came from, in the version
 * that is stored, the kind in kebab case as Istio writes it (`virtual-service`, `http-route`).
 */
export function configPath(key: ResourceKey): string {
  const info = kindOfKey(key);
  const version = info ? storageApiVersion(info) : `${key.group}/v1`;
  const root = key.group === '' ? '/api' : '/apis';
  const namespace = key.namespace === '' ? '' : `/namespaces/${key.namespace}`;
  return `${root}/${version}${namespace}/${kebab(key.kind)}/${key.name}`;
}

function kebab(kind: string): string {
  return kind
    .replace(/([A-Z]+)([A-Z][a-z])/g, '$1-$2')
    .replace(/([a-z0-9])([A-Z])/g, '$1-$2')
    .toLowerCase();
}
