/**
 * HTTPRoute → rules for a Service parent (GAMMA), in the precedence the Gateway API prescribes.
 *
 * Invariant: an unsupported or unresolved filter or backend never lets a request through as if it were
 * not there; its share is answered with 500 (Gateway API, HTTPRouteRule.filters and backendRefs).
 */
import { parseGoDurationMs } from '@sluice/runtime';
import type {
  HeaderModifier,
  HttpBackendRef,
  HttpRouteFilter,
  HttpRouteMatch,
  HttpRouteRule,
  HttpRouteSpec,
  ResourceKey,
} from '@sluice/api';
import type {
  HeaderChanges,
  HeaderOps,
  PathReplacement,
  RouteRule,
  RuleAction,
  RuleDestination,
  RuleMatch,
  RuleRetry,
  RuleRewrite,
  TextMatch,
} from './route-rule.ts';
import { noChanges, noOps } from './route-rule.ts';

/** Resolves a backend as seen from the route: ReferenceGrants, kinds and ports are checked here. */
export type ResolveBackend = (
  ref: HttpBackendRef,
) => Pick<RuleDestination, 'service' | 'hostname' | 'port' | 'problem'>;

/** Retries where `retry` is written without a number of attempts. */
const defaultAttempts = 2;

export interface SourcedRule {
  readonly rule: RouteRule;
  readonly createdMs: number;
  /** Position of the rule in its route, for the last tie-break. */
  readonly index: number;
}

/** One entry per match, so that matches of several routes can be sorted together. */
export function readHttpRoute(
  spec: HttpRouteSpec,
  origin: ResourceKey,
  createdMs: number,
  resolve: ResolveBackend,
): SourcedRule[] {
  const rules: readonly HttpRouteRule[] = spec.rules ?? [{}];
  return rules.flatMap((rule, index) => {
    const matches: readonly HttpRouteMatch[] = rule.matches?.length ? rule.matches : [{}];
    return matches.map((match) => ({ rule: readRule(rule, match, origin, resolve), createdMs, index }));
  });
}

/** Exact path, longest prefix, method, most headers, most query parameters, oldest, name, first rule. */
export function comparePrecedence(a: SourcedRule, b: SourcedRule): number {
  const ma = a.rule.matches[0];
  const mb = b.rule.matches[0];
  return (
    pathRank(mb) - pathRank(ma) ||
    (mb?.path?.value.length ?? 0) - (ma?.path?.value.length ?? 0) ||
    Number(mb?.method != null) - Number(ma?.method != null) ||
    (mb?.headers.length ?? 0) - (ma?.headers.length ?? 0) ||
    (mb?.query.length ?? 0) - (ma?.query.length ?? 0) ||
    a.createdMs - b.createdMs ||
    compareText(
      `${a.rule.origin.namespace}/${a.rule.origin.name}`,
      `${b.rule.origin.namespace}/${b.rule.origin.name}`,
    ) ||
    a.index - b.index
  );
}

function pathRank(match: RuleMatch | undefined): number {
  switch (match?.path?.kind) {
    case 'exact':
      return 3;
    case 'regex':
      return 2;
    case 'elements':
    case 'prefix':
      return 1;
    default:
      return 0;
  }
}

function readRule(
  rule: HttpRouteRule,
  match: HttpRouteMatch,
  origin: ResourceKey,
  resolve: ResolveBackend,
): RouteRule {
  const filters = rule.filters ?? [];
  const retry = readRetry(rule);
  return {
    name: rule.name ?? `${origin.namespace}.${origin.name}`,
    origin,
    matches: [readMatch(match)],
    action: readAction(rule, filters, resolve),
    timeoutMs: gatewayMs(rule.timeouts?.request),
    retry,
    rewrite: readRewrite(filters),
    headers: readHeaders(filters),
  };
}

