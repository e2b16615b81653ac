/**
 * How endpoints are reached: plain, by TLS, behind a PROXY header; chosen by the endpoint's metadata where
 * the cluster says so (Istio: `tlsMode: istio` for those with a sidecar that can).
 */
import { canonicalJson } from '@sluice/runtime';
import { RawBufferTable, unpackAny, UpstreamTlsContextTable } from '@sluice/xds';
import type { Cluster as ClusterMessage, JsonValue, TransportSocket } from '@sluice/xds';
import type { ProblemScope } from '../config/problems.ts';
import { compileUpstreamTls, type UpstreamTlsSettings } from '../tls/upstream-tls.ts';
import type { UpstreamProxyHeader } from '../tls/transport.ts';
import { unwrapProxyTransport } from '../upstream/upstream-proxy-header.ts';

export interface TransportSpec {
  readonly proxyHeader: UpstreamProxyHeader | null;
  /** Null = plain. */
  readonly tls: UpstreamTlsSettings | null;
}

export interface TransportMatch {
  /** Field and canonical JSON of its value: all must be in the endpoint's metadata. */
  readonly fields: readonly (readonly [string, string])[];
  readonly spec: TransportSpec;
}

export interface TransportSettings {
  /** In order, the first that fits. */
  readonly matches: readonly TransportMatch[];
  /** For endpoints that fit none. */
  readonly fallback: TransportSpec;
}

const plain: TransportSpec = { proxyHeader: null, tls: null };

export function compileTransports(message: ClusterMessage, scope: ProblemScope): TransportSettings {
  const matches = message.transportSocketMatches.map((match, i): TransportMatch => {
    const at = scope.at('transport_socket_matches', i);
    return {
      fields: Object.entries(match.match ?? {}).map(([name, value]) => [name, fieldKey(value)] as const),
      spec: compileSpec(match.transportSocket, at),
    };
  });
  return { matches, fallback: compileSpec(message.transportSocket, scope) };
}

export function fieldKey(value: JsonValue): string {
  return canonicalJson(value);
}

export function isPlain(socket: TransportSocket): boolean {
  if (socket.typedConfig === undefined) return socket.name === 'envoy.transport_sockets.raw_buffer';
  return unpackAny(socket.typedConfig, RawBufferTable) !== undefined;
}

function compileSpec(socket: TransportSocket | undefined, scope: ProblemScope): TransportSpec {
  const { proxyHeader, inner } = unwrapProxyTransport(socket, scope);
  if (inner === undefined || isPlain(inner)) return proxyHeader === null ? plain : { proxyHeader, tls: null };
  let at = scope.at('transport_socket');
  if (proxyHeader !== null) at = at.at('typed_config').at('transport_socket');
  const tls = inner.typedConfig && unpackAny(inner.typedConfig, UpstreamTlsContextTable);
  if (tls === undefined) {
    // An error even where unhonoured fields only warn: traffic meant to be encrypted must not go in the clear.
    at.error(`"${inner.name}" is not supported`);
    return plain;
  }
  return { proxyHeader, tls: compileUpstreamTls(tls, at.at('typed_config')) };
}
