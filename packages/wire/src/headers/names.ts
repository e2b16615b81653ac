/**
 * Interned field names: small integers instead of strings on the hot path.
 *
 * A received name is found by length, first and last octet, then compared with the interned octets
 * without regard to case; no string is made. Names that configuration matches on are registered
 * with `internName`, so that a route's predicate is an integer comparison too.
 * Invariant: ids are never reused or removed, so an id compiled into a route stays valid.
 */
import { isToken, latin1Bytes, TOKEN_LOWER } from './bytes.ts';

/** Id of an interned name; 0 means "not interned". */
export type NameId = number;

/** More distinct names than any configuration needs; a bound, because configuration comes from afar. */
const MAX_NAMES = 16_384;
const SLOTS = 1024;

const names: string[] = [''];
let arena = new Uint8Array(4096);
let arenaLength = 0;
const offsets = new Int32Array(MAX_NAMES + 1);
const lengths = new Uint16Array(MAX_NAMES + 1);
const nextInSlot = new Uint16Array(MAX_NAMES + 1);
const firstInSlot = new Uint16Array(SLOTS);
const idByName = new Map<string, NameId>();

/**
 * Registers a lower-case name and returns its id (the same id each time). Returns 0 for what is not a
 * lower-case token or when the table is full: match such a name with `HeaderList.getByName`.
 */
export function internName(lower: string): NameId {
  const known = idByName.get(lower);
  if (known !== undefined) return known;
  if (names.length > MAX_NAMES || lower.length > 0xffff || !isToken(lower) || lower !== lower.toLowerCase())
    return 0;
  const id = names.length;
  const bytes = latin1Bytes(lower);
  if (arenaLength + bytes.length > arena.length) {
    const grown = new Uint8Array(Math.max(arena.length * 2, arenaLength + bytes.length));
    grown.set(arena);
    arena = grown;
  }
  arena.set(bytes, arenaLength);
  names.push(lower);
  offsets[id] = arenaLength;
  lengths[id] = bytes.length;
  arenaLength += bytes.length;
  const slot = slotOf(bytes.length, bytes[0]!, bytes[bytes.length - 1]!);
  nextInSlot[id] = firstInSlot[slot]!;
  firstInSlot[slot] = id;
  idByName.set(lower, id);
  return id;
}

/** The lower-case name of an id; '' for 0 and for ids never given out. */
export function nameOf(id: NameId): string {
  return names[id] ?? '';
}

/** How many ids exist; a list that was filled under a smaller count may hold newer names as id 0. */
export function internedNameCount(): number {
  return names.length;
}

/** Id of the name at [start, end), ignoring case; 0 if it is not interned. */
export function lookupNameId(buf: Uint8Array, start: number, end: number): NameId {
  const length = end - start;
  if (length <= 0) return 0;
  const slot = slotOf(length, TOKEN_LOWER[buf[start]!]!, TOKEN_LOWER[buf[end - 1]!]!);
  candidates: for (let id = firstInSlot[slot]!; id !== 0; id = nextInSlot[id]!) {
    if (lengths[id] !== length) continue;
    const offset = offsets[id]!;
    for (let i = 0; i < length; i++) {
      if (TOKEN_LOWER[buf[start + i]!] !== arena[offset + i]) continue candidates;
    }
    return id;
  }
  return 0;
}

/** Id of a lower-case name given as a string; 0 if it is not interned. Never registers. */
export function findNameId(lower: string): NameId {
  return idByName.get(lower) ?? 0;
}

function slotOf(length: number, first: number, last: number): number {
  return (length * 37 + first * 5 + last * 131) & (SLOTS - 1);
}

