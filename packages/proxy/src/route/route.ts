/**
 * The compiled route model: what the data path reads per request.
 *
 * Everything here is built once per configuration update (`route/compile-*.ts`) from xDS
 * RouteConfiguration / VirtualHost / Route and is immutable afterwards. An exchange pins the table it
 * was matched in, so a table may be replaced while requests are in flight.
 */
import type { HeaderList } from '@sluice/wire';

/** Value in `perFilterConfig` that switches a filter off for a route. */
export const DISABLED: unique symbol = Symbol('disabled');

/** What route matching reads of a request. One reusable object per exchange. */
export interface RouteRequest {
  method: string;
  scheme: 'http' | 'https';
  /** Host header or :authority as sent, port included. */
  authority: string;
  /** Normalised path without the query (design §6, Trust: one path for matching, policy and log). */
  path: string;
  /** Query without `?`; empty when absent. */
  query: string;
  headers: HeaderList;
  /** Port of the downstream local address, for `ignore_port_in_host_matching: false` and redirects. */
  localPort: number;
}

export interface RouteTable {
  readonly name: string;
  /** Content hash of the xDS resource; appears in /config_dump. */
  readonly version: string;
  /** First match in Envoy's order (virtual host by domain, then list order), or null. */
  match(request: RouteRequest, random: () => number): CompiledRoute | null;
  /** The virtual host that serves an authority, or null (a 404 with flag NR names it). */
  findVirtualHost(request: RouteRequest): CompiledVirtualHost | null;
}

export interface CompiledVirtualHost {
  readonly name: string;
  readonly table: string;
  readonly routes: readonly CompiledRoute[];
  readonly retry: RetryPolicy | null;
  readonly perFilterConfig: ReadonlyMap<string, unknown>;
  readonly includeRequestAttemptCount: boolean;
  readonly includeAttemptCountInResponse: boolean;
}

export interface CompiledRoute {
  readonly name: string;
  readonly virtualHost: CompiledVirtualHost;
  readonly action: RouteAction;
  /** Evaluated in this order: route, virtual host, table (or the reverse when the table says so). */
  readonly requestHeaders: readonly HeaderOperation[];
  readonly responseHeaders: readonly HeaderOperation[];
  /** Most specific first: by filter name; absent = the listener's own configuration. `DISABLED` = off. */
  readonly perFilterConfig: ReadonlyMap<string, unknown>;
  /** `filter_metadata.istio.config`, e.g. `/apis/networking.istio.io/v1/namespaces/default/virtual-service/reviews`. */
  readonly origin: string | null;
  readonly metadata: Readonly<Record<string, unknown>> | null;
}

export type RouteAction = ForwardAction | RedirectAction | DirectResponseAction;

export interface ForwardAction {
  readonly kind: 'forward';
  readonly clusters: ClusterSpecifier;
  /** Total for all attempts; 0 = none (Envoy RouteAction.timeout, default 15 s). */
  readonly timeoutMs: number;
  /** 0 = none; undefined = the connection manager's stream idle timeout. */
  readonly idleTimeoutMs: number | undefined;
  /** From the start of the request; 0 = none. Where it is set `timeoutMs` is 0. */
  readonly maxStreamDurationMs: number | undefined;
  /** How `grpc-timeout` bounds gRPC requests; null = it is passed on unread. */
  readonly grpcTimeout: GrpcTimeoutRule | null;
  readonly retry: RetryPolicy | null;
  readonly rewrite: PathRewrite | null;
  readonly hostRewrite: HostRewrite | null;
  readonly priority: 'default' | 'high';
  /** Upgrade types allowed here (lower case), overriding the connection manager's. */
  readonly upgrades: ReadonlyMap<string, boolean> | null;
  /** CONNECT ends here, its octets going to the endpoint as plain TCP; otherwise it is sent on. */
  readonly terminatesConnect: boolean;
  readonly clusterNotFoundStatus: number;
  readonly metadataMatch: Readonly<Record<string, unknown>> | null;
}

export interface GrpcTimeoutRule {
  /** `stream`: in place of `maxStreamDurationMs`; `route`: in place of `timeoutMs` (Envoy's older fields). */
  readonly bounds: 'stream' | 'route';
  /** 0 = as long as the client says. */
  readonly maxMs: number;
  /** Taken off the client's figure, so that the answer is there before the client gives up. */
  readonly offsetMs: number;
}

