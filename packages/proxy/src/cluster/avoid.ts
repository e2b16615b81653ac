/**
 * Passing over endpoints that this exchange has tried already, and endpoints that have just refused a
 * connection. The balancer is asked a few times, so that its own order is kept; when it keeps naming
 * such endpoints the group is searched, because a repeated failure costs more than a scan.
 *
 * Preference: fresh, then fresh but refusing, then tried. Never null while the group has endpoints:
 * when every endpoint was tried, trying one again is better than no answer.
 */
import type { Balancer } from './balancer.ts';
import type { Endpoint, PickContext } from './cluster.ts';

/** Asking more often than this finds nothing that a scan does not find sooner. */
const maxAsks = 8;

export function chooseAvoiding(
  balancer: Balancer,
  endpoints: readonly Endpoint[],
  context: PickContext,
  nowMs: number,
): Endpoint | null {
  const first = balancer.choose(context);
  if (first === null || isFresh(first, context, nowMs)) return first;
  const asks = Math.min(Math.max(context.selectionAttempts, 1), maxAsks);
  for (let i = 0; i < asks; i++) {
    const endpoint = balancer.choose(context);
    if (endpoint !== null && isFresh(endpoint, context, nowMs)) return endpoint;
  }
  return scan(endpoints, context, nowMs) ?? first;
}

function scan(endpoints: readonly Endpoint[], context: PickContext, nowMs: number): Endpoint | null {
  const start = Math.floor(context.random() * endpoints.length);
  let untried: Endpoint | null = null;
  for (let i = 0; i < endpoints.length; i++) {
    const endpoint = endpoints[(start + i) % endpoints.length];
    if (endpoint === undefined) continue;
    if (isFresh(endpoint, context, nowMs)) return endpoint;
    if (untried === null && !wasTried(endpoint, context)) untried = endpoint;
  }
  return untried;
}

function isFresh(endpoint: Endpoint, context: PickContext, nowMs: number): boolean {
  return endpoint.avoidUntilMs <= nowMs && !wasTried(endpoint, context);
}

function wasTried(endpoint: Endpoint, context: PickContext): boolean {
  return context.avoidTried && context.tried.length > 0 && context.tried.includes(endpoint);
}
