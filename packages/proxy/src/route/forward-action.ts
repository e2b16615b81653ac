/** Routes that forward: cluster choice, timeouts, rewrites, retries. */
import type {
  RouteAction as RouteActionMessage,
  WeightedCluster as WeightedClusterMessage,
} from '@sluice/xds';
import type { ProblemScope } from '../config/problems.ts';
import type { RouteCompileContext } from './compile-context.ts';
import { compileHeaderOperations } from './header-operations.ts';
import type { PathMatch } from './path-match.ts';
import { compilePerFilterConfig } from './per-filter-config.ts';
import { compileHostRewrite, compilePathRewrite } from './rewrite.ts';
import type {
  ClusterSpecifier,
  ForwardAction,
  GrpcTimeoutRule,
  RetryPolicy,
  WeightedCluster,
} from './route.ts';

/** Envoy's default (RouteAction.timeout). */
const defaultTimeoutMs = 15_000;

const notFoundStatus = { SERVICE_UNAVAILABLE: 503, NOT_FOUND: 404, INTERNAL_SERVER_ERROR: 500 } as const;

export function compileForwardAction(
  action: RouteActionMessage,
  match: PathMatch,
  retry: RetryPolicy | null,
  context: RouteCompileContext,
  scope: ProblemScope,
): ForwardAction {
  reportUnhonoured(action, scope);
  return {
    kind: 'forward',
    clusters: compileClusters(action, context, scope),
    // Envoy: a bound on the stream replaces the route timeout, its default included.
    timeoutMs: action.maxStreamDuration === undefined ? (action.timeout ?? defaultTimeoutMs) : 0,
    idleTimeoutMs: action.idleTimeout,
    maxStreamDurationMs: action.maxStreamDuration?.maxStreamDuration,
    grpcTimeout: compileGrpcTimeout(action, scope),
    retry,
    rewrite: compilePathRewrite(action, match, scope),
    hostRewrite: compileHostRewrite(action, scope),
    priority: action.priority === 'HIGH' ? 'high' : 'default',
    upgrades: compileUpgrades(action, scope),
    terminatesConnect: action.upgradeConfigs.some(
      ({ upgradeType, connectConfig }) =>
        connectConfig !== undefined && upgradeType.toLowerCase() === 'connect',
    ),
    clusterNotFoundStatus: notFoundStatus[action.clusterNotFoundResponseCode],
    metadataMatch: action.metadataMatch?.filterMetadata ?? null,
  };
}

function reportUnhonoured(action: RouteActionMessage, scope: ProblemScope): void {
  scope.unhonouredWhenSet(
    {
      request_mirror_policies: action.requestMirrorPolicies,
      hash_policy: action.hashPolicy,
      internal_redirect_policy: action.internalRedirectPolicy,
      hedge_policy: action.hedgePolicy,
      metadata_match: action.metadataMatch,
      append_x_forwarded_host: action.appendXForwardedHost,
    },
    'not supported by this proxy',
  );
}

/** Zero is a value here (no upper bound), so presence decides. */
function compileGrpcTimeout(action: RouteActionMessage, scope: ProblemScope): GrpcTimeoutRule | null {
  const { maxStreamDuration: duration, maxGrpcTimeout, grpcTimeoutOffset } = action;
  const without = (max: string): string => `has no effect without ${max}`;
  if (duration === undefined) {
    if (maxGrpcTimeout !== undefined)
      return { bounds: 'route', maxMs: maxGrpcTimeout, offsetMs: grpcTimeoutOffset ?? 0 };
    if (grpcTimeoutOffset !== undefined) scope.unhonoured('grpc_timeout_offset', without('max_grpc_timeout'));
    return null;
  }
  const replaced = 'has no effect beside max_stream_duration';
  if (maxGrpcTimeout !== undefined) scope.unhonoured('max_grpc_timeout', replaced);
  if (grpcTimeoutOffset !== undefined) scope.unhonoured('grpc_timeout_offset', replaced);
  const { grpcTimeoutHeaderMax: maxMs, grpcTimeoutHeaderOffset: offsetMs } = duration;
  if (maxMs !== undefined) return { bounds: 'stream', maxMs, offsetMs: offsetMs ?? 0 };
  if (offsetMs !== undefined) {
    scope
      .at('max_stream_duration')
      .unhonoured('grpc_timeout_header_offset', without('grpc_timeout_header_max'));
  }
  return null;
}

