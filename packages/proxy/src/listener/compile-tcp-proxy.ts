/** TcpProxy message → what the TCP side of the data path reads. */
import type { TcpProxy } from '@sluice/xds';
import type { ProblemScope } from '../config/problems.ts';
import { compileAccessLoggers } from './compile-access-loggers.ts';
import type { ListenerCompileContext } from './compile-context.ts';
import { compileAdditions, compileFormat } from '../route/header-operations.ts';
import type { TcpProxyConfig, TunnelConfig } from './listener.ts';

/** Envoy's default (tcp_proxy.proto). */
const defaultIdleMs = 3_600_000;
/** Istio writes a cluster for each subset. */
const noSubsets = 'clusters of this proxy have no subsets (lb_subset_config): it would choose nothing';

export function compileTcpProxy(
  message: TcpProxy,
  context: ListenerCompileContext,
  scope: ProblemScope,
): TcpProxyConfig {
  scope.unhonouredWhenSet(
    {
      metadata_match: message.metadataMatch,
    },
    noSubsets,
  );
  scope.unhonouredWhenSet(
    { hash_policy: message.hashPolicy },
    'no load balancer of this proxy balances by hash',
  );
  const weighted = compileWeights(message, scope);
  if (weighted === null && (message.cluster ?? '') === '')
    scope.error('must name a cluster or weighted_clusters');
  const maxConnectAttempts = message.maxConnectAttempts ?? 1;
  if (maxConnectAttempts < 1) scope.at('max_connect_attempts').error('must be at least 1');
  return {
    kind: 'tcp',
    statPrefix: message.statPrefix.replace(/;$/, ''),
    cluster: message.cluster ?? '',
    weighted,
    idleTimeoutMs: message.idleTimeout ?? defaultIdleMs,
    maxConnectAttempts,
    maxDownstreamConnectionDurationMs: message.maxDownstreamConnectionDuration ?? 0,
    accessLoggers: compileAccessLoggers(message.accessLog, context.accessLog, scope),
    accessLogFlushIntervalMs: flushIntervalMs(message, scope),
    logsOnConnected: message.accessLogOptions?.flushAccessLogOnConnected ?? message.flushAccessLogOnConnected,
    tunnel: compileTunnel(message.tunnelingConfig, context, scope.at('tunneling_config')),
  };
}

function compileTunnel(
  message: TcpProxy['tunnelingConfig'],
  context: ListenerCompileContext,
  scope: ProblemScope,
): TunnelConfig | null {
  if (message === undefined) return null;
  const { hostname, usePost, postPath, headersToAdd } = message;
  if (hostname === '') scope.at('hostname').error('must not be empty');
  else if (!/^[!-~]+$/.test(hostname)) scope.at('hostname').error('must be printable ASCII without spaces');
  if (!usePost && postPath !== '') scope.at('post_path').error('is for use_post only');
  if (usePost && postPath !== '' && !/^\/[!-~]*$/.test(postPath))
    scope.at('post_path').error('must begin with / and hold no spaces');
  const format = compileFormat(hostname, context.routes, scope.at('hostname'));
  return {
    method: usePost ? 'POST' : 'CONNECT',
    authority: format ?? hostname.replaceAll('%%', '%'),
    path: usePost ? postPath || '/' : '',
    headers: compileAdditions(headersToAdd, 'headers_to_add', context.routes, scope),
  };
}

/** The options have taken the place of the fields beside them, which still count where they stand alone. */
function flushIntervalMs(message: TcpProxy, scope: ProblemScope): number {
  const options = message.accessLogOptions;
  if (options !== undefined && message.accessLogFlushInterval !== undefined)
    scope.at('access_log_options').error('takes the place of access_log_flush_interval: set one of them');
  const intervalMs = options?.accessLogFlushInterval ?? message.accessLogFlushInterval;
  if (intervalMs !== undefined && intervalMs < 1)
    scope.at('access_log_flush_interval').error('must be at least 1ms');
  return intervalMs ?? 0;
}

function compileWeights(message: TcpProxy, scope: ProblemScope): TcpProxyConfig['weighted'] {
  const clusters = message.weightedClusters?.clusters;
  if (clusters === undefined) return null;
  const at = scope.at('weighted_clusters');
  let total = 0;
  const entries = clusters.map((entry, i) => {
    at.at('clusters', i).unhonouredWhenSet({ metadata_match: entry.metadataMatch }, noSubsets);
    total += entry.weight;
    return { cluster: entry.name, bound: total };
  });
  if (total === 0) at.error('the weights sum to 0');
  return { total, entries };
}
