/**
 * How long a request may take, from the route and from `x-envoy-*` request headers, which may only tighten
 * (design §6, Trust). Headers that were read are removed: they are for this hop.
 */
import { H, type HeaderList } from '@sluice/wire';
import type { ForwardAction, RetryPolicy } from '../../route/route.ts';

/** One per router, reused. 0 = none. */
export interface UpstreamTimeouts {
  routeMs: number;
  perTryMs: number;
  perTryIdleMs: number;
  maxRetries: number;
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
  const asked = take(headers, H.xEnvoyUpstreamRqTimeoutMs);
  if (asked > 0) out.routeMs = out.routeMs === 0 ? asked : Math.min(out.routeMs, asked);
  const askedPerTry = take(headers, H.xEnvoyUpstreamRqPerTryTimeoutMs);
  if (askedPerTry > 0) out.perTryMs = out.perTryMs === 0 ? askedPerTry : Math.min(out.perTryMs, askedPerTry);
  const askedRetries = take(headers, H.xEnvoyMaxRetries);
  if (askedRetries >= 0) out.maxRetries = Math.min(out.maxRetries, askedRetries);
  // A per-try timeout that the whole request cannot reach is none.
  if (out.routeMs > 0 && out.perTryMs >= out.routeMs) out.perTryMs = 0;
}

/** The number in a header, which is removed; -1 when there is none. */
function take(headers: HeaderList, id: number): number {
  if (!headers.has(id)) return -1;
  const value = headers.get(id) ?? '';
  headers.remove(id);
  return /^\d{1,9}$/.test(value) ? Number(value) : -1;
}
