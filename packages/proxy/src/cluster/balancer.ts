/**
 * The one interface of load balancers: choose among the endpoints of one group (one priority, and one
 * locality of it where localities are weighted). Which group, health and panic are `host-set.ts`'s
 * concern; avoiding endpoints that were tried or have just refused is `avoid.ts`'s.
 *
 * Invariant: every balancer passes `balancer.suite.ts`.
 */
import type { Endpoint, PickContext } from './cluster.ts';

export interface Balancer {
  /** Never null while the group has endpoints. */
  choose(context: PickContext): Endpoint | null;
}

export type BalancerPolicy =
  | { readonly kind: 'roundRobin' }
  | { readonly kind: 'random' }
  | { readonly kind: 'leastRequest'; readonly choiceCount: number; readonly activeRequestBias: number };

export function haveEqualWeights(endpoints: readonly Endpoint[]): boolean {
  const first = endpoints[0];
  return first === undefined || endpoints.every((endpoint) => endpoint.weight === first.weight);
}
