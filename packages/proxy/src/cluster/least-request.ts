/**
 * Least request. With equal weights: the least busy of `choiceCount` random draws (power of two
 * choices), which needs no shared state and avoids the herd that a true minimum causes. With different
 * weights: earliest-deadline-first over weight / (active + 1)^bias (both as Envoy does).
 */
import { haveEqualWeights, type Balancer } from './balancer.ts';
import type { Endpoint, PickContext } from './cluster.ts';
import { EdfScheduler } from './edf-scheduler.ts';

export interface LeastRequestSettings {
  readonly choiceCount: number;
  readonly activeRequestBias: number;
}

export function leastRequestBalancer(
  endpoints: readonly Endpoint[],
  settings: LeastRequestSettings,
  random: () => number,
): Balancer {
  if (haveEqualWeights(endpoints)) {
    return { choose: (context) => leastOfDraws(endpoints, settings.choiceCount, context) };
  }
  const scheduler = new EdfScheduler<Endpoint>();
  for (const endpoint of endpoints) scheduler.add(endpoint, endpoint.weight, random());
  const bias = settings.activeRequestBias;
  const weightOf = (endpoint: Endpoint): number => endpoint.weight / (endpoint.activeRequests + 1) ** bias;
  return { choose: () => scheduler.next(weightOf) };
}

function leastOfDraws(endpoints: readonly Endpoint[], draws: number, context: PickContext): Endpoint | null {
  let best: Endpoint | null = null;
  for (let i = 0; i < draws; i++) {
    const drawn = endpoints[Math.floor(context.random() * endpoints.length)];
    if (drawn !== undefined && (best === null || drawn.activeRequests < best.activeRequests)) best = drawn;
  }
  return best;
}
