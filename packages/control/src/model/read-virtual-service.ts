/** VirtualService → rules for the sidecars of the mesh. Pure; references are resolved by `resolve`. */
import { parseGoDurationMs } from '@sluice/runtime';
import type {
  HeaderOperations,
  HttpMatch,
  HttpRetry,
  HttpRoute,
  ResourceKey,
  StringMatch,
  VirtualServiceSpec,
} from '@sluice/api';
import type {
  HeaderChanges,
  HeaderMatch,
  HeaderOps,
  RouteRule,
  RuleAction,
  RuleDestination,
  RuleMatch,
  RuleRetry,
  RuleRewrite,
  TextMatch,
} from './route-rule.ts';
import { defaultRetry, noChanges, noOps } from './route-rule.ts';

/** Finds the service a destination names, as seen from the route's namespace. */
export type ResolveDestination = (
  host: string,
  port: number | undefined,
) => Pick<RuleDestination, 'service' | 'hostname' | 'port' | 'problem'>;

/** Retries that Istio's users get when they write `attempts` only. */
const defaultAttempts = 2;
/** Names that Istio keeps for other members of a match; as header names they are ignored there. */
const reservedHeaders: ReadonlySet<string> = new Set(['uri', 'scheme', 'method', 'authority']);

/** Rules that apply to sidecars: those without gateways, or with the gateway `mesh`. */
export function readVirtualService(
  spec: VirtualServiceSpec,
  origin: ResourceKey,
  resolve: ResolveDestination,
): RouteRule[] {
  const gateways = spec.gateways ?? ['mesh'];
  return (spec.http ?? []).flatMap((route) => {
    const all = route.match ?? [];
    const matches = all.filter((match) => (match.gateways ?? gateways).includes('mesh'));
    const appliesToMesh = all.length === 0 ? gateways.includes('mesh') : matches.length > 0;
    return appliesToMesh ? [readRule(route, matches, origin, resolve)] : [];
  });
}

function readRule(
  route: HttpRoute,
  matches: readonly HttpMatch[],
  origin: ResourceKey,
  resolve: ResolveDestination,
): RouteRule {
  return {
    name: route.name ?? '',
    origin,
    matches: matches.map(readMatch),
    action: readAction(route, resolve),
    timeoutMs: positiveMs(route.timeout),
    retry: readRetry(route.retries),
    rewrite: readRewrite(route),
    headers: readHeaders(route.headers),
  };
}

function readAction(route: HttpRoute, resolve: ResolveDestination): RuleAction {
  if (route.redirect) {
    const { redirect } = route;
    const derived =
      redirect.derivePort === undefined
        ? null
        : redirect.derivePort === 'FROM_REQUEST_PORT'
          ? 'request'
          : 'default';
    return {
      kind: 'redirect',
      status: redirect.redirectCode ?? 301,
      scheme: redirect.scheme ?? null,
      host: redirect.authority ?? null,
      port: redirect.port ?? derived,
      path:
        redirect.uri !== undefined
          ? { kind: 'full', value: redirect.uri }
          : redirect.prefixRewrite !== undefined
            ? { kind: 'prefix', value: redirect.prefixRewrite }
            : null,
    };
  }
  if (route.directResponse) {
    const { status, body } = route.directResponse;
    const bytes =
      body?.string !== undefined
        ? new TextEncoder().encode(body.string)
        : body?.bytes !== undefined
          ? Uint8Array.fromBase64(body.bytes)
          : null;
    return { kind: 'direct', status, body: bytes };
  }
  const routes = route.route ?? [];
  return {
    kind: 'forward',
    destinations: routes.map((entry) => ({
      ...resolve(entry.destination.host, entry.destination.port?.number),
      subset: entry.destination.subset ?? '',
      weight: routes.length === 1 ? 100 : (entry.weight ?? 0),
      headers: readHeaders(entry.headers),
    })),
  };
}

