/** One virtual host with its routes. Independent of its siblings, so that VHDS can replace it alone. */
import type { Route as RouteMessage, RouteMatch, VirtualHost } from '@sluice/xds';
import type { ProblemScope } from '../config/problems.ts';
import { compileDirectResponse, compileRedirect } from './answer-actions.ts';
import type { RouteCompileContext } from './compile-context.ts';
import { compileForwardAction } from './forward-action.ts';
import { compileHeaderOperations } from './header-operations.ts';
import { compileRequestPredicate, type RequestPredicate } from './header-predicate.ts';
import { compilePathMatch, type PathMatch } from './path-match.ts';
import { compilePerFilterConfig } from './per-filter-config.ts';
import { compileQueryPredicate } from './query-predicate.ts';
import { compileRetryPolicy } from './retry-policy.ts';
import type {
  CompiledRoute,
  CompiledVirtualHost,
  HeaderOperation,
  RetryPolicy,
  RouteAction,
  RouteRequest,
} from './route.ts';
import { indexRoutes, type FindRoute, type IndexedRoute } from './route-index.ts';
import { runtimeShare } from './runtime-fraction.ts';

/** What virtual hosts inherit from their table. */
export interface TableDefaults {
  readonly table: string;
  readonly requestHeaders: readonly HeaderOperation[];
  readonly responseHeaders: readonly HeaderOperation[];
  readonly perFilterConfig: ReadonlyMap<string, unknown>;
  readonly mostSpecificWins: boolean;
  readonly maxDirectBodyBytes: number;
}

export interface VirtualHostEntry {
  readonly host: CompiledVirtualHost;
  readonly domains: readonly string[];
  readonly find: FindRoute<CompiledRoute>;
}

interface Level {
  readonly request: readonly HeaderOperation[];
  readonly response: readonly HeaderOperation[];
}

export function compileVirtualHost(
  message: VirtualHost,
  defaults: TableDefaults,
  context: RouteCompileContext,
  scope: ProblemScope,
): VirtualHostEntry {
  reportUnhonoured(message, scope);
  if (message.domains.length === 0) scope.at('domains').error('must name at least one domain');
  const level = compileLevel(message, context, scope);
  const routes: CompiledRoute[] = [];
  const retry =
    message.retryPolicy &&
    compileRetryPolicy(message.retryPolicy, message.metadata, scope.at('retry_policy'));
  const host: CompiledVirtualHost = {
    name: message.name,
    table: defaults.table,
    routes,
    retry: retry ?? null,
    perFilterConfig: compilePerFilterConfig(
      message.typedPerFilterConfig,
      defaults.perFilterConfig,
      context,
      scope,
    ),
    includeRequestAttemptCount: message.includeRequestAttemptCount,
    includeAttemptCountInResponse: message.includeAttemptCountInResponse,
  };
  const indexed = message.routes.map((route, i) => {
    const entry = compileRoute(route, host, level, defaults, context, scope.at('routes', i));
    routes.push(entry.route);
    return entry;
  });
  return { host, domains: message.domains, find: indexRoutes(indexed) };
}