function readAction(
  rule: HttpRouteRule,
  filters: readonly HttpRouteFilter[],
  resolve: ResolveBackend,
): RuleAction {
  const redirect = filters.find((filter) => filter.type === 'RequestRedirect')?.requestRedirect;
  if (redirect) {
    return {
      kind: 'redirect',
      status: redirect.statusCode ?? 302,
      scheme: redirect.scheme ?? null,
      host: redirect.hostname ?? null,
      // With a scheme the scheme's own port is meant, unless one is written.
      port: redirect.port ?? (redirect.scheme === undefined ? 'request' : 'default'),
      path: readPath(redirect.path),
    };
  }
  const backends = rule.backendRefs ?? [];
  return {
    kind: 'forward',
    destinations: backends.map((backend) => ({
      ...resolve(backend),
      subset: '',
      weight: backend.weight ?? 1,
      headers: readHeaders(backend.filters ?? []),
    })),
  };
}

function readMatch(match: HttpRouteMatch): RuleMatch {
  const type = match.path?.type ?? 'PathPrefix';
  const value = match.path?.value ?? '/';
  const isEverything = type === 'PathPrefix' && value === '/';
  return {
    name: '',
    path: isEverything
      ? null
      : {
          kind: type === 'Exact' ? 'exact' : type === 'PathPrefix' ? 'elements' : 'regex',
          value,
          ignoreCase: false,
        },
    method: match.method === undefined ? null : { kind: 'exact', value: match.method },
    scheme: null,
    authority: null,
    headers: (match.headers ?? []).map((header) => ({
      name: header.name.toLowerCase(),
      match: readValue(header),
      isInverted: false,
    })),
    query: (match.queryParams ?? []).map((query) => ({ name: query.name, match: readValue(query) })),
    port: null,
    sourceLabels: null,
    sourceNamespace: null,
  };
}

function readValue(match: { type?: string; value: string }): TextMatch {
  return { kind: match.type === 'RegularExpression' ? 'regex' : 'exact', value: match.value };
}

function readRewrite(filters: readonly HttpRouteFilter[]): RuleRewrite | null {
  const rewrite = filters.find((filter) => filter.type === 'URLRewrite')?.urlRewrite;
  return rewrite ? { path: readPath(rewrite.path), authority: rewrite.hostname ?? null } : null;
}

function readPath(
  path: { type: string; replaceFullPath?: string; replacePrefixMatch?: string } | undefined,
): PathReplacement | null {
  if (!path) return null;
  return path.type === 'ReplaceFullPath'
    ? { kind: 'full', value: path.replaceFullPath ?? '/' }
    : { kind: 'elements', value: path.replacePrefixMatch ?? '/' };
}

function readHeaders(filters: readonly HttpRouteFilter[]): HeaderChanges {
  const request = filters.find((filter) => filter.type === 'RequestHeaderModifier')?.requestHeaderModifier;
  const response = filters.find((filter) => filter.type === 'ResponseHeaderModifier')?.responseHeaderModifier;
  return request || response ? { request: readOps(request), response: readOps(response) } : noChanges;
}

function readOps(modifier: HeaderModifier | undefined): HeaderOps {
  if (!modifier) return noOps;
  const pairs = (list: { name: string; value: string }[] | undefined): [string, string][] =>
    (list ?? []).map((entry) => [entry.name, entry.value]);
  return { set: pairs(modifier.set), add: pairs(modifier.add), remove: modifier.remove ?? [] };
}

/** `codes` are retried on top of the safe conditions; no retry written = the default. */
function readRetry(rule: HttpRouteRule): RuleRetry {
  const perTryTimeoutMs = gatewayMs(rule.timeouts?.backendRequest);
  if (!rule.retry) return { kind: 'default', perTryTimeoutMs };
  return {
    kind: 'policy',
    attempts: rule.retry.attempts ?? defaultAttempts,
    on: null,
    statusCodes: rule.retry.codes ?? [],
    perTryTimeoutMs,
    backoffMs: gatewayMs(rule.retry.backoff),
    leastBackoffMs: gatewayMs(rule.retry.backoff),
    ignorePreviousHosts: true,
    remoteLocalities: false,
  };
}

/** `0s` disables a timeout (GEP-2257 durations are a subset of Go's). */
function gatewayMs(text: string | undefined): number | null {
  if (text === undefined) return null;
  const ms = parseGoDurationMs(text);
  return ms === undefined || ms <= 0 ? null : ms;
}

function compareText(a: string, b: string): number {
  return a < b ? -1 : a > b ? 1 : 0;
}
