/**
 * Whether a failed attempt may be repeated: Envoy's retry conditions, and our method-aware ones (D8).
 * Pure functions of the policy and what happened; budgets, counts and bodies are the router's business.
 */
import { GrpcStatus, H, type HeaderList } from '@sluice/wire';
import type { RetryConditions, RetryPolicy } from '../../route/route.ts';
import type { UpstreamReset } from '../../http/streams.ts';
import { grpcStatusIn } from '../../telemetry/grpc-status.ts';

/** How an attempt ended without a response: by the upstream, or because we gave up on it. */
export type AttemptFailure = UpstreamReset | 'per-try-timeout';

export interface RetryQuestion {
  readonly method: string;
  readonly headers: HeaderList;
}

/** Methods that may be repeated without harm (RFC 9110 §9.2.2). */
const IDEMPOTENT: ReadonlySet<string> = new Set(['GET', 'HEAD', 'OPTIONS', 'PUT', 'DELETE', 'TRACE']);

/** True when repeating cannot do the work twice, whatever the first attempt did. */
export function isIdempotent(request: RetryQuestion): boolean {
  return IDEMPOTENT.has(request.method) || request.headers.has(H.idempotencyKey);
}

/** Nothing of the request can have been processed. */
export function isProvablyUnprocessed(failure: AttemptFailure): boolean {
  return (
    failure === 'connect-failed' ||
    failure === 'connect-timeout' ||
    failure === 'refused-stream' ||
    failure === 'no-descriptor' ||
    failure === 'tls-failed' ||
    failure === 'identity-missing' ||
    failure === 'identity-expired'
  );
}

export function retriesFailure(
  policy: RetryPolicy,
  failure: AttemptFailure,
  hasSentHead: boolean,
  request: RetryQuestion,
): boolean {
  if (failure === 'overflow' || !allowsRequest(policy, request)) return false;
  if (matchesFailure(policy.on, failure, hasSentHead)) return true;
  const safe = safeConditions(policy, request);
  return safe !== null && matchesFailure(safe, failure, hasSentHead);
}

export function retriesResponse(
  policy: RetryPolicy,
  status: number,
  response: HeaderList,
  request: RetryQuestion,
): boolean {
  if (response.has(H.xEnvoyOverloaded) || !allowsRequest(policy, request)) return false;
  if (matchesResponse(policy, policy.on, status, response)) return true;
  const safe = safeConditions(policy, request);
  return safe !== null && matchesResponse(policy, safe, status, response);
}

function allowsRequest(policy: RetryPolicy, request: RetryQuestion): boolean {
  const wanted = policy.retriableRequestHeaders;
  return wanted.length === 0 || wanted.some((holds) => holds(request.headers));
}

function safeConditions(policy: RetryPolicy, request: RetryQuestion): RetryConditions | null {
  const safe = policy.safe;
  if (safe === null) return null;
  if (safe.methods.has(request.method)) return safe.on;
  return safe.honourIdempotencyKey && request.headers.has(H.idempotencyKey) ? safe.on : null;
}

function matchesFailure(on: RetryConditions, failure: AttemptFailure, hasSentHead: boolean): boolean {
  if (on.fiveXx || on.gatewayError || on.reset) return true;
  if (on.resetBeforeRequest && !hasSentHead) return true;
  if (failure === 'refused-stream') return on.refusedStream;
  return on.connectFailure && isProvablyUnprocessed(failure);
}

function matchesResponse(
  policy: RetryPolicy,
  on: RetryConditions,
  status: number,
  response: HeaderList,
): boolean {
  if (response.has(H.xEnvoyRateLimited)) return on.envoyRatelimited;
  if (on.fiveXx && status >= 500 && status < 600) return true;
  if (on.gatewayError && status >= 502 && status <= 504) return true;
  if (on.retriable4xx && status === 409) return true;
  if (on.retriableStatusCodes && policy.retriableStatusCodes.includes(status)) return true;
  if (on.retriableHeaders && policy.retriableHeaders.some((holds) => holds(response))) return true;
  return matchesGrpc(on, response);
}

/** Only a status in the head can be acted on: trailers come when the response has been forwarded. */
function matchesGrpc(on: RetryConditions, response: HeaderList): boolean {
  switch (grpcStatusIn(response)) {
    case GrpcStatus.cancelled:
      return on.grpcCancelled;
    case GrpcStatus.deadlineExceeded:
      return on.grpcDeadlineExceeded;
    case GrpcStatus.resourceExhausted:
      return on.grpcResourceExhausted;
    case GrpcStatus.internal:
      return on.grpcInternal;
    case GrpcStatus.unavailable:
      return on.grpcUnavailable;
    default:
      return false;
  }
}
