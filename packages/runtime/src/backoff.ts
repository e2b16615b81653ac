/**
 * Backoff delays as pure functions of the attempt and a random source.
 *
 * `retryBackoffMs` is Envoy's rule for request retries, so that both data planes behave alike under one
 * configuration. `reconnectBackoffMs` spaces out reconnects with equal jitter, which keeps a fleet that lost one
 * server from returning in step.
 */
import type { Random } from './random.ts';

export interface BackoffPolicy {
  readonly baseMs: number;
  readonly maxMs: number;
}

/** Delay before retry number `retry` (1 = first): uniform in [0, min((2^retry - 1) · base, max)). */
export function retryBackoffMs(policy: BackoffPolicy, retry: number, random: Random): number {
  const windowMs = Math.min((2 ** Math.max(1, retry) - 1) * policy.baseMs, policy.maxMs);
  return random.next() * windowMs;
}

/**
 * Delay before reconnect number `attempt` (1 = first): uniform in [base/2, base] doubled per attempt up to
 * the cap. The lower half is kept, so that a server refusing at once is not asked in a tight loop.
 */
export function reconnectBackoffMs(policy: BackoffPolicy, attempt: number, random: Random): number {
  const ceilingMs = Math.min(policy.baseMs * 2 ** (Math.max(1, attempt) - 1), policy.maxMs);
  return ceilingMs / 2 + random.next() * (ceilingMs / 2);
}
