/** HttpConnectionManager message → what the HTTP side of the data path reads. */
import { contentHash, canonicalJson } from '@sluice/runtime';
import type { HttpConnectionManager, Listener as ListenerMessage } from '@sluice/xds';
import type { ProblemScope } from '../config/problems.ts';
import { compileH2Settings } from '../http/compile-h2-settings.ts';
import { defaultH2Settings, EDGE_MAX_STREAMS } from '../http/h2-settings.ts';
import { clientCertConfig } from '../http/forwarded-client-cert.ts';
import { compileRouteTable } from '../route/compile-table.ts';
import type { RouteTable } from '../route/route.ts';
import { compileAccessLoggers } from './compile-access-loggers.ts';
import type { ListenerCompileContext } from './compile-context.ts';
import { compileHttpFilters } from './compile-http-filters.ts';
import type { HttpManagerConfig, PathNormalization } from './listener.ts';
import { reportUnhonouredHttp } from './unhonoured-http.ts';

/** Envoy's defaults (http_connection_manager.proto, protocol.proto). */
const defaultStreamIdleMs = 300_000;
/** Where nothing is said, a WebSocket may be silent as long as a TCP connection (tcp_proxy.proto). */
const defaultTunnelIdleMs = 3_600_000;
const defaultConnectionIdleMs = 3_600_000;
const defaultDrainMs = 5_000;
const defaultDelayedCloseMs = 1_000;
const defaultHeadersKb = 60;
const defaultHeadersCount = 100;

const serverName = 'sluice';

/** Keys of listener metadata `sluice.dev` that Envoy has no field for. */
interface ListenerTraits {
  readonly isEdge: boolean;
  readonly isForwardProxy: boolean;
  readonly upgradesToH2c: boolean;
}

/** HTTP/3 is refused before this is read. */
const codecs = { AUTO: 'auto', HTTP1: 'h1', HTTP2: 'h2', HTTP3: 'auto' } as const;

export function compileHttpManager(
  message: HttpConnectionManager,
  listener: ListenerMessage,
  context: ListenerCompileContext,
  scope: ProblemScope,
): HttpManagerConfig {
  reportUnhonouredHttp(message, scope);
  const common = message.commonHttpProtocolOptions;
  const http1 = message.httpProtocolOptions;
  const traits = traitsOf(listener, message);
  return {
    kind: 'http',
    statPrefix: message.statPrefix.replace(/;$/, ''),
    filters: compileHttpFilters(message.httpFilters, context.httpFilters, scope),
    ...compileRoutes(message, context, scope),
    ...traits,
    clientCert: clientCertOf(message),
    useRemoteAddress: message.useRemoteAddress ?? false,
    trustedHops: message.xffNumTrustedHops,
    skipXffAppend: message.skipXffAppend,
    generateRequestId: message.generateRequestId ?? true,
    preserveExternalRequestId: message.preserveExternalRequestId,
    alwaysSetRequestIdInResponse: message.alwaysSetRequestIdInResponse,
    pathNormalization: pathNormalization(message),
    serverName: message.serverName === '' ? serverName : message.serverName,
    serverHeader: message.serverHeaderTransformation,
    via: message.via,
    streamIdleTimeoutMs: message.streamIdleTimeout ?? defaultStreamIdleMs,
    tunnelIdleTimeoutMs: message.streamIdleTimeout ?? defaultTunnelIdleMs,
    requestTimeoutMs: message.requestTimeout ?? 0,
    requestHeadersTimeoutMs: message.requestHeadersTimeout ?? 0,
    connectionIdleTimeoutMs: common?.idleTimeout ?? defaultConnectionIdleMs,
    maxConnectionDurationMs: common?.maxConnectionDuration ?? 0,
    maxRequestsPerConnection: common?.maxRequestsPerConnection ?? 0,
    drainTimeoutMs: message.drainTimeout ?? defaultDrainMs,
    delayedCloseTimeoutMs: message.delayedCloseTimeout ?? defaultDelayedCloseMs,
    maxRequestHeadersBytes: (message.maxRequestHeadersKb ?? defaultHeadersKb) * 1024,
    maxRequestHeadersCount: common?.maxHeadersCount ?? defaultHeadersCount,
    codec: codecs[message.codecType],
    http2: compileH2Settings(message.http2ProtocolOptions, scope.at('http2_protocol_options'), {
      ...defaultH2Settings,
      closesOnMalformed: message.streamErrorOnInvalidHttpMessage === false,
      maxConcurrentStreams: traits.isEdge ? EDGE_MAX_STREAMS : defaultH2Settings.maxConcurrentStreams,
    }),
    acceptHttp10: http1?.acceptHttp10 ?? false,
    defaultHostForHttp10: http1?.defaultHostForHttp10 ?? '',
    upgrades: compileUpgrades(message, scope),
    accessLoggers: compileAccessLoggers(message.accessLog, context.accessLog, scope),
    tracing: tracingOf(message),
    proxy100Continue: message.proxy100Continue,
  };
}

