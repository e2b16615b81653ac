/** Which HTTP version a cluster speaks, and within which limits: by the port's protocol and its connection pool. */
import { parseGoDurationMs } from '@sluice/runtime';
import type { ConnectionPoolSettings } from '@sluice/api';
import { UpstreamHttpProtocolOptionsTable } from '@sluice/xds';
import type { Any, Cluster, Http2ProtocolOptions, Init, UpstreamTlsNameOptions } from '@sluice/xds';
import { isHttp, isHttp2 } from '../model/protocol.ts';
import type { MeshServicePort } from '../model/service.ts';
import { typedConfig } from './typed-config.ts';

/** `downstream`: whatever the client speaks. */
export type UpstreamVersion = 'http1' | 'http2' | 'downstream';

const optionsName = 'envoy.extensions.upstreams.http.v3.HttpProtocolOptions';
/** Envoy asks for one wherever keep-alive is on; Istio leaves it to the user. */
const pingTimeoutMs = 20_000;
/** Envoy asks for it where WebSockets go on over HTTP/2 (RFC 8441). */
const tunnels: Init<Http2ProtocolOptions> = { allowConnect: true };

export function upstreamVersion(
  port: Pick<MeshServicePort, 'protocol'>,
  pool: ConnectionPoolSettings | undefined,
  knowsHttp2: boolean,
): UpstreamVersion {
  if (!knowsHttp2) return 'http1';
  // The user's word counts more than the port's, as in Istio: a client of HTTP/1 reaches a port of HTTP/2 in HTTP/1.
  if (pool?.http?.useClientProtocol === true && isHttp(port.protocol, knowsHttp2)) return 'downstream';
  if (isHttp2(port.protocol)) return 'http2';
  if (port.protocol === 'auto') return 'downstream';
  return port.protocol === 'http' && pool?.http?.h2UpgradePolicy === 'UPGRADE' ? 'http2' : 'http1';
}

export function protocolOptions(
  port: MeshServicePort,
  pool: ConnectionPoolSettings | undefined,
  knowsHttp2: boolean,
  tlsNames: Init<UpstreamTlsNameOptions> | null,
): Pick<Init<Cluster>, 'typedExtensionProtocolOptions'> {
  const common: CommonOptions = {
    ...member('idleTimeout', ms(pool?.http?.idleTimeout) ?? ms(pool?.tcp?.idleTimeout)),
    ...member('maxRequestsPerConnection', pool?.http?.maxRequestsPerConnection || undefined),
    ...member('maxConnectionDuration', ms(pool?.tcp?.maxConnectionDuration)),
  };
  const version = upstreamVersion(port, pool, knowsHttp2);
  if (Object.keys(common).length === 0 && version === 'http1' && tlsNames === null) return {};
  return { typedExtensionProtocolOptions: httpOptions(common, version, http2Options(pool), tlsNames) };
}

interface CommonOptions {
  readonly idleTimeout?: number;
  readonly maxRequestsPerConnection?: number;
  readonly maxConnectionDuration?: number;
}

export function httpOptions(
  common: CommonOptions,
  version: UpstreamVersion,
  http2: Init<Http2ProtocolOptions> = tunnels,
  tlsNames: Init<UpstreamTlsNameOptions> | null = null,
): Record<string, Any> {
  return {
    [optionsName]: typedConfig(UpstreamHttpProtocolOptionsTable, {
      ...(Object.keys(common).length > 0 ? { commonHttpProtocolOptions: common } : {}),
      ...(tlsNames === null ? {} : { upstreamHttpProtocolOptions: tlsNames }),
      ...(version === 'downstream'
        ? { useDownstreamProtocolConfig: { httpProtocolOptions: {}, http2ProtocolOptions: http2 } }
        : {
            explicitHttpConfig:
              version === 'http2' ? { http2ProtocolOptions: http2 } : { httpProtocolOptions: {} },
          }),
    }),
  };
}

function http2Options(pool: ConnectionPoolSettings | undefined): Init<Http2ProtocolOptions> {
  const { maxConcurrentStreams, http2KeepAlive } = pool?.http ?? {};
  const interval = ms(http2KeepAlive?.interval);
  return {
    ...tunnels,
    ...member('maxConcurrentStreams', maxConcurrentStreams || undefined),
    ...(interval === undefined
      ? {}
      : { connectionKeepalive: { interval, timeout: ms(http2KeepAlive?.timeout) ?? pingTimeoutMs } }),
  };
}

function member<K extends string, V>(key: K, value: V | undefined): { [P in K]?: V } {
  return (value === undefined ? {} : { [key]: value }) as { [P in K]?: V };
}

function ms(text: string | undefined): number | undefined {
  return text === undefined ? undefined : parseGoDurationMs(text);
}
