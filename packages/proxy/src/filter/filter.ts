/**
 * The four filter interfaces (design §6, Filters).
 *
 * A filter is added by writing one file that exports a factory and one line in `stack.ts`. Methods a
 * filter does not define cost nothing: the chain is compiled into arrays of only those filters that
 * have the method. Returning `'continue'` is synchronous and allocation-free; only a filter that
 * returns `'pause'` pays for pausing (the exchange then buffers up to its limits until `resume()`).
 */
import type { HeaderList } from '@sluice/wire';
import type { Cluster } from '../cluster/cluster.ts';
import type { ConnectionFacts } from '../listener/connection-facts.ts';
import type { CompiledRoute, HeaderOperation, RouteRequest } from '../route/route.ts';
import type { RequestRecord } from '../telemetry/record.ts';

/** `answered` = the filter has called `answer()`: iteration stops and the response filters run. */
export type FilterVerdict = 'continue' | 'pause' | 'answered';

export interface HttpFilter {
  onRequestHead?(x: HttpFilterContext, isEnd: boolean): FilterVerdict;
  onRequestData?(x: HttpFilterContext, chunk: BodyChunk, isEnd: boolean): FilterVerdict;
  onRequestTrailers?(x: HttpFilterContext, trailers: HeaderList): FilterVerdict;
  onResponseHead?(x: HttpFilterContext, isEnd: boolean): FilterVerdict;
  onResponseData?(x: HttpFilterContext, chunk: BodyChunk, isEnd: boolean): FilterVerdict;
  onResponseTrailers?(x: HttpFilterContext, trailers: HeaderList): FilterVerdict;
  /** True for filters that may call `replace` on chunks they did not collect: a declared length is dropped. */
  readonly rewritesRequestBody?: boolean;
  readonly rewritesResponseBody?: boolean;
  /** The next exchange of the same stream gets this instance again: after `onEnd` it is as new. */
  readonly isReusable?: boolean;
  /** Called once when the exchange ends, however it ends; late callbacks never follow it. */
  onEnd?(x: HttpFilterContext): void;
}

/**
 * Bytes in flight: [start, end) of `data`. The object is valid during the call, the bytes are never rewritten.
 * The last call of a direction has `isEnd` set; its chunk may be empty.
 */
export interface BodyChunk {
  data: Uint8Array;
  start: number;
  end: number;
  /** Replaces the chunk: after `bufferBody` freely, otherwise only with `rewriteBody` called or `rewrites…Body` set. */
  replace(data: Uint8Array): void;
}

export interface HttpFilterContext {
  readonly request: RouteRequest;
  readonly requestHeaders: HeaderList;
  /** Status and headers of the response; null before there is one. */
  readonly response: ResponseView | null;
  readonly connection: ConnectionFacts;
  readonly record: RequestRecord;
  /** Chosen route; null when none matched. */
  readonly route: CompiledRoute | null;
  /** From `onRequestHead`: this filter wants nothing more of this exchange, `onEnd` neither; it costs nothing then. */
  leave(): void;
  /** This filter's per-route configuration, the most specific one, or null. */
  routeConfig(): unknown;
  /** Has the route chosen again, after the filter changed what routes look at. */
  clearRouteCache(): void;
  /** Dynamic metadata, by filter name. Allocated on first use. */
  setMetadata(namespace: string, key: string, value: unknown): void;
  getMetadata(namespace: string, key: string): unknown;
  /**
   * Where this request goes when its cluster dials the original destination (ORIGINAL_DST), in place of the
   * connection's own destination. `address` is an IP address.
   */
  setDestination(address: string, port: number): void;
  /** Answers in the service's stead; the answer passes the response filters before this one. */
  answer(reply: LocalReply): void;
  /** Goes on after `'pause'`. Safe to call after the exchange has ended (it does nothing then). */
  resume(): void;
  /**
   * From `on…Head`, then return `'pause'`: the exchange holds head and whole body, up to `limitBytes` (beyond:
   * 413 or 500 by direction, or with `cut` the rest is dropped), shows the body to `on…Data` in one chunk, and
   * goes on with head and body.
   */
  bufferBody(direction: 'request' | 'response', limitBytes: number, overflow?: 'refuse' | 'cut'): void;
  /** From `on…Head`: this filter will replace chunks of this body, so a declared length is not forwarded. */
  rewriteBody(direction: 'request' | 'response'): void;
  /** From `on…Trailers`: bytes that go on behind the body, through the filters after this one. */
  appendBody(data: Uint8Array): void;
  /** A call of the filter's own through a cluster; cancelled when the exchange ends. */
  call(cluster: string, request: SideRequest, onReply: (reply: SideReply) => void): Cancel;
  findCluster(name: string): Cluster | null;
}