/** The names that the proxy itself reads or writes. */
export const H = {
  host: internName('host'),
  contentLength: internName('content-length'),
  transferEncoding: internName('transfer-encoding'),
  connection: internName('connection'),
  te: internName('te'),
  trailer: internName('trailer'),
  upgrade: internName('upgrade'),
  expect: internName('expect'),
  keepAlive: internName('keep-alive'),
  proxyConnection: internName('proxy-connection'),
  http2Settings: internName('http2-settings'),
  proxyAuthenticate: internName('proxy-authenticate'),
  proxyAuthorization: internName('proxy-authorization'),
  xRequestId: internName('x-request-id'),
  xForwardedFor: internName('x-forwarded-for'),
  xForwardedProto: internName('x-forwarded-proto'),
  xForwardedHost: internName('x-forwarded-host'),
  xForwardedPort: internName('x-forwarded-port'),
  xForwardedClientCert: internName('x-forwarded-client-cert'),
  forwarded: internName('forwarded'),
  xRealIp: internName('x-real-ip'),
  traceparent: internName('traceparent'),
  tracestate: internName('tracestate'),
  baggage: internName('baggage'),
  b3: internName('b3'),
  xB3TraceId: internName('x-b3-traceid'),
  xB3SpanId: internName('x-b3-spanid'),
  xB3ParentSpanId: internName('x-b3-parentspanid'),
  xB3Sampled: internName('x-b3-sampled'),
  xB3Flags: internName('x-b3-flags'),
  userAgent: internName('user-agent'),
  contentType: internName('content-type'),
  contentEncoding: internName('content-encoding'),
  accept: internName('accept'),
  acceptEncoding: internName('accept-encoding'),
  acceptLanguage: internName('accept-language'),
  origin: internName('origin'),
  referer: internName('referer'),
  range: internName('range'),
  accessControlRequestMethod: internName('access-control-request-method'),
  accessControlRequestHeaders: internName('access-control-request-headers'),
  accessControlRequestPrivateNetwork: internName('access-control-request-private-network'),
  accessControlAllowOrigin: internName('access-control-allow-origin'),
  accessControlAllowCredentials: internName('access-control-allow-credentials'),
  accessControlAllowMethods: internName('access-control-allow-methods'),
  accessControlAllowHeaders: internName('access-control-allow-headers'),
  accessControlAllowPrivateNetwork: internName('access-control-allow-private-network'),
  accessControlExposeHeaders: internName('access-control-expose-headers'),
  accessControlMaxAge: internName('access-control-max-age'),
  grpcTimeout: internName('grpc-timeout'),
  grpcStatus: internName('grpc-status'),
  grpcMessage: internName('grpc-message'),
  grpcStatusDetails: internName('grpc-status-details-bin'),
  grpcEncoding: internName('grpc-encoding'),
  grpcAcceptEncoding: internName('grpc-accept-encoding'),
  xEnvoyAttemptCount: internName('x-envoy-attempt-count'),
  xEnvoyDecoratorOperation: internName('x-envoy-decorator-operation'),
  xEnvoyDownstreamServiceCluster: internName('x-envoy-downstream-service-cluster'),
  xEnvoyExpectedRqTimeoutMs: internName('x-envoy-expected-rq-timeout-ms'),
  xEnvoyExternalAddress: internName('x-envoy-external-address'),
  xEnvoyForceTrace: internName('x-envoy-force-trace'),
  xEnvoyHedgeOnPerTryTimeout: internName('x-envoy-hedge-on-per-try-timeout'),
  xEnvoyImmediateHealthCheckFail: internName('x-envoy-immediate-health-check-fail'),
  xEnvoyInternal: internName('x-envoy-internal'),
  xEnvoyIsTimeoutRetry: internName('x-envoy-is-timeout-retry'),
  xEnvoyMaxRetries: internName('x-envoy-max-retries'),
  xEnvoyOriginalDstHost: internName('x-envoy-original-dst-host'),
  xEnvoyOriginalHost: internName('x-envoy-original-host'),
  xEnvoyOriginalMethod: internName('x-envoy-original-method'),
  xEnvoyOriginalPath: internName('x-envoy-original-path'),
  xEnvoyOverloaded: internName('x-envoy-overloaded'),
  xEnvoyPeerMetadata: internName('x-envoy-peer-metadata'),
  xEnvoyPeerMetadataId: internName('x-envoy-peer-metadata-id'),
  xEnvoyRateLimited: internName('x-envoy-ratelimited'),
  xEnvoyRetriableHeaderNames: internName('x-envoy-retriable-header-names'),
  xEnvoyRetriableStatusCodes: internName('x-envoy-retriable-status-codes'),
  xEnvoyRetryGrpcOn: internName('x-envoy-retry-grpc-on'),
  xEnvoyRetryOn: internName('x-envoy-retry-on'),
  xEnvoyUpstreamAltStatName: internName('x-envoy-upstream-alt-stat-name'),
  xEnvoyUpstreamCanary: internName('x-envoy-upstream-canary'),
  xEnvoyUpstreamRqPerTryTimeoutMs: internName('x-envoy-upstream-rq-per-try-timeout-ms'),
  xEnvoyUpstreamRqTimeoutAltResponse: internName('x-envoy-upstream-rq-timeout-alt-response'),
  xEnvoyUpstreamRqTimeoutMs: internName('x-envoy-upstream-rq-timeout-ms'),
  xEnvoyUpstreamServiceTime: internName('x-envoy-upstream-service-time'),
  xEnvoyUpstreamStreamDurationMs: internName('x-envoy-upstream-stream-duration-ms'),
  xSluiceReason: internName('x-sluice-reason'),
  xSluiceRequestId: internName('x-sluice-request-id'),
  server: internName('server'),
  date: internName('date'),
  via: internName('via'),
  vary: internName('vary'),
  cookie: internName('cookie'),
  setCookie: internName('set-cookie'),
  authorization: internName('authorization'),
  wwwAuthenticate: internName('www-authenticate'),
  idempotencyKey: internName('idempotency-key'),
  location: internName('location'),
  retryAfter: internName('retry-after'),
  cacheControl: internName('cache-control'),
  ifMatch: internName('if-match'),
  ifNoneMatch: internName('if-none-match'),
  ifModifiedSince: internName('if-modified-since'),
  etag: internName('etag'),
  lastModified: internName('last-modified'),
  allow: internName('allow'),
  maxForwards: internName('max-forwards'),
  secWebSocketKey: internName('sec-websocket-key'),
  secWebSocketAccept: internName('sec-websocket-accept'),
  secWebSocketVersion: internName('sec-websocket-version'),
  secWebSocketProtocol: internName('sec-websocket-protocol'),
  secWebSocketExtensions: internName('sec-websocket-extensions'),
} as const;
