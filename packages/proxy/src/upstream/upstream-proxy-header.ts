/**
 * The PROXY header that a cluster's transport asks for (envoy.transport_sockets.upstream_proxy_protocol):
 * it tells the endpoint who the client is. The transport it wraps, plain or TLS, follows behind it.
 */
import { ProxyProtocolUpstreamTransportTable, unpackAny } from '@sluice/xds';
import type { ProxyProtocolConfig, TransportSocket } from '@sluice/xds';
import { writeProxyV1, writeProxyV2, type ProxyTlv } from '@sluice/wire';
import type { ProblemScope } from '../config/problems.ts';
import type { ConnectionFacts } from '../listener/connection-facts.ts';
import type { UpstreamProxyHeader } from '../tls/transport.ts';

export interface UnwrappedTransport {
  readonly proxyHeader: UpstreamProxyHeader | null;
  /** The socket behind the header; undefined = plain. */
  readonly inner: TransportSocket | undefined;
}

/** Takes the PROXY wrapper off a transport socket; any other socket comes back as it is. */
export function unwrapProxyTransport(
  socket: TransportSocket | undefined,
  scope: ProblemScope,
): UnwrappedTransport {
  const config =
    socket?.typedConfig === undefined
      ? undefined
      : unpackAny(socket.typedConfig, ProxyProtocolUpstreamTransportTable);
  if (config === undefined) return { proxyHeader: null, inner: socket };
  const at = scope.at('transport_socket').at('typed_config');
  if (config.transportSocket === undefined) at.at('transport_socket').error('must be set');
  return { proxyHeader: compileHeader(config.config, at.at('config')), inner: config.transportSocket };
}

type PassesTlv = (type: number) => boolean;

function compileHeader(config: ProxyProtocolConfig | undefined, scope: ProblemScope): UpstreamProxyHeader {
  const isV2 = config?.version === 'V2';
  const passing = config?.passThroughTlvs;
  if (passing !== undefined && !isV2) {
    scope.unhonoured('pass_through_tlvs', 'version 1 carries no values');
  }
  const types = new Set(passing?.tlvType ?? []);
  let passes: PassesTlv = () => false;
  if (passing?.matchType === 'INCLUDE') passes = (type) => types.has(type);
  else if (passing !== undefined) passes = () => true;
  const key = `proxy-${isV2 ? 'v2' : 'v1'}-${passing === undefined ? '' : `${passing.matchType}:${[...types].sort().join(',')}`}`;
  return {
    key,
    bytes(downstream) {
      const source =
        downstream === null ? null : { address: downstream.remoteAddress, port: downstream.remotePort };
      const destination =
        downstream === null
          ? null
          : { address: downstream.destinationAddress, port: downstream.destinationPort };
      if (!isV2) return writeProxyV1(source, destination);
      return writeProxyV2(source, destination, { tlvs: tlvsOf(downstream, passes) });
    },
  };
}

function tlvsOf(downstream: ConnectionFacts | null, passes: PassesTlv): readonly ProxyTlv[] {
  const received = downstream?.proxied?.tlvs;
  return received === undefined ? [] : received.filter(({ type }) => passes(type));
}
