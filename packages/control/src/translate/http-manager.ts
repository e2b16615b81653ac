/** HttpConnectionManager and TcpProxy as our listeners use them: filters in the order we emit, access log, path rules. */
import {
  FileAccessLogTable,
  ForwardProxyFilterTable,
  GrpcStatsTable,
  GrpcWebFilterTable,
  HttpConnectionManagerTable,
  RouterTable,
  StdoutAccessLogTable,
  TcpProxyTable,
} from '@sluice/xds';
import type {
  AccessLog,
  HttpConnectionManager,
  HttpFilter,
  Init,
  JsonObject,
  NetworkFilter,
  RouteConfiguration,
  TcpProxy,
} from '@sluice/xds';
import { adsSource } from './config-source.ts';
import type { MeshSettings } from './node.ts';
import { typedConfig } from './typed-config.ts';

const standardOutput = '/dev/stdout';
/** For a whole head, once it has begun (nginx: client_header_timeout): nobody holds a connection with half a request. */
const headTimeoutMs = 60_000;
/**
 * Nothing in either direction for so long (Envoy's default for idle connections). istiod disables it, and then a client
 * that stalls in the middle of a body holds a connection to the application for ever; event streams live with an hour.
 */
const streamIdleMs = 3_600_000;

/** Istio's default text format, operator for operator. */
export const istioTextFormat =
  '[%START_TIME%] "%REQ(:METHOD)% %REQ(X-ENVOY-ORIGINAL-PATH?:PATH)% %PROTOCOL%" %RESPONSE_CODE% %RESPONSE_FLAGS% ' +
  '%RESPONSE_CODE_DETAILS% %CONNECTION_TERMINATION_DETAILS% "%UPSTREAM_TRANSPORT_FAILURE_REASON%" %BYTES_RECEIVED% ' +
  '%BYTES_SENT% %DURATION% %RESP(X-ENVOY-UPSTREAM-SERVICE-TIME)% "%REQ(X-FORWARDED-FOR)%" "%REQ(USER-AGENT)%" ' +
  '"%REQ(X-REQUEST-ID)%" "%REQ(:AUTHORITY)%" "%UPSTREAM_HOST%" %UPSTREAM_CLUSTER_RAW% %UPSTREAM_LOCAL_ADDRESS% ' +
  '%DOWNSTREAM_LOCAL_ADDRESS% %DOWNSTREAM_REMOTE_ADDRESS% %REQUESTED_SERVER_NAME% %ROUTE_NAME%\n';

const istioJsonFormat: JsonObject = {
  start_time: '%START_TIME%',
  route_name: '%ROUTE_NAME%',
  method: '%REQ(:METHOD)%',
  path: '%REQ(X-ENVOY-ORIGINAL-PATH?:PATH)%',
  protocol: '%PROTOCOL%',
  response_code: '%RESPONSE_CODE%',
  response_flags: '%RESPONSE_FLAGS%',
  response_code_details: '%RESPONSE_CODE_DETAILS%',
  connection_termination_details: '%CONNECTION_TERMINATION_DETAILS%',
  bytes_received: '%BYTES_RECEIVED%',
  bytes_sent: '%BYTES_SENT%',
  duration: '%DURATION%',
  upstream_service_time: '%RESP(X-ENVOY-UPSTREAM-SERVICE-TIME)%',
  x_forwarded_for: '%REQ(X-FORWARDED-FOR)%',
  user_agent: '%REQ(USER-AGENT)%',
  request_id: '%REQ(X-REQUEST-ID)%',
  authority: '%REQ(:AUTHORITY)%',
  upstream_host: '%UPSTREAM_HOST%',
  upstream_cluster: '%UPSTREAM_CLUSTER_RAW%',
  upstream_local_address: '%UPSTREAM_LOCAL_ADDRESS%',
  downstream_local_address: '%DOWNSTREAM_LOCAL_ADDRESS%',
  downstream_remote_address: '%DOWNSTREAM_REMOTE_ADDRESS%',
  requested_server_name: '%REQUESTED_SERVER_NAME%',
  upstream_transport_failure_reason: '%UPSTREAM_TRANSPORT_FAILURE_REASON%',
};

export interface ManagerOptions {
  readonly statPrefix: string;
  readonly routes: { readonly rds: string } | { readonly inline: Init<RouteConfiguration> };
  /** Who is meant by a request of HTTP/1.0 that names no host; without it such a request is refused. */
  readonly defaultHost?: string;
  /** The proxy speaks HTTP/2, by which WebSockets and CONNECT may come, too. */
  readonly knowsHttp2: boolean;
  /** Tells the application, in x-forwarded-client-cert, whose certificate the client showed. */
  readonly tellsClientCertificate?: boolean;
  /** The port is declared gRPC-Web, and goes on as gRPC over HTTP/2. */
  readonly translatesGrpcWeb?: boolean;
  /** Given on the forward proxy's listener: addresses that it must not dial. */
  readonly forwardProxy?: { readonly refusedAddresses: readonly string[] };
}

