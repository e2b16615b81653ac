/**
 * Backoff delays as pure functions of the attempt and a random source.
 *
 * `retryBackoffMs` is Envoy's rule for request retries, so that both data planes behave alike under one
 * configuration. The other two space out reconnects: equal jitter when attempts are counted, decorrelated
 * jitter when only the previous delay is known; both keep a fleet that lost one server from returning in step.
 */
import type { Random } from './random.ts';

export interface BackoffPolicy {
  readonly baseMs: number;
  readonly maxMs: number;
}

/** Envoy's defaults for retries: 25 ms, and ten times the base as the cap. */
export const defaultRetryBackoff: BackoffPolicy = { baseMs: 25, maxMs: 250 };

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

/** Next delay from the previous one (0 before the first): uniform in [base, 3 · previous], at most max. */
export function decorrelatedBackoffMs(policy: BackoffPolicy, previousMs: number, random: Random): number {
  const upperMs = Math.max(policy.baseMs, previousMs * 3);
  return Math.min(policy.maxMs, policy.baseMs + random.next() * (upperMs - policy.baseMs));
}
