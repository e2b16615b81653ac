/** Listeners for what calls the application: one per port (mode NONE), or 15006 behind a redirect. */
import type { RegisteredPort } from '@sluice/api';
import type { Init, Listener } from '@sluice/xds';
import { modeOfPort } from '../model/peer-authentication.ts';
import type { MutualTlsPolicy, TlsMode } from '../model/peer-authentication.ts';
import { isHttp, portProtocol } from '../model/protocol.ts';
import type { PortProtocol } from '../model/service.ts';
import type { MeshService } from '../model/service.ts';
import { httpManagerFilter, refusalLogs, tcpProxyFilter } from './http-manager.ts';
import { inboundChains } from './inbound-chains.ts';
import type { InboundChains, InboundReading } from './inbound-chains.ts';
import { httpInspector, inspected, tlsInspector } from './inspectors.ts';
import { blackHoleCluster, inboundCluster, inboundPassthroughCluster, virtualInbound } from './names.ts';
import { http2Streams, transportTls } from './node.ts';
import type { MeshSettings, ProxyNode } from './node.ts';
import { inboundPassthroughTable, inboundRouteTable } from './virtual-hosts.ts';

/** Port of the virtual inbound listener (Istio's MeshConfig.proxyInboundListenPort). */
export const inboundPort = 15006;

/** A port of the application with the services that lead to it. */
export interface InboundPort {
  readonly port: RegisteredPort;
  readonly services: readonly MeshService[];
  readonly protocol: PortProtocol;
}

/** What connections to the workload may be. */
export interface InboundFacts {
  readonly policy: MutualTlsPolicy;
  readonly mesh: MeshSettings;
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
  facts: InboundFacts,
): Init<Listener>[] {
  const { address } = node.registration;
  return ports.map((inbound) => {
    const { chains, needsTlsInspector, needsHttpInspector, mayBeSilent } = portChains(
      inbound,
      node,
      facts,
      false,
    );
    return {
      name: `${address}_${inbound.port.inboundPort}`,
      address: { socketAddress: { address, portValue: inbound.port.inboundPort } },
      trafficDirection: 'INBOUND',
      filterChains: [...chains],
      accessLog: refusalLogs(facts.mesh),
      ...inspected(
        [...(needsTlsInspector ? [tlsInspector()] : []), ...(needsHttpInspector ? [httpInspector()] : [])],
        mayBeSilent ? facts.mesh.detectionTimeoutMs : null,
      ),
    };
  });
}

export function virtualInboundListener(
  node: ProxyNode,
  ports: readonly InboundPort[],
  facts: InboundFacts,
): Init<Listener> {
  const { mesh } = facts;
  const rest = passthroughChains(node, facts, null);
  const registered = new Set(ports.map((inbound) => inbound.port.appPort));
  const known = [
    ...ports.map((inbound) => ({
      number: inbound.port.appPort,
      ...portChains(inbound, node, facts, true),
    })),
    // A policy may name ports that nobody registered.
    ...[...facts.policy.ports.keys()]
      .filter((number) => knowsTls(node) && !registered.has(number))
      .map((number) => ({ number, ...passthroughChains(node, facts, number) })),
  ];
  const all = [...known, rest];
  // A filter is switched off for the ports that have no use for it: nobody waits there.
  const disabledFor = (needs: (chains: InboundChains) => boolean): number[] => [
    inboundPort,
    ...known.filter((one) => !needs(one)).map((one) => one.number),
  ];
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
      ...known.flatMap(({ chains }) => chains),
      ...rest.chains,
    ],
    accessLog: refusalLogs(mesh),
    ...inspected(
      [
        ...(all.some((one) => one.needsTlsInspector)
          ? [tlsInspector(disabledFor((one) => one.needsTlsInspector))]
          : []),
        ...(all.some((one) => one.needsHttpInspector)
          ? [httpInspector(disabledFor((one) => one.needsHttpInspector))]
          : []),
      ],
      all.some((one) => one.mayBeSilent) ? mesh.detectionTimeoutMs : null,
    ),
  };
}

function portChains(
  inbound: InboundPort,
  node: ProxyNode,
  { policy, mesh }: InboundFacts,
  isShared: boolean,
): InboundChains {
  const { appPort } = inbound.port;
  const knowsHttp2 = node.capabilities.has(http2Streams);
  const name = `0.0.0.0_${appPort}`;
  const manager = {
    statPrefix: `inbound_${name};`,
    routes: { inline: inboundRouteTable(appPort) },
    defaultHost: inbound.services[0]?.hostname ?? 'localhost',
    knowsHttp2,
    translatesGrpcWeb: knowsHttp2 && inbound.protocol === 'grpc-web',
  };
  const target = {
    reading: readingOf(inbound.protocol, knowsHttp2),
    mode: modeFor(node, modeOfPort(policy, appPort)),
    match: isShared ? { destinationPort: appPort } : {},
    names: { http: name, tcp: name },
    filters: {
      http: httpManagerFilter({ ...manager, tellsClientCertificate: knowsTls(node) }, mesh),
      tcp: tcpProxyFilter(inboundCluster(appPort), mesh),
    },
  };
  return inboundChains(target, mesh, knowsHttp2);
}

/** Ports that nobody registered, one or (null) all others: only what the workload takes there is known. */
function passthroughChains(
  node: ProxyNode,
  { policy, mesh }: InboundFacts,
  port: number | null,
): InboundChains {
  const tcp = tcpProxyFilter(inboundPassthroughCluster, mesh);
  if (!knowsTls(node)) {
    const chains = [{ name: virtualInbound, filters: [tcp] }];
    return { chains, needsTlsInspector: false, needsHttpInspector: false, mayBeSilent: false };
  }
  const manager = {
    statPrefix: `${inboundPassthroughCluster};`,
    routes: { inline: inboundPassthroughTable() },
    knowsHttp2: node.capabilities.has(http2Streams),
    tellsClientCertificate: true,
  };
  const target = {
    reading: 'auto' as const,
    mode: port === null ? policy.mode : modeOfPort(policy, port),
    match: port === null ? {} : { destinationPort: port },
    names: { http: 'virtualInbound-catchall-http', tcp: virtualInbound },
    filters: { http: httpManagerFilter(manager, mesh), tcp },
  };
  return inboundChains(target, mesh, node.capabilities.has(http2Streams));
}

function readingOf(protocol: PortProtocol, knowsHttp2: boolean): InboundReading {
  if (isHttp(protocol, knowsHttp2)) return 'http';
  return protocol === 'auto' ? 'auto' : 'tcp';
}

/** Null for proxies that do not speak TLS: they take what comes. */
function modeFor(node: ProxyNode, mode: TlsMode): TlsMode | null {
  return knowsTls(node) ? mode : null;
}

function knowsTls(node: ProxyNode): boolean {
  return node.capabilities.has(transportTls);
}
