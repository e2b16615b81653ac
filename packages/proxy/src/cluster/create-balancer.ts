/** The balancer of a policy: the one place that knows them all. */
import type { Balancer, BalancerPolicy } from './balancer.ts';
import type { Endpoint } from './cluster.ts';
import { leastRequestBalancer } from './least-request.ts';
import { randomBalancer } from './random-balancer.ts';
import { roundRobinBalancer } from './round-robin.ts';

/** `random` seeds starting positions, so that many workers do not all begin at the first endpoint. */
export function createBalancer(
  policy: BalancerPolicy,
  endpoints: readonly Endpoint[],
  random: () => number,
): Balancer {
  switch (policy.kind) {
    case 'roundRobin':
      return roundRobinBalancer(endpoints, random);
    case 'random':
      return randomBalancer(endpoints);
    case 'leastRequest':
      return leastRequestBalancer(endpoints, policy, random);
  }
}