export interface ResponseView {
  status: number;
  readonly headers: HeaderList;
}

/** A reply made by the proxy (design §5). `code` is of this package's error table. */
export interface LocalReply {
  readonly status: number;
  /** Code of `docs/errors.md`, sent as `x-sluice-reason`. */
  readonly code: string;
  /** Envoy's response flag, e.g. `NR`; empty for none. */
  readonly flag: string;
  /** Text for `detail` of the problem document; never holds a peer's bytes. */
  readonly detail: string;
  /** Envoy's %RESPONSE_CODE_DETAILS%. */
  readonly responseCodeDetails: string;
  readonly headers?: readonly (readonly [string, string])[];
  /** Given: sent as it is instead of the problem document. */
  readonly body?: { readonly bytes: Uint8Array; readonly contentType: string };
  readonly grpcStatus?: number;
  /** What the route does to the headers of its own answers. */
  readonly headerOperations?: readonly HeaderOperation[];
}

export interface SideRequest {
  readonly method: string;
  readonly authority: string;
  readonly path: string;
  readonly headers: readonly (readonly [string, string])[];
  readonly body: Uint8Array | null;
  readonly timeoutMs: number;
  readonly maxReplyBytes: number;
}

export type SideReply =
  | { readonly ok: true; readonly status: number; readonly headers: HeaderList; readonly body: Uint8Array }
  | { readonly ok: false; readonly code: string };

export interface Cancel {
  cancel(): void;
}

/** A filter placed in a chain: its factory with the compiled configuration. */
export interface HttpFilterBinding {
  /** The name in the listener's configuration, the key of per-route configuration. */
  readonly name: string;
  readonly factory: HttpFilterFactory;
  readonly config: unknown;
  readonly isDisabledByDefault: boolean;
}

export interface HttpFilterFactory {
  /** e.g. `envoy.filters.http.router`; the name our control plane gives. */
  readonly name: string;
  /** Type URLs of its configuration, without the `type.googleapis.com/` part. */
  readonly configTypes: readonly string[];
  readonly isTerminal: boolean;
  /** Turns the decoded message into what `create` wants; problems carry paths relative to the config. */
  compile(message: unknown, problems: ConfigProblem[]): unknown;
  compileRoute(message: unknown, problems: ConfigProblem[]): unknown;
  /** Stateless filters return one shared instance, so that a request allocates nothing. */
  create(config: unknown): HttpFilter;
}

export interface ConfigProblem {
  readonly path: string;
  readonly message: string;
}

/** Peeks at a new connection's first bytes without consuming them. */
export interface ListenerFilter {
  /** `needMore` up to `maxPeekBytes`; the listener's filter timeout bounds the wait. */
  onPeek(facts: ConnectionFacts, bytes: Uint8Array, isEnd: boolean): 'continue' | 'needMore' | 'close';
  /** Read after `continue`: so many octets were no part of the stream (a PROXY header) and are dropped. */
  readonly consumedBytes?: number;
  /** At the filters' timeout: what has come is the beginning of something that nobody else could read. */
  isUnderWay?(bytes: Uint8Array): boolean;
}

/** What a listener filter may count. */
export interface ListenerFilterStats {
  proxyHeader(outcome: ProxyHeaderOutcome): void;
}

export type ProxyHeaderOutcome = 'v1' | 'v2' | 'absent' | 'missing' | 'disallowed' | 'invalid';

export interface ListenerFilterBinding {
  readonly name: string;
  readonly maxPeekBytes: number;
  /** False: `onPeek` is called once at accept with no bytes (original_dst). */
  readonly needsBytes: boolean;
  /** Absent: to every connection. Asked once, after the filters before it have run. */
  readonly appliesTo?: (facts: ConnectionFacts) => boolean;
  create(stats: ListenerFilterStats): ListenerFilter;
}

/** Sees a connection's bytes before the terminal filter; may close it. */
export interface NetworkFilter {
  onConnection?(facts: ConnectionFacts): 'continue' | 'close';
  onData?(data: Uint8Array): 'continue' | 'close';
  onEnd?(): void;
}

export interface NetworkFilterBinding {
  readonly name: string;
  create(): NetworkFilter;
}

/** Per attempt, after an endpoint was chosen: may change the upstream head. */
export interface UpstreamHttpFilter {
  /** `headers` are this attempt's own: changes do not show in the next one. */
  onAttemptHead?(x: HttpFilterContext, headers: HeaderList, attempt: number): 'continue' | 'answered';
  onAttemptEnd?(x: HttpFilterContext, attempt: number): void;
}
