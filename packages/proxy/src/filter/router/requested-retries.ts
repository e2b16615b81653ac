/**
 * Retries that a request asks for itself: `x-envoy-retry-on` and `x-envoy-retry-grpc-on` widen the route's
 * policy for this request, as in Envoy. An edge has removed both before (`http/header-trust.ts`), so only
 * callers inside the mesh are heard; count, budget and replay limits hold as for any retry. Both are for this
 * hop and not passed on.
 */
import { H, type HeaderList } from '@sluice/wire';
import { parseRetryConditions } from '../../route/retry-conditions.ts';
import { retryPolicyFor } from '../../route/retry-policy.ts';
import type { RetryConditions, RetryPolicy } from '../../route/route.ts';

/** Words that are no condition are passed over: the header is a peer's. */
const forgiving = { error(): void {} };

export function withRequestedRetries(policy: RetryPolicy | null, headers: HeaderList): RetryPolicy | null {
  const http = headers.has(H.xEnvoyRetryOn);
  const grpc = headers.has(H.xEnvoyRetryGrpcOn);
  if (!http && !grpc) return policy;
  const words = [headers.joined(H.xEnvoyRetryOn), headers.joined(H.xEnvoyRetryGrpcOn)];
  headers.remove(H.xEnvoyRetryOn);
  headers.remove(H.xEnvoyRetryGrpcOn);
  const asked = parseRetryConditions(words.filter((text) => text !== undefined).join(','), forgiving);
  if (!Object.values(asked).includes(true)) return policy;
  return policy === null ? retryPolicyFor(asked) : { ...policy, on: union(policy.on, asked) };
}

function union(one: RetryConditions, other: RetryConditions): RetryConditions {
  const merged = { ...one } as { -readonly [K in keyof RetryConditions]: boolean };
  for (const name of Object.keys(other) as (keyof RetryConditions)[]) merged[name] ||= other[name];
  return merged;
}