function compileClusters(
  action: RouteActionMessage,
  context: RouteCompileContext,
  scope: ProblemScope,
): ClusterSpecifier {
  if (action.weightedClusters !== undefined) {
    return compileWeighted(action.weightedClusters, context, scope.at('weighted_clusters'));
  }
  if (action.clusterHeader !== undefined) {
    if (action.clusterHeader === '') scope.at('cluster_header').error('must not be empty');
    return { kind: 'header', header: action.clusterHeader.toLowerCase() };
  }
  if (action.cluster === undefined || action.cluster === '') {
    scope.error('must name a cluster, cluster_header or weighted_clusters');
  }
  return { kind: 'single', cluster: action.cluster ?? '' };
}

function compileWeighted(
  weighted: WeightedClusterMessage,
  context: RouteCompileContext,
  scope: ProblemScope,
): ClusterSpecifier {
  scope.unhonouredWhenSet({ header_name: weighted.headerName }, 'a header cannot choose among weights');
  let total = 0;
  const entries: WeightedCluster[] = [];
  for (const [i, entry] of weighted.clusters.entries()) {
    const at = scope.at('clusters', i);
    at.unhonouredWhenSet(
      { cluster_header: entry.clusterHeader, metadata_match: entry.metadataMatch },
      'not supported by this proxy',
    );
    if (entry.name === '') at.at('name').error('must not be empty');
    total += entry.weight ?? 0;
    entries.push({
      cluster: entry.name,
      bound: total,
      requestHeaders: compileHeaderOperations(
        entry.requestHeadersToAdd,
        entry.requestHeadersToRemove,
        'request_headers',
        context,
        at,
      ),
      responseHeaders: compileHeaderOperations(
        entry.responseHeadersToAdd,
        entry.responseHeadersToRemove,
        'response_headers',
        context,
        at,
      ),
      perFilterConfig: compilePerFilterConfig(entry.typedPerFilterConfig, new Map(), context, at),
      hostRewrite:
        entry.hostRewriteLiteral === undefined ? null : { kind: 'literal', host: entry.hostRewriteLiteral },
    });
  }
  if (total === 0) scope.error('the weights sum to 0');
  if (total > 0xffff_ffff) scope.error(`the weights sum to ${total}; at most 4294967295 is allowed`);
  if (weighted.totalWeight !== undefined && weighted.totalWeight !== total) {
    scope.at('total_weight').error(`is ${weighted.totalWeight}, but the weights sum to ${total}`);
  }
  return { kind: 'weighted', total, entries };
}

function compileUpgrades(
  action: RouteActionMessage,
  scope: ProblemScope,
): ReadonlyMap<string, boolean> | null {
  if (action.upgradeConfigs.length === 0) return null;
  const upgrades = new Map<string, boolean>();
  for (const [i, config] of action.upgradeConfigs.entries()) {
    const at = scope.at('upgrade_configs', i);
    const type = config.upgradeType.toLowerCase();
    if (type === '') at.at('upgrade_type').error('must not be empty');
    if (upgrades.has(type)) at.at('upgrade_type').error(`"${config.upgradeType}" occurs twice`);
    if (config.connectConfig?.allowPost === true)
      at.unhonoured('connect_config', 'POST is not taken as CONNECT');
    upgrades.set(type, config.enabled ?? true);
  }
  return upgrades;
}
