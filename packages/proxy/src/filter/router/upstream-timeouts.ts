/**
 * How long a request may take, from the route, from `grpc-timeout` where the route reads it, and from
 * `x-envoy-*` request headers, which may only tighten (design §6, Trust). Headers that were read are removed:
 * they are for this hop. What remains of the time is told to the upstream, anew for each attempt.
 *
 * As in Envoy a route either bounds the whole stream from its start (`max_stream_duration`, which then leaves
 * no route timeout) or the time after the request's end (`timeout`, or `max_grpc_timeout` for gRPC).
 */
import { formatGrpcTimeout, H, readGrpcTimeoutMs, type HeaderList } from '@sluice/wire';
import { isGrpcRequest } from '../../http/grpc-request.ts';
import type { ForwardAction, GrpcTimeoutRule, RetryPolicy } from '../../route/route.ts';
import { smallDecimal } from './small-decimal.ts';

/** One per router, reused. 0 = none. */
export interface UpstreamTimeouts {
  /** From the end of the request. */
  routeMs: number;
  perTryMs: number;
  perTryIdleMs: number;
  maxRetries: number;
  /** From the start of the request; -1 = none, 0 = over at once. */
  streamMs: number;
  /** Which of them is told to a gRPC upstream. */
  grpcTells: 'nothing' | 'route' | 'stream';
}

export function newUpstreamTimeouts(): UpstreamTimeouts {
  return { routeMs: 0, perTryMs: 0, perTryIdleMs: 0, maxRetries: 0, streamMs: -1, grpcTells: 'nothing' };
}

export function readUpstreamTimeouts(
  action: ForwardAction,
  retry: RetryPolicy | null,
  headers: HeaderList,
  out: UpstreamTimeouts,
): void {
  out.routeMs = action.timeoutMs;
  out.perTryMs = retry?.perTryTimeoutMs ?? 0;
  out.perTryIdleMs = retry?.perTryIdleTimeoutMs ?? 0;
  out.maxRetries = retry?.maxRetries ?? 0;
  out.streamMs = action.maxStreamDurationMs === undefined ? -1 : action.maxStreamDurationMs || -1;
  out.grpcTells = 'nothing';
  if (isGrpcRequest(headers)) readGrpcDeadline(action, headers, out);
  const asked = take(headers, H.xEnvoyUpstreamRqTimeoutMs);
  if (asked > 0) out.routeMs = out.routeMs === 0 ? asked : Math.min(out.routeMs, asked);
  const askedPerTry = take(headers, H.xEnvoyUpstreamRqPerTryTimeoutMs);
  if (askedPerTry > 0) out.perTryMs = out.perTryMs === 0 ? askedPerTry : Math.min(out.perTryMs, askedPerTry);
  const askedRetries = take(headers, H.xEnvoyMaxRetries);
  if (askedRetries >= 0) out.maxRetries = Math.min(out.maxRetries, askedRetries);
  // A per-try timeout that the whole request cannot reach is none.
  if (out.routeMs > 0 && out.perTryMs >= out.routeMs) out.perTryMs = 0;
}

/**
 * Tells the upstream how long this attempt may take. `sinceEndMs`: since the end of the request, 0 before it;
 * `sinceStartMs`: since its start, 0 for the first attempt (Envoy's rule: the client's own figure stays).
 */
export function writeTimeoutHeaders(
  headers: HeaderList,
  timeouts: UpstreamTimeouts,
  sinceEndMs: number,
  sinceStartMs: number,
  suppressEnvoyHeaders: boolean,
): void {
  const { routeMs, perTryMs, streamMs, grpcTells } = timeouts;
  let expectedMs = perTryMs > 0 ? perTryMs : routeMs;
  // Out of time is told as 1 ms, as 0 would mean for ever.
  if (routeMs > 0) expectedMs = Math.min(expectedMs, Math.max(1, Math.ceil(routeMs - sinceEndMs)));
  if (expectedMs > 0) {
    if (!suppressEnvoyHeaders) headers.set(H.xEnvoyExpectedRqTimeoutMs, smallDecimal(expectedMs));
    if (grpcTells === 'route') headers.set(H.grpcTimeout, formatGrpcTimeout(expectedMs));
  }
  if (grpcTells !== 'stream') return;
  const remainingMs = sinceStartMs === 0 ? streamMs : Math.max(1, streamMs - sinceStartMs);
  headers.set(H.grpcTimeout, formatGrpcTimeout(remainingMs));
}

function readGrpcDeadline(action: ForwardAction, headers: HeaderList, out: UpstreamTimeouts): void {
  const rule = action.grpcTimeout;
  if (rule?.bounds === 'route') {
    out.routeMs = routeTimeoutOf(rule, grpcTimeoutIn(headers));
    out.grpcTells = 'route';
    return;
  }
  const asked = rule === null ? -1 : grpcTimeoutIn(headers);
  if (rule !== null && asked >= 0) out.streamMs = streamTimeoutOf(rule, asked);
  if (action.maxStreamDurationMs !== undefined || rule !== null)
    out.grpcTells = out.streamMs >= 0 ? 'stream' : 'nothing';
}

/** 0, also where the client names none, is without end, and the maximum bounds that too. */
function routeTimeoutOf({ maxMs, offsetMs }: GrpcTimeoutRule, askedMs: number): number {
  let timeoutMs = Math.max(0, askedMs);
  if (offsetMs < timeoutMs) timeoutMs -= offsetMs;
  return maxMs > 0 && (timeoutMs === 0 || timeoutMs > maxMs) ? maxMs : timeoutMs;
}

/** Here 0 is a deadline that has passed. */
function streamTimeoutOf({ maxMs, offsetMs }: GrpcTimeoutRule, askedMs: number): number {
  const timeoutMs = maxMs > 0 ? Math.min(askedMs, maxMs) : askedMs;
  return Math.max(0, timeoutMs - offsetMs);
}

/** -1: the client names none, or none that can be read. */
function grpcTimeoutIn(headers: HeaderList): number {
  const at = headers.indexOf(H.grpcTimeout);
  if (at < 0) return -1;
  return readGrpcTimeoutMs(headers.bufferAt(at), headers.valueStartAt(at), headers.valueEndAt(at)) ?? -1;
}

/** The number in a header, which is removed; -1 when there is none. */
function take(headers: HeaderList, id: number): number {
  if (!headers.has(id)) return -1;
  const value = headers.get(id) ?? '';
  headers.remove(id);
  return /^\d{1,9}$/.test(value) ? Number(value) : -1;
}
