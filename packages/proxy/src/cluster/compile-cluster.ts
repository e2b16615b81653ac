/** Cluster message → settings, with all problems. Run on the main thread as a check, in loops in earnest. */
import type { Cluster as ClusterMessage } from '@sluice/xds';
import type { ProblemScope } from '../config/problems.ts';
import type { TcpKeepalive } from '../io/keepalive.ts';
import type { ClusterSettings, DnsSettings, OriginalDstSettings } from './cluster-settings.ts';
import type { ClusterType } from './cluster.ts';
import { compileBalancing } from './compile-balancing.ts';
import { compileAssignment } from './compile-endpoints.ts';
import { compileLimits } from './compile-limits.ts';
import { compileTransports } from './compile-transports.ts';
import { compileUpstreamHttp } from './compile-protocol.ts';
import { serviceFromMetadata } from './service-identity.ts';
import { reportUnhonouredCluster } from './unhonoured-cluster.ts';

/** Envoy's defaults (cluster.proto, protocol.proto). */
const defaultConnectTimeoutMs = 5_000;
const defaultPoolIdleMs = 3_600_000;
const defaultBufferBytes = 1_048_576;
const defaultDnsRefreshMs = 5_000;
const defaultCleanupMs = 5_000;
const minDnsRefreshMs = 1;
const maxNameLength = 1024;

export function compileCluster(message: ClusterMessage, scope: ProblemScope): ClusterSettings {
  if (message.name === '') scope.at('name').error('must not be empty');
  if (message.name.length > maxNameLength)
    scope.at('name').error(`must have at most ${maxNameLength} characters`);
  reportUnhonouredCluster(message, scope);
  const type = message.type ?? 'STATIC';
  checkEndpoints(message, type, scope);
  const http = compileUpstreamHttp(message, scope);
  const connectTimeoutMs = message.connectTimeout ?? defaultConnectTimeoutMs;
  if (connectTimeoutMs <= 0) scope.at('connect_timeout').error('must be greater than 0');
  const metadata = message.metadata?.filterMetadata ?? null;
  const istio = metadata?.['istio']?.['config'];
  return {
    name: message.name,
    statName: message.altStatName === '' ? message.name : message.altStatName.replace(/;$/, ''),
    type,
    edsName: message.edsClusterConfig?.serviceName || message.name,
    connectTimeoutMs,
    maxRequestsPerConnection: http.common?.maxRequestsPerConnection ?? message.maxRequestsPerConnection ?? 0,
    poolIdleTimeoutMs: http.common?.idleTimeout ?? defaultPoolIdleMs,
    maxConnectionDurationMs: http.common?.maxConnectionDuration ?? 0,
    bufferLimitBytes: message.perConnectionBufferLimitBytes ?? defaultBufferBytes,
    protocol: http.protocol,
    http2: http.http2,
    tlsNames: http.tlsNames,
    sourceAddress: sourceAddress(message, scope),
    keepalive: keepalive(message),
    origin: typeof istio === 'string' ? istio : null,
    service: serviceFromMetadata(metadata),
    transports: compileTransports(message, scope),
    ...compileBalancing(message, scope),
    ...compileLimits(message.circuitBreakers, scope.at('circuit_breakers')),
    dns: type === 'STRICT_DNS' || type === 'LOGICAL_DNS' ? compileDns(message, scope) : null,
    originalDst: type === 'ORIGINAL_DST' ? compileOriginalDst(message) : null,
  };
}

function checkEndpoints(message: ClusterMessage, type: ClusterType, scope: ProblemScope): void {
  const isDns = type === 'STRICT_DNS' || type === 'LOGICAL_DNS';
  const assignment = message.loadAssignment;
  if (type === 'EDS') {
    if (message.edsClusterConfig?.edsConfig?.ads === undefined) {
      scope
        .at('eds_cluster_config')
        .at('eds_config')
        .error('must be ads: endpoints come over the aggregated stream');
    }
    if (assignment !== undefined) scope.at('load_assignment').error('is not allowed with type EDS');
    return;
  }
  if (type === 'ORIGINAL_DST') {
    if (assignment !== undefined) scope.at('load_assignment').error('is not allowed with type ORIGINAL_DST');
    return;
  }
  if (assignment === undefined) {
    // A static cluster of nothing is how "refuse" is written: istiod's BlackHoleCluster.
    if (isDns) scope.at('load_assignment').error(`must be set with type ${type}`);
    return;
  }
  const at = scope.at('load_assignment');
  const { endpoints } = compileAssignment(assignment, isDns, at);
  if (type === 'LOGICAL_DNS' && endpoints.length !== 1)
    at.error('must name exactly one endpoint with type LOGICAL_DNS');
}

function sourceAddress(message: ClusterMessage, scope: ProblemScope): string | null {
  const source = message.upstreamBindConfig?.sourceAddress;
  if (source === undefined) return null;
  if ((source.portValue ?? 0) !== 0) {
    scope
      .at('upstream_bind_config')
      .at('source_address')
      .unhonoured('port_value', 'a source port cannot be fixed');
  }
  return source.address;
}

/** A number left out is the system's; an explicit 0 turns keepalive off, as in newer Envoys. */
function keepalive(message: ClusterMessage): TcpKeepalive | null {
  const settings = message.upstreamConnectionOptions?.tcpKeepalive;
  if (settings === undefined) return null;
  const { keepaliveTime, keepaliveInterval, keepaliveProbes } = settings;
  if (keepaliveTime === 0 || keepaliveInterval === 0 || keepaliveProbes === 0) return null;
  return {
    timeMs: keepaliveTime === undefined ? null : keepaliveTime * 1_000,
    intervalMs: keepaliveInterval === undefined ? null : keepaliveInterval * 1_000,
    probes: keepaliveProbes ?? null,
  };
}

function compileDns(message: ClusterMessage, scope: ProblemScope): DnsSettings {
  const refreshMs = message.dnsRefreshRate ?? defaultDnsRefreshMs;
  if (refreshMs < minDnsRefreshMs) scope.at('dns_refresh_rate').error('must be at least 1ms');
  const base = message.dnsFailureRefreshRate?.baseInterval ?? refreshMs;
  return {
    refreshMs,
    failureBaseMs: base,
    failureMaxMs: message.dnsFailureRefreshRate?.maxInterval ?? base * 10,
    respectTtl: message.respectDnsTtl,
    family: message.dnsLookupFamily,
  };
}

function compileOriginalDst(message: ClusterMessage): OriginalDstSettings {
  const config = message.originalDstLbConfig;
  const header = config?.useHttpHeader === true ? config.httpHeaderName || 'x-envoy-original-dst-host' : null;
  return {
    cleanupMs: message.cleanupInterval ?? defaultCleanupMs,
    portOverride: config?.upstreamPortOverride ?? null,
    header: header?.toLowerCase() ?? null,
  };
}