export type ClusterSpecifier =
  | { readonly kind: 'single'; readonly cluster: string }
  | {
      readonly kind: 'weighted';
      readonly total: number;
      readonly entries: readonly WeightedCluster[];
    }
  | { readonly kind: 'header'; readonly header: string };

export interface WeightedCluster {
  readonly cluster: string;
  /** Running sum of weights up to and including this entry: a draw r < bound picks it. */
  readonly bound: number;
  readonly requestHeaders: readonly HeaderOperation[];
  readonly responseHeaders: readonly HeaderOperation[];
  readonly perFilterConfig: ReadonlyMap<string, unknown>;
  readonly hostRewrite: HostRewrite | null;
}

export interface RedirectAction {
  readonly kind: 'redirect';
  readonly status: number;
  readonly scheme: string | null;
  readonly httpsRedirect: boolean;
  readonly host: string | null;
  readonly port: number | null;
  readonly rewrite: PathRewrite | null;
  readonly stripQuery: boolean;
}

export interface DirectResponseAction {
  readonly kind: 'direct';
  readonly status: number;
  readonly body: Uint8Array | null;
}

/** Rewrites the path; the query is kept unless a full path carries its own. */
export type PathRewrite =
  | { readonly kind: 'prefix'; readonly matchedLength: number; readonly replacement: string }
  | { readonly kind: 'full'; readonly path: string }
  | { readonly kind: 'regex'; readonly apply: (path: string) => string };

export type HostRewrite =
  | { readonly kind: 'literal'; readonly host: string }
  | { readonly kind: 'header'; readonly header: string }
  | { readonly kind: 'auto' }
  | { readonly kind: 'pathRegex'; readonly apply: (path: string) => string };

/** `value` may hold Envoy's `%COMMAND%` operators: then `format` evaluates it against the exchange. */
export interface HeaderOperation {
  readonly kind: 'append' | 'set' | 'setIfAbsent' | 'setIfPresent' | 'remove';
  readonly nameId: number;
  readonly name: string;
  readonly value: string;
  readonly format: ((facts: FormatFacts) => string) | null;
  readonly keepEmptyValue: boolean;
}

/** What header and log formats may read; implemented by the request record. */
export interface FormatFacts {
  operator(name: string, argument: string, maxLength: number | undefined): string | null;
}

/** Envoy's RetryPolicy plus our method-aware extension (design D8). */
export interface RetryPolicy {
  readonly on: RetryConditions;
  readonly maxRetries: number;
  readonly perTryTimeoutMs: number;
  readonly perTryIdleTimeoutMs: number;
  readonly retriableStatusCodes: readonly number[];
  readonly retriableHeaders: readonly HeaderPredicate[];
  readonly retriableRequestHeaders: readonly HeaderPredicate[];
  readonly backoffBaseMs: number;
  readonly backoffMaxMs: number;
  /** Waited before every retry, whatever the backoff draws; 0 = as Envoy. */
  readonly backoffLeastMs: number;
  readonly avoidPreviousHosts: boolean;
  readonly hostSelectionAttempts: number;
  /** Null unless the `sluice.dev/safe-retry` extension is configured. */
  readonly safe: SafeRetry | null;
}

/** Conditions as booleans so that the router tests a field, never a string. */
export interface RetryConditions {
  readonly fiveXx: boolean;
  readonly gatewayError: boolean;
  readonly reset: boolean;
  readonly resetBeforeRequest: boolean;
  readonly connectFailure: boolean;
  readonly refusedStream: boolean;
  readonly retriable4xx: boolean;
  readonly retriableStatusCodes: boolean;
  readonly retriableHeaders: boolean;
  readonly envoyRatelimited: boolean;
  readonly http3PostConnectFailure: boolean;
  readonly grpcCancelled: boolean;
  readonly grpcDeadlineExceeded: boolean;
  readonly grpcInternal: boolean;
  readonly grpcResourceExhausted: boolean;
  readonly grpcUnavailable: boolean;
}

/** Conditions that hold only for methods which may be repeated, or with an Idempotency-Key. */
export interface SafeRetry {
  readonly methods: ReadonlySet<string>;
  readonly honourIdempotencyKey: boolean;
  readonly on: RetryConditions;
}

export type HeaderPredicate = (headers: HeaderList) => boolean;
