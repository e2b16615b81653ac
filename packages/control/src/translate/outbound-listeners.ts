/** Listeners for what the application calls: explicit ones (mode NONE), or virtual ones behind a redirect. */
import { HttpInspectorTable } from '@sluice/xds';
import type { FilterChain, Init, Listener } from '@sluice/xds';
import { isHttp } from '../model/protocol.ts';
import type { MeshService, MeshServicePort } from '../model/service.ts';
import { httpManagerFilter, tcpProxyFilter } from './http-manager.ts';
import {
  blackHoleCluster,
  httpProxyRoutes,
  outboundCluster,
  passthroughCluster,
  portRoutes,
  serviceRoutes,
  virtualOutbound,
} from './names.ts';
import { forwardProxy, httpProxyAllocation } from './node.ts';
import type { MeshSettings, ProxyNode } from './node.ts';
import { typedConfig } from './typed-config.ts';

/** Port of the virtual outbound listener (Istio's MeshConfig.proxyListenPort). */
export const outboundPort = 15001;
/** How long a sniffed connection may stay silent before it counts as TCP (pains row 7). */
const inspectTimeoutMs = 100;

/** Address every explicit listener of an instance binds. */
const loopback = '127.0.0.1';

export interface OutboundPolicy {
  readonly mode: 'ALLOW_ANY' | 'REGISTRY_ONLY';
}

/** Mode NONE: one listener per service port on an address of the instance's own, and the forward proxy. */
export function explicitListeners(
  node: ProxyNode,
  services: readonly MeshService[],
  mesh: MeshSettings,
): Init<Listener>[] {
  const listeners = services.flatMap((service) =>
    service.ports
      .filter((port) => port.protocol !== 'udp')
      .flatMap((port) => {
        const local = service.hostname.startsWith('*') ? null : node.outboundPort(service.key, port.number);
        return local === null ? [] : [explicitListener(service, port, local, mesh)];
      }),
  );
  const proxyPort = node.capabilities.has(forwardProxy) ? node.outboundPort(httpProxyAllocation, 0) : null;
  return proxyPort === null ? listeners : [...listeners, forwardProxyListener(proxyPort, mesh)];
}

/** Behind a redirect: 15001, one listener per HTTP port shared by its services, one per address otherwise. */
export function redirectedListeners(
  services: readonly MeshService[],
  policy: OutboundPolicy,
  mesh: MeshSettings,
): Init<Listener>[] {
  const httpPorts = new Set<number>();
  const listeners: Init<Listener>[] = [virtualOutboundListener(policy, mesh)];
  for (const service of services) {
    for (const port of service.ports) {
      if (isHttp(port.protocol)) httpPorts.add(port.number);
      else if (port.protocol !== 'udp') listeners.push(...addressListeners(service, port, mesh));
    }
  }
  for (const port of [...httpPorts].sort((a, b) => a - b)) listeners.push(sharedHttpListener(port, mesh));
  return listeners;
}

function explicitListener(
  service: MeshService,
  port: MeshServicePort,
  local: number,
  mesh: MeshSettings,
): Init<Listener> {
  const cluster = outboundCluster(port.number, '', service.hostname);
  const http = httpManagerFilter(
    {
      statPrefix: `outbound_${loopback}_${local};`,
      routes: { rds: serviceRoutes(service.hostname, port.number) },
    },
    mesh,
  );
  return {
    name: `${loopback}_${local}`,
    address: { socketAddress: { address: loopback, portValue: local } },
    trafficDirection: 'OUTBOUND',
    metadata: { filterMetadata: { 'sluice.dev': { service: service.hostname, port: port.number } } },
    ...chainsFor(port, http, tcpProxyFilter(cluster, mesh)),
  };
}

function addressListeners(service: MeshService, port: MeshServicePort, mesh: MeshSettings): Init<Listener>[] {
  const cluster = outboundCluster(port.number, '', service.hostname);
  return service.addresses
    .filter((address) => !address.includes('/'))
    .map((address) => ({
      name: `${address}_${port.number}`,
      address: { socketAddress: { address, portValue: port.number } },
      bindToPort: false,
      trafficDirection: 'OUTBOUND' as const,
      ...chainsFor(
        port,
        httpManagerFilter(
          {
            statPrefix: `outbound_${address}_${port.number};`,
            routes: { rds: serviceRoutes(service.hostname, port.number) },
          },
          mesh,
        ),
        tcpProxyFilter(cluster, mesh),
      ),
    }));
}

/** HTTP, TCP, or (undeclared) HTTP where the first bytes look like it and TCP otherwise. */
function chainsFor(
  port: MeshServicePort,
  http: Init<FilterChain['filters'][number]>,
  tcp: Init<FilterChain['filters'][number]>,
): Pick<
  Init<Listener>,
  | 'filterChains'
  | 'defaultFilterChain'
  | 'listenerFilters'
  | 'listenerFiltersTimeout'
  | 'continueOnListenerFiltersTimeout'
> {
  if (isHttp(port.protocol)) return { filterChains: [{ filters: [http] }] };
  if (port.protocol !== 'auto') return { filterChains: [{ filters: [tcp] }] };
  return {
    filterChains: [
      {
        filterChainMatch: { transportProtocol: 'raw_buffer', applicationProtocols: ['http/1.1', 'h2c'] },
        filters: [http],
      },
    ],
    defaultFilterChain: { filters: [tcp] },
    listenerFilters: [inspector()],
    listenerFiltersTimeout: inspectTimeoutMs,
    continueOnListenerFiltersTimeout: true,
  };
}

function sharedHttpListener(port: number, mesh: MeshSettings): Init<Listener> {
  return {
    name: `0.0.0.0_${port}`,
    address: { socketAddress: { address: '0.0.0.0', portValue: port } },
    bindToPort: false,
    trafficDirection: 'OUTBOUND',
    filterChains: [
      {
        filters: [
          httpManagerFilter(
            { statPrefix: `outbound_0.0.0.0_${port};`, routes: { rds: portRoutes(port) } },
            mesh,
          ),
        ],
      },
    ],
  };
}

function virtualOutboundListener(policy: OutboundPolicy, mesh: MeshSettings): Init<Listener> {
  const cluster = policy.mode === 'ALLOW_ANY' ? passthroughCluster : blackHoleCluster;
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

function forwardProxyListener(port: number, mesh: MeshSettings): Init<Listener> {
  return {
    name: `${loopback}_${port}`,
    address: { socketAddress: { address: loopback, portValue: port } },
    trafficDirection: 'OUTBOUND',
    metadata: { filterMetadata: { 'sluice.dev': { forward_proxy: true } } },
    filterChains: [
      {
        filters: [
          httpManagerFilter(
            { statPrefix: `${httpProxyRoutes};`, routes: { rds: httpProxyRoutes }, isForwardProxy: true },
            mesh,
          ),
        ],
      },
    ],
  };
}

function inspector(): NonNullable<Init<Listener>['listenerFilters']>[number] {
  return { name: 'envoy.filters.listener.http_inspector', typedConfig: typedConfig(HttpInspectorTable, {}) };
}