export function httpManagerFilter(options: ManagerOptions, mesh: MeshSettings): Init<NetworkFilter> {
  const manager: Init<HttpConnectionManager> = {
    statPrefix: options.statPrefix,
    ...('rds' in options.routes
      ? { rds: { configSource: adsSource, routeConfigName: options.routes.rds } }
      : { routeConfig: options.routes.inline }),
    httpFilters: httpFilters(options),
    tracing: {
      clientSampling: { value: 100 },
      randomSampling: { value: 1 },
      overallSampling: { value: 100 },
    },
    // Old clients and health checks speak it (`ab`, HAProxy's httpchk): a sidecar must not be what refuses them.
    httpProtocolOptions: { acceptHttp10: true, defaultHostForHttp10: options.defaultHost ?? '' },
    // Without it a sidecar of HTTP/2 could not pass on the WebSocket of a client of HTTP/1 (RFC 8441).
    ...(options.knowsHttp2 ? { http2ProtocolOptions: { allowConnect: true } } : {}),
    requestHeadersTimeout: headTimeoutMs,
    streamIdleTimeout: streamIdleMs,
    useRemoteAddress: false,
    ...(options.tellsClientCertificate === true
      ? {
          forwardClientCertDetails: 'APPEND_FORWARD',
          setCurrentClientCertDetails: { subject: true, dns: true, uri: true },
        }
      : {}),
    proxy100Continue: true,
    upgradeConfigs: [
      { upgradeType: 'websocket' },
      ...(options.forwardProxy ? [{ upgradeType: 'CONNECT' }] : []),
    ],
    ...pathOptions(mesh.pathNormalization),
    accessLog: accessLogs(mesh),
  };
  return {
    name: 'envoy.filters.network.http_connection_manager',
    typedConfig: typedConfig(HttpConnectionManagerTable, manager),
  };
}

/** As Istio's: messages are counted for its metrics, calls not told apart by method, whose names clients invent. */
const grpcStats = {
  name: 'envoy.filters.http.grpc_stats',
  typedConfig: typedConfig(GrpcStatsTable, { emitFilterState: true, statsForAllMethods: false }),
};

/** First, so that all others see gRPC. */
const grpcWeb = {
  name: 'envoy.filters.http.grpc_web',
  typedConfig: typedConfig(GrpcWebFilterTable, {}),
};

/** In the order we emit: gRPC-Web's translation, what counts all requests, what changes where one goes, the router. */
function httpFilters(options: ManagerOptions): Init<HttpFilter>[] {
  const router = { name: 'envoy.filters.http.router', typedConfig: typedConfig(RouterTable, {}) };
  if (!options.forwardProxy)
    return options.translatesGrpcWeb === true ? [grpcWeb, grpcStats, router] : [grpcStats, router];
  const config = typedConfig(ForwardProxyFilterTable, options.forwardProxy);
  return [grpcStats, { name: 'sluice.filters.http.forward_proxy', typedConfig: config }, router];
}

/** How long connections may live, and the proxy they go through, as TcpProxy has it; left out = its defaults. */
export type ConnectionSettings = Pick<
  Init<TcpProxy>,
  'idleTimeout' | 'maxDownstreamConnectionDuration' | 'tunnelingConfig'
>;

export function tcpProxyFilter(
  cluster: string,
  mesh: MeshSettings,
  settings: ConnectionSettings = {},
): Init<NetworkFilter> {
  return {
    name: 'envoy.filters.network.tcp_proxy',
    typedConfig: typedConfig(TcpProxyTable, {
      statPrefix: cluster,
      cluster,
      ...settings,
      accessLog: accessLogs(mesh),
    }),
  };
}

/** Shares by connection; names with their weights. */
export function weightedTcpProxyFilter(
  statPrefix: string,
  clusters: ReadonlyMap<string, number>,
  mesh: MeshSettings,
  settings: ConnectionSettings = {},
): Init<NetworkFilter> {
  const weighted = [...clusters].map(([name, weight]) => ({ name, weight }));
  return {
    name: 'envoy.filters.network.tcp_proxy',
    typedConfig: typedConfig(TcpProxyTable, {
      statPrefix,
      weightedClusters: { clusters: weighted },
      ...settings,
      accessLog: accessLogs(mesh),
    }),
  };
}

function pathOptions(level: MeshSettings['pathNormalization']): Init<HttpConnectionManager> {
  switch (level) {
    case 'NONE':
      return { normalizePath: false };
    case 'BASE':
      return { normalizePath: true, pathWithEscapedSlashesAction: 'KEEP_UNCHANGED' };
    case 'MERGE_SLASHES':
      return { normalizePath: true, mergeSlashes: true, pathWithEscapedSlashesAction: 'KEEP_UNCHANGED' };
    case 'DECODE_AND_MERGE_SLASHES':
      return {
        normalizePath: true,
        mergeSlashes: true,
        pathWithEscapedSlashesAction: 'UNESCAPE_AND_FORWARD',
      };
  }
}

/** Connections that no filter chain takes, plaintext under STRICT among them, are logged by the listener (as istiod's). */
export function refusalLogs(mesh: MeshSettings): Init<AccessLog>[] {
  return accessLogs(mesh).map((log) => ({ ...log, filter: { responseFlagFilter: { flags: ['NR'] } } }));
}

function accessLogs(mesh: MeshSettings): Init<AccessLog>[] {
  if (mesh.accessLogFile === '') return [];
  const format =
    mesh.accessLogEncoding === 'JSON'
      ? {
          jsonFormat: mesh.accessLogJson ?? istioJsonFormat,
        }
      : {
          textFormatSource: {
            inlineString: mesh.accessLogFormat === '' ? istioTextFormat : mesh.accessLogFormat,
          },
        };
  // A standard stream that is a socket or closed cannot be opened by its path; the stream logger needs no path.
  if (mesh.accessLogFile === standardOutput) {
    const config = typedConfig(StdoutAccessLogTable, { logFormat: format });
    return [{ name: 'envoy.access_loggers.stdout', typedConfig: config }];
  }
  return [
    {
      name: 'envoy.access_loggers.file',
      typedConfig: typedConfig(FileAccessLogTable, { path: mesh.accessLogFile, logFormat: format }),
    },
  ];
}
