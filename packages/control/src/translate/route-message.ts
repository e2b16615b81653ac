/** One rule → xDS routes, one for each of its alternative matches. Pure. */
import type { HeaderValueOption, Init, RedirectAction, Route, RouteAction } from '@sluice/xds';
import { defaultRetry, noChanges } from '../model/route-rule.ts';
import type {
  HeaderChanges,
  HeaderOps,
  RouteRule,
  RuleAction,
  RuleDestination,
  RuleMatch,
  RuleRetry,
} from '../model/route-rule.ts';
import { matchMessage } from './match-message.ts';
import { configPath, outboundCluster, unresolvedCluster } from './names.ts';
import { retryMessage } from './retry-message.ts';

export interface RouteContext {
  /** Port of the service that the routes are for. */
  readonly port: number;
  readonly knowsMethodAwareRetry: boolean;
  /** What rules without a retry policy get (meshConfig.defaultHttpRetryPolicy). */
  readonly defaultRetry: RuleRetry;
  /** Set on explicit listeners, whose clients call an address: what the service is really called. */
  readonly hostRewrite: string | null;
}

const redirectCodes: Readonly<Record<number, NonNullable<Init<RedirectAction>['responseCode']>>> = {
  301: 'MOVED_PERMANENTLY',
  302: 'FOUND',
  303: 'SEE_OTHER',
  307: 'TEMPORARY_REDIRECT',
  308: 'PERMANENT_REDIRECT',
};

/** Splits of a Gateway API route whose backend is invalid: this share is answered with 500. */
const missingBackendStatus = 'INTERNAL_SERVER_ERROR';

export function routeMessages(
  rule: RouteRule,
  matches: readonly (RuleMatch | null)[],
  context: RouteContext,
): Init<Route>[] {
  return matches.map((match) => ({
    name: routeName(rule, match),
    match: matchMessage(match),
    ...actionMessage(rule, match, context),
    metadata: { filterMetadata: { istio: { config: configPath(rule.origin) } } },
    ...headerMessages(rule.headers),
  }));
}

/** Where no route resource says anything: everything to the service itself, safely retried. */
export function defaultRoute(hostname: string, port: number, context: RouteContext): Init<Route> {
  return {
    name: 'default',
    match: { prefix: '/' },
    route: {
      cluster: outboundCluster(port, '', hostname),
      timeout: 0,
      maxGrpcTimeout: 0,
      ...retryOf(defaultRetry, context),
      ...rewriteHost(context.hostRewrite),
    },
  };
}

function routeName(rule: RouteRule, match: RuleMatch | null): string {
  const label = match?.name ? (rule.name ? `${rule.name}.${match.name}` : match.name) : rule.name;
  return label || 'default';
}

function actionMessage(rule: RouteRule, match: RuleMatch | null, context: RouteContext): Init<Route> {
  const { action } = rule;
  switch (action.kind) {
    case 'direct':
      return {
        directResponse: {
          status: action.status,
          ...(action.body ? { body: { inlineBytes: action.body } } : {}),
        },
      };
    case 'redirect':
      return { redirect: redirectMessage(action, match, context.port) };
    case 'forward':
      return action.destinations.every((one) => one.weight === 0)
        ? { directResponse: { status: action.destinations.length === 0 ? 500 : 503 } }
        : { route: forwardMessage(rule, action.destinations, match, context) };
  }
}

/** A gRPC client's deadline holds up to the timeout; without one, as long as the client says (Istio's rule). */
function forwardMessage(
  rule: RouteRule,
  destinations: readonly RuleDestination[],
  match: RuleMatch | null,
  context: RouteContext,
): Init<RouteAction> {
  const isGatewayApi = rule.origin.group === 'gateway.networking.k8s.io';
  const [first, ...others] = destinations;
  const isSingle = first !== undefined && others.length === 0 && first.headers === noChanges;
  const timeoutMs = rule.timeoutMs ?? 0;
  return {
    ...(isSingle
      ? { cluster: clusterOf(first) }
      : {
          weightedClusters: {
            clusters: destinations
              .filter((one) => one.weight > 0)
              .map((one) => ({
                name: clusterOf(one),
                weight: one.weight,
                ...headerMessages(one.headers),
              })),
          },
        }),
    ...(isGatewayApi ? { clusterNotFoundResponseCode: missingBackendStatus } : {}),
    timeout: timeoutMs,
    maxGrpcTimeout: timeoutMs,
    ...retryOf(rule.retry, context),
    ...pathRewrite(rule, match),
    ...rewriteHost(rule.rewrite?.authority ?? context.hostRewrite),
  };
}

/**
 * An unresolved destination names a cluster that cannot exist, so that the proxy says so. Its own would not do: what
 * may not be referred to, or not by this route, may well be there.
 */
function clusterOf(destination: RuleDestination): string {
  if (destination.service === null)
    return unresolvedCluster(destination.port, destination.subset, destination.hostname);
  return outboundCluster(destination.port, destination.subset, destination.hostname);
}

