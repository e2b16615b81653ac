/**
 * `trafficPolicy.proxyProtocol`: each connection of a cluster begins with a PROXY header, before TLS. As in Istio it
 * goes to every endpoint, those behind sidecars included, which do not read one.
 */
import { ProxyProtocolUpstreamTransportTable } from '@sluice/xds';
import type { Cluster, Init, TransportSocket } from '@sluice/xds';
import type { TrafficPolicy } from '../model/destination-rule.ts';
import { rawBuffer } from './tls-context.ts';
import { typedConfig } from './typed-config.ts';

type Sockets = Pick<Init<Cluster>, 'transportSocket' | 'transportSocketMatches'>;

export function withProxyHeader(sockets: Sockets, header: TrafficPolicy['proxyProtocol']): Sockets {
  if (header === undefined) return sockets;
  const version = header.version ?? 'V1';
  const { transportSocket, transportSocketMatches } = sockets;
  if (transportSocketMatches === undefined)
    return { transportSocket: wrapped(transportSocket ?? rawBuffer, version) };
  return {
    transportSocketMatches: transportSocketMatches.map((match) => ({
      ...match,
      transportSocket: wrapped(match.transportSocket ?? rawBuffer, version),
    })),
  };
}

function wrapped(transportSocket: Init<TransportSocket>, version: 'V1' | 'V2'): Init<TransportSocket> {
  return {
    name: 'envoy.transport_sockets.upstream_proxy_protocol',
    typedConfig: typedConfig(ProxyProtocolUpstreamTransportTable, { config: { version }, transportSocket }),
  };
}