function compileRoutes(
  message: HttpConnectionManager,
  context: ListenerCompileContext,
  scope: ProblemScope,
): Pick<HttpManagerConfig, 'routes' | 'routeTableName'> {
  if (message.rds !== undefined) {
    const name = message.rds.routeConfigName;
    const at = scope.at('rds');
    if (name === '') at.at('route_config_name').error('must not be empty');
    if (message.rds.configSource?.ads === undefined) at.at('config_source').error('must be ads');
    return { routes: () => context.routeTable(name), routeTableName: name };
  }
  const config = message.routeConfig;
  if (config === undefined) {
    scope.error('must have rds or route_config');
    return { routes: () => null, routeTableName: '' };
  }
  const version = contentHash(canonicalJson(config));
  const at = scope.at('route_config');
  if (config.vhds !== undefined) at.unhonoured('vhds', 'needs a route table that comes over rds');
  const table: RouteTable = compileRouteTable(config, version, [], null, context.routes, at);
  return { routes: () => table, routeTableName: config.name };
}

function traitsOf(listener: ListenerMessage, message: HttpConnectionManager): ListenerTraits {
  const own = listener.metadata?.filterMetadata['sluice.dev'];
  const edge = own?.['edge'];
  return {
    isEdge: typeof edge === 'boolean' ? edge : (message.useRemoteAddress ?? false),
    isForwardProxy: own?.['forward_proxy'] === true,
    upgradesToH2c: own?.['h2c_upgrade'] === true,
  };
}

function clientCertOf(message: HttpConnectionManager): HttpManagerConfig['clientCert'] {
  const details = message.setCurrentClientCertDetails;
  return clientCertConfig({
    mode: message.forwardClientCertDetails,
    subject: details?.subject ?? false,
    cert: details?.cert ?? false,
    chain: details?.chain ?? false,
    dns: details?.dns ?? false,
    uri: details?.uri ?? false,
  });
}

function pathNormalization(message: HttpConnectionManager): PathNormalization {
  const actions = {
    IMPLEMENTATION_SPECIFIC_DEFAULT: 'KEEP',
    KEEP_UNCHANGED: 'KEEP',
    REJECT_REQUEST: 'REJECT',
    UNESCAPE_AND_REDIRECT: 'UNESCAPE_REDIRECT',
    UNESCAPE_AND_FORWARD: 'UNESCAPE_FORWARD',
  } as const;
  return {
    normalize: message.normalizePath ?? false,
    mergeSlashes: message.mergeSlashes,
    escapedSlashes: actions[message.pathWithEscapedSlashesAction],
  };
}

function compileUpgrades(message: HttpConnectionManager, scope: ProblemScope): ReadonlyMap<string, boolean> {
  const upgrades = new Map<string, boolean>();
  for (const [i, config] of message.upgradeConfigs.entries()) {
    const at = scope.at('upgrade_configs', i);
    at.unhonouredWhenSet({ filters: config.filters }, 'upgrades pass the same filters as requests');
    if (config.upgradeType === '') at.at('upgrade_type').error('must not be empty');
    upgrades.set(config.upgradeType.toLowerCase(), config.enabled ?? true);
  }
  return upgrades;
}

function tracingOf(message: HttpConnectionManager): HttpManagerConfig['tracing'] {
  const tracing = message.tracing;
  if (tracing === undefined) return { isEnabled: false, samplingPercent: 0 };
  const random = tracing.randomSampling?.value ?? 100;
  const overall = tracing.overallSampling?.value ?? 100;
  return { isEnabled: true, samplingPercent: Math.min(random, overall) };
}