function retryOf(retry: RouteRule['retry'], context: RouteContext): Pick<Init<RouteAction>, 'retryPolicy'> {
  const retryPolicy = retryMessage(
    retry.kind === 'default' ? withPerTry(context.defaultRetry, retry.perTryTimeoutMs) : retry,
    context.knowsMethodAwareRetry,
  );
  return retryPolicy ? { retryPolicy } : {};
}

/** A limit of each try holds with whatever conditions the mesh retries on. */
function withPerTry(retry: RuleRetry, perTryTimeoutMs: number | null): RuleRetry {
  return retry.kind === 'off' || perTryTimeoutMs === null ? retry : { ...retry, perTryTimeoutMs };
}

function rewriteHost(host: string | null): Pick<Init<RouteAction>, 'hostRewriteLiteral'> {
  return host === null ? {} : { hostRewriteLiteral: host };
}

function pathRewrite(rule: RouteRule, match: RuleMatch | null): Init<RouteAction> {
  const path = rule.rewrite?.path;
  if (!path) return {};
  switch (path.kind) {
    case 'regex':
      return { regexRewrite: { pattern: { regex: path.pattern }, substitution: path.replacement } };
    case 'full':
      return { regexRewrite: { pattern: { regex: '^[^?]*' }, substitution: escapeSubstitution(path.value) } };
    case 'prefix':
      return { prefixRewrite: path.value };
    case 'elements':
      return elementsRewrite(path.value, match);
  }
}

/**
 * Replacing path elements must neither double nor drop the slash between the new prefix and the rest: below `/`
 * the replacement brings its own, and the removal of a prefix is a regex.
 */
function elementsRewrite(
  written: string,
  match: RuleMatch | null,
): { prefixRewrite: string } | { regexRewrite: NonNullable<Init<RouteAction>['regexRewrite']> } {
  const prefix = match?.path?.kind === 'elements' ? match.path.value.replace(/\/+$/, '') : '';
  const replacement = written.replace(/\/+$/, '');
  if (prefix === '') return { prefixRewrite: `${replacement}/` };
  if (replacement !== '') return { prefixRewrite: replacement };
  return { regexRewrite: { pattern: { regex: `^${escapeRegex(prefix)}/*` }, substitution: '/' } };
}

function redirectMessage(
  action: Extract<RuleAction, { kind: 'redirect' }>,
  match: RuleMatch | null,
  servicePort: number,
): Init<RedirectAction> {
  const { path } = action;
  const port = redirectPort(action, servicePort);
  return {
    ...(action.scheme === null ? {} : { schemeRedirect: action.scheme }),
    ...(action.host === null ? {} : { hostRedirect: action.host }),
    ...(port === null ? {} : { portRedirect: port }),
    ...(path?.kind === 'full' ? { pathRedirect: path.value } : {}),
    ...(path?.kind === 'prefix' ? { prefixRewrite: path.value } : {}),
    ...(path?.kind === 'elements' ? elementsRewrite(path.value, match) : {}),
    responseCode: redirectCodes[action.status] ?? 'MOVED_PERMANENTLY',
  };
}

/**
 * The port a Location must name. Another host takes the port away with it, so that of the service is written anew;
 * another scheme with the same host keeps a port that belonged to the old one, so its own is written. Ports that
 * the scheme implies stay out.
 */
function redirectPort(
  { port, host, scheme }: Extract<RuleAction, { kind: 'redirect' }>,
  servicePort: number,
): number | null {
  if (typeof port === 'number' || port === null) return port;
  if (port === 'request') {
    const isImplied = servicePort === (scheme === 'https' ? 443 : 80);
    return host === null || isImplied ? null : servicePort;
  }
  const isNamed = servicePort !== 80 && servicePort !== 443;
  return host === null && scheme !== null && isNamed ? (scheme === 'https' ? 443 : 80) : null;
}

function headerMessages(
  changes: HeaderChanges,
): Pick<
  Init<Route>,
  'requestHeadersToAdd' | 'requestHeadersToRemove' | 'responseHeadersToAdd' | 'responseHeadersToRemove'
> {
  const request = optionsOf(changes.request);
  const response = optionsOf(changes.response);
  return {
    ...(request.length > 0 ? { requestHeadersToAdd: request } : {}),
    ...(changes.request.remove.length > 0 ? { requestHeadersToRemove: changes.request.remove } : {}),
    ...(response.length > 0 ? { responseHeadersToAdd: response } : {}),
    ...(changes.response.remove.length > 0 ? { responseHeadersToRemove: changes.response.remove } : {}),
  };
}

function optionsOf(ops: HeaderOps): Init<HeaderValueOption>[] {
  return [
    ...ops.set.map(([key, value]) => ({
      header: { key, value },
      appendAction: 'OVERWRITE_IF_EXISTS_OR_ADD' as const,
    })),
    ...ops.add.map(([key, value]) => ({
      header: { key, value },
      appendAction: 'APPEND_IF_EXISTS_OR_ADD' as const,
    })),
  ];
}

/** RE2 substitutions read `\1`: a backslash of the text itself must be doubled. */
function escapeSubstitution(text: string): string {
  return text.replaceAll('\\', '\\\\');
}

function escapeRegex(text: string): string {
  return text.replace(/[.*+?^${}()|[\]\\]/g, '\\$&');
}
