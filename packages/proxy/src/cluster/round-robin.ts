/** Round robin: by turns with equal weights, earliest-deadline-first otherwise (as Envoy does). */
import { haveEqualWeights, type Balancer } from './balancer.ts';
import type { Endpoint } from './cluster.ts';
import { EdfScheduler } from './edf-scheduler.ts';

export function roundRobinBalancer(endpoints: readonly Endpoint[], random: () => number): Balancer {
  if (haveEqualWeights(endpoints)) return byTurns(endpoints, random);
  const scheduler = new EdfScheduler<Endpoint>();
  for (const endpoint of endpoints) scheduler.add(endpoint, endpoint.weight, random());
  const weightOf = (endpoint: Endpoint): number => endpoint.weight;
  return { choose: () => scheduler.next(weightOf) };
}

function byTurns(endpoints: readonly Endpoint[], random: () => number): Balancer {
  let next = Math.floor(random() * endpoints.length);
  return {
    choose: () => {
      const endpoint = endpoints[next] ?? null;
      next = next + 1 < endpoints.length ? next + 1 : 0;
      return endpoint;
    },
  };
}