function readMatch(match: HttpMatch): RuleMatch {
  const uri = match.uri;
  return {
    name: match.name ?? '',
    path:
      uri === undefined
        ? null
        : uri.exact !== undefined
          ? { kind: 'exact', value: uri.exact, ignoreCase: match.ignoreUriCase === true }
          : uri.prefix !== undefined
            ? { kind: 'prefix', value: uri.prefix, ignoreCase: match.ignoreUriCase === true }
            : uri.regex !== undefined
              ? { kind: 'regex', value: uri.regex, ignoreCase: false }
              : null,
    method: readText(match.method),
    scheme: readText(match.scheme),
    authority: readText(match.authority),
    headers: [...readHeaderMatches(match.headers, false), ...readHeaderMatches(match.withoutHeaders, true)],
    query: Object.entries(match.queryParams ?? {}).map(([name, value]) => ({
      name,
      match: textOrPresent(value),
    })),
    port: match.port ?? null,
    sourceLabels: match.sourceLabels ?? null,
    sourceNamespace: match.sourceNamespace ?? null,
  };
}

function readHeaderMatches(
  headers: Readonly<Record<string, StringMatch>> | undefined,
  isInverted: boolean,
): HeaderMatch[] {
  return Object.entries(headers ?? {})
    .filter(([name]) => isInverted || !reservedHeaders.has(name))
    .map(([name, value]) => ({ name: name.toLowerCase(), match: textOrPresent(value), isInverted }));
}

function textOrPresent(match: StringMatch): TextMatch {
  return readText(match) ?? { kind: 'present' };
}

function readText(match: StringMatch | undefined): TextMatch | null {
  if (match === undefined) return null;
  if (match.exact !== undefined) return { kind: 'exact', value: match.exact };
  if (match.prefix !== undefined) return { kind: 'prefix', value: match.prefix };
  if (match.regex !== undefined) return { kind: 'regex', value: match.regex };
  return null;
}

function readRewrite(route: HttpRoute): RuleRewrite | null {
  const { rewrite } = route;
  if (!rewrite) return null;
  const regex = rewrite.uriRegexRewrite;
  return {
    path:
      rewrite.uri !== undefined
        ? { kind: 'prefix', value: rewrite.uri }
        : regex?.match !== undefined
          ? { kind: 'regex', pattern: regex.match, replacement: regex.rewrite ?? '' }
          : null,
    authority: rewrite.authority ?? null,
  };
}

/** Numbers in `retryOn` are response codes, as Istio reads them. */
export function readRetry(retry: HttpRetry | undefined): RuleRetry {
  if (retry === undefined) return defaultRetry;
  const attempts = retry.attempts ?? defaultAttempts;
  if (attempts === 0) return { kind: 'off' };
  const parts = (retry.retryOn ?? '')
    .split(',')
    .map((part) => part.trim())
    .filter((part) => part !== '');
  const statusCodes = parts.filter((part) => /^\d+$/.test(part)).map(Number);
  const conditions = parts.filter((part) => !/^\d+$/.test(part));
  if (statusCodes.length > 0 && !conditions.includes('retriable-status-codes'))
    conditions.push('retriable-status-codes');
  return {
    kind: 'policy',
    attempts,
    on: parts.length === 0 ? null : conditions,
    statusCodes,
    perTryTimeoutMs: positiveMs(retry.perTryTimeout),
    backoffMs: positiveMs(retry.backoff),
    leastBackoffMs: null,
    ignorePreviousHosts: retry.retryIgnorePreviousHosts !== false,
    remoteLocalities: retry.retryRemoteLocalities === true,
  };
}

function readHeaders(
  headers: { request?: HeaderOperations; response?: HeaderOperations } | undefined,
): HeaderChanges {
  if (!headers) return noChanges;
  return { request: readOps(headers.request), response: readOps(headers.response) };
}

function readOps(ops: HeaderOperations | undefined): HeaderOps {
  if (!ops) return noOps;
  return { set: Object.entries(ops.set ?? {}), add: Object.entries(ops.add ?? {}), remove: ops.remove ?? [] };
}

function positiveMs(text: string | undefined): number | null {
  if (text === undefined) return null;
  const ms = parseGoDurationMs(text);
  return ms === undefined || ms <= 0 ? null : ms;
}
