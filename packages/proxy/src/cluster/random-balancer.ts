/** Random: a uniform draw. Weights are not looked at, as in Envoy. */
import type { Balancer } from './balancer.ts';
import type { Endpoint } from './cluster.ts';

export function randomBalancer(endpoints: readonly Endpoint[]): Balancer {
  return { choose: (context) => endpoints[Math.floor(context.random() * endpoints.length)] ?? null };
}
