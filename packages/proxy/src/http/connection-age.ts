/** How long a connection may stay: idle between requests, and at all. 0 in the configuration means no limit. */
import type { HttpManagerConfig } from '../listener/listener.ts';

/** Left to an idle connection that is to end, since a request may be on its way: some round trips within a site. */
export const DRAINING_IDLE_MS = 500;

type AgeLimits = Pick<HttpManagerConfig, 'connectionIdleTimeoutMs' | 'maxConnectionDurationMs'>;

/** Milliseconds until a connection that is idle now has to go; Infinity without limits, never negative. */
export function idleDelayMs(limits: AgeLimits, openedMs: number, nowMs: number): number {
  const { connectionIdleTimeoutMs, maxConnectionDurationMs } = limits;
  const idleMs = connectionIdleTimeoutMs > 0 ? connectionIdleTimeoutMs : Infinity;
  const leftMs = maxConnectionDurationMs > 0 ? openedMs + maxConnectionDurationMs - nowMs : Infinity;
  return Math.max(0, Math.min(idleMs, leftMs));
}

export function isTooOld(limits: AgeLimits, openedMs: number, nowMs: number): boolean {
  return limits.maxConnectionDurationMs > 0 && nowMs - openedMs >= limits.maxConnectionDurationMs;
}
