/** What every load balancer must do; each runs it with its policy. Seeded, so a failure repeats. */
import { describe, expect, test } from 'bun:test';
import { createRandom } from '@sluice/runtime';
import type { BalancerPolicy } from './balancer.ts';
import { createBalancer } from './create-balancer.ts';
import { chooseAvoiding } from './avoid.ts';
import type { PickContext } from './cluster.ts';
import { EndpointState } from './endpoint-state.ts';

export function endpoint(port: number, weight = 1, changes: Partial<EndpointState> = {}): EndpointState {
  const locality = { region: '', zone: '', subZone: '' };
  const spec = {
    address: '10.0.0.1',
    port,
    hostname: '',
    weight,
    priority: 0,
    locality,
    health: 'HEALTHY',
    metadata: null,
  } as const;
  return Object.assign(new EndpointState('c', spec), changes);
}

export function pickContext(seed: number, changes: Partial<PickContext> = {}): PickContext {
  const random = createRandom(seed);
  return {
    tried: [],
    avoidTried: false,
    selectionAttempts: 1,
    headers: null,
    hash: 0,
    originalAddress: null,
    originalPort: 0,
    random: () => random.next(),
    ...changes,
  };
}

export function testBalancer(policy: BalancerPolicy): void {
  describe(`every balancer, ${policy.kind}`, () => {
    const create = (endpoints: readonly EndpointState[], seed = 1) => {
      const random = createRandom(seed);
      return createBalancer(policy, endpoints, () => random.next());
    };

    test('chooses nothing of nothing and always the only one', () => {
      expect(create([]).choose(pickContext(1))).toBeNull();
      const only = endpoint(1);
      const balancer = create([only]);
      for (let i = 0; i < 10; i++) expect(balancer.choose(pickContext(i))).toBe(only);
    });

    test('reaches every endpoint, equal ones about equally often', () => {
      const endpoints = [1, 2, 3, 4].map((port) => endpoint(port));
      const balancer = create(endpoints);
      const context = pickContext(7);
      const counts = new Map<unknown, number>();
      for (let i = 0; i < 4000; i++) {
        const chosen = balancer.choose(context);
        counts.set(chosen, (counts.get(chosen) ?? 0) + 1);
      }
      for (const each of endpoints) {
        expect(counts.get(each)).toBeGreaterThan(850);
        expect(counts.get(each)).toBeLessThan(1150);
      }
    });

    test('repeats its choices with the same seed', () => {
      const run = (): number[] => {
        const balancer = create([endpoint(1, 3), endpoint(2, 1), endpoint(3, 2)], 5);
        const context = pickContext(5);
        return Array.from({ length: 50 }, () => balancer.choose(context)?.port ?? 0);
      };
      expect(run()).toEqual(run());
    });

    test('tried endpoints are avoided while others remain, and used again when none do', () => {
      const endpoints = [1, 2, 3].map((port) => endpoint(port));
      const balancer = create(endpoints);
      const context = pickContext(3, { avoidTried: true });
      for (let i = 0; i < endpoints.length; i++) {
        const chosen = chooseAvoiding(balancer, endpoints, context, 0);
        expect(context.tried).not.toContain(chosen!);
        context.tried.push(chosen!);
      }
      expect(chooseAvoiding(balancer, endpoints, context, 0)).not.toBeNull();
    });

    test('an endpoint that has just refused stands at the end of the line until its time is over', () => {
      const refusing = endpoint(1, 1, { avoidUntilMs: 1000 });
      const endpoints = [refusing, endpoint(2), endpoint(3)];
      const balancer = create(endpoints);
      const context = pickContext(3);
      for (let i = 0; i < 60; i++)
        expect(chooseAvoiding(balancer, endpoints, context, 999)).not.toBe(refusing);
      const later = Array.from({ length: 60 }, () => chooseAvoiding(balancer, endpoints, context, 1000));
      expect(later).toContain(refusing);
      expect(chooseAvoiding(create([refusing]), [refusing], context, 0)).toBe(refusing);
    });
  });
}
