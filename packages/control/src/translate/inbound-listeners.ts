/** Listeners for what calls the application: one per port (mode NONE), or 15006 behind a redirect. */
import type { RegisteredPort } from '@sluice/api';
import type { FilterChain, Init, Listener } from '@sluice/xds';
import { isHttp, portProtocol } from '../model/protocol.ts';
import type { PortProtocol } from '../model/service.ts';
import type { MeshService } from '../model/service.ts';
import { httpManagerFilter, tcpProxyFilter } from './http-manager.ts';
import { blackHoleCluster, inboundCluster, inboundPassthroughCluster, virtualInbound } from './names.ts';
import { http2Streams } from './node.ts';
import type { MeshSettings, ProxyNode } from './node.ts';
import { inboundRouteTable } from './virtual-hosts.ts';

/** Port of the virtual inbound listener (Istio's MeshConfig.proxyInboundListenPort). */
export const inboundPort = 15006;

/** A port of the application with the services that lead to it. */
export interface InboundPort {
  readonly port: RegisteredPort;
  readonly services: readonly MeshService[];
  readonly protocol: PortProtocol;
}

/** Which services select this instance, by application port. */
export function inboundPorts(node: ProxyNode, services: readonly MeshService[]): InboundPort[] {
  return node.registration.ports.map((port) => {
    const leading = services.filter((service) =>
      service.ports.some(
        (one) => one.targetPort === port.appPort || one.targetPort === port.name || one.name === port.name,
      ),
    );
    const declared = leading
      .flatMap((service) => service.ports)
      .find(
        (one) => one.targetPort === port.appPort || one.targetPort === port.name || one.name === port.name,
      )?.protocol;
    // A service says what its clients speak; without one the registration does.
    const own = portProtocol({ number: port.appPort, name: port.name, appProtocol: port.protocol });
    return {
      port,
      services: leading,
      protocol: declared === undefined || declared === 'auto' ? own : declared,
    };
  });
}

export function boundInboundListeners(
  node: ProxyNode,
  ports: readonly InboundPort[],
  mesh: MeshSettings,
): Init<Listener>[] {
  const { address } = node.registration;
  return ports.map((inbound) => ({
    name: `${address}_${inbound.port.inboundPort}`,
    address: { socketAddress: { address, portValue: inbound.port.inboundPort } },
    trafficDirection: 'INBOUND',
    filterChains: [chain(inbound, node.capabilities.has(http2Streams), mesh)],
  }));
}

export function virtualInboundListener(
  node: ProxyNode,
  ports: readonly InboundPort[],
  mesh: MeshSettings,
): Init<Listener> {
  return {
    name: virtualInbound,
    address: { socketAddress: { address: '0.0.0.0', portValue: inboundPort } },
    useOriginalDst: true,
    trafficDirection: 'INBOUND',
    filterChains: [
      {
        name: 'virtualInbound-blackhole',
        filterChainMatch: { destinationPort: inboundPort },
        filters: [tcpProxyFilter(blackHoleCluster, mesh)],
      },
      ...ports.map((inbound) => ({
        ...chain(inbound, node.capabilities.has(http2Streams), mesh),
        filterChainMatch: { destinationPort: inbound.port.appPort },
      })),
      { name: virtualInbound, filters: [tcpProxyFilter(inboundPassthroughCluster, mesh)] },
    ],
  };
}

/** Undeclared inbound ports are read as HTTP only when a service says so; bytes pass unread otherwise. */
function chain(inbound: InboundPort, knowsHttp2: boolean, mesh: MeshSettings): Init<FilterChain> {
  const { appPort } = inbound.port;
  const filter = isHttp(inbound.protocol, knowsHttp2)
    ? httpManagerFilter(
        {
          statPrefix: `inbound_0.0.0.0_${appPort};`,
          routes: { inline: inboundRouteTable(appPort) },
        },
        mesh,
      )
    : tcpProxyFilter(inboundCluster(appPort), mesh);
  return { name: `0.0.0.0_${appPort}`, filters: [filter] };
}