function compileRoute(
  message: RouteMessage,
  host: CompiledVirtualHost,
  above: Level,
  defaults: TableDefaults,
  context: RouteCompileContext,
  scope: ProblemScope,
): IndexedRoute<CompiledRoute> {
  scope.unhonouredWhenSet(
    {
      decorator: message.decorator,
      tracing: message.tracing,
      per_request_buffer_limit_bytes: message.perRequestBufferLimitBytes,
      stat_prefix: message.statPrefix,
    },
    'not supported by this proxy',
  );
  if (message.match === undefined) scope.at('match').error('must be set');
  const path: PathMatch = message.match
    ? compilePathMatch(message.match, scope.at('match'))
    : { kind: 'exact', path: '', ignoreCase: false };
  const own = compileLevel(message, context, scope);
  const levels = [own, above, { request: defaults.requestHeaders, response: defaults.responseHeaders }];
  if (defaults.mostSpecificWins) levels.reverse();
  const istio = message.metadata?.filterMetadata['istio']?.['config'];
  const route: CompiledRoute = {
    name: message.name,
    virtualHost: host,
    action: compileAction(message, path, host.retry, defaults, context, scope),
    requestHeaders: levels.flatMap((level) => level.request),
    responseHeaders: levels.flatMap((level) => level.response),
    perFilterConfig: compilePerFilterConfig(
      message.typedPerFilterConfig,
      host.perFilterConfig,
      context,
      scope,
    ),
    origin: typeof istio === 'string' ? istio : null,
    metadata: message.metadata?.filterMetadata ?? null,
  };
  const fraction = message.match?.runtimeFraction;
  return {
    path,
    predicates: message.match ? compilePredicates(message.match, scope.at('match')) : [],
    share: fraction === undefined ? null : runtimeShare(fraction, context.runtime),
    route,
  };
}

function compileAction(
  message: RouteMessage,
  path: PathMatch,
  hostRetry: RetryPolicy | null,
  defaults: TableDefaults,
  context: RouteCompileContext,
  scope: ProblemScope,
): RouteAction {
  if (message.redirect !== undefined) return compileRedirect(message.redirect, path, scope.at('redirect'));
  if (message.directResponse !== undefined) {
    return compileDirectResponse(
      message.directResponse,
      defaults.maxDirectBodyBytes,
      scope.at('direct_response'),
    );
  }
  const at = scope.at('route');
  if (message.route === undefined) {
    scope.error('must have one of route, redirect, direct_response');
    return { kind: 'direct', status: 500, body: null };
  }
  const policy = message.route.retryPolicy;
  const retry =
    policy === undefined ? hostRetry : compileRetryPolicy(policy, message.metadata, at.at('retry_policy'));
  return compileForwardAction(message.route, path, retry, context, at);
}

function compilePredicates(match: RouteMatch, scope: ProblemScope): RequestPredicate[] {
  const predicates: RequestPredicate[] = match.headers.map((matcher, i) =>
    compileRequestPredicate(matcher, scope.at('headers', i)),
  );
  for (const [i, matcher] of match.queryParameters.entries()) {
    predicates.push(compileQueryPredicate(matcher, scope.at('query_parameters', i)));
  }
  if (match.grpc !== undefined) predicates.push(isGrpc);
  scope.unhonouredWhenSet(
    { dynamic_metadata: match.dynamicMetadata },
    'routes are chosen before filters run',
  );
  return predicates;
}

function isGrpc(request: RouteRequest): boolean {
  const type = request.headers.getByName('content-type');
  return type !== undefined && (type === 'application/grpc' || type.startsWith('application/grpc+'));
}

function compileLevel(
  message: RouteMessage | VirtualHost,
  context: RouteCompileContext,
  scope: ProblemScope,
): Level {
  return {
    request: compileHeaderOperations(
      message.requestHeadersToAdd,
      message.requestHeadersToRemove,
      'request_headers',
      context,
      scope,
    ),
    response: compileHeaderOperations(
      message.responseHeadersToAdd,
      message.responseHeadersToRemove,
      'response_headers',
      context,
      scope,
    ),
  };
}

function reportUnhonoured(message: VirtualHost, scope: ProblemScope): void {
  if (message.name === '') scope.at('name').error('must not be empty');
  if (message.requireTls !== 'NONE') scope.unhonoured('require_tls', 'use a redirect route');
  scope.unhonouredWhenSet(
    {
      hedge_policy: message.hedgePolicy,
      include_is_timeout_retry_header: message.includeIsTimeoutRetryHeader,
      per_request_buffer_limit_bytes: message.perRequestBufferLimitBytes,
      request_mirror_policies: message.requestMirrorPolicies,
    },
    'not supported by this proxy',
  );
}
