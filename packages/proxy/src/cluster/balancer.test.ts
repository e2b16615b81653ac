import { describe, expect, test } from 'bun:test';
import fc from 'fast-check';
import { createRandom } from '@sluice/runtime';
import { endpoint, pickContext, testBalancer } from './balancer.suite.ts';
import { createBalancer } from './create-balancer.ts';
import { EdfScheduler } from './edf-scheduler.ts';
import { buildHostSet, type HostSetSettings } from './host-set.ts';

testBalancer({ kind: 'roundRobin' });
testBalancer({ kind: 'random' });
testBalancer({ kind: 'leastRequest', choiceCount: 2, activeRequestBias: 1 });

const zero = (): number => 0;

describe('earliest deadline first', () => {
  test('gives each entry its share of any window, within one turn', () => {
    fc.assert(
      fc.property(fc.array(fc.integer({ min: 1, max: 20 }), { minLength: 1, maxLength: 12 }), (weights) => {
        const scheduler = new EdfScheduler<number>();
        for (const [i, weight] of weights.entries()) scheduler.add(i, weight, 0);
        const total = weights.reduce((sum, weight) => sum + weight, 0);
        const counts = weights.map(() => 0);
        for (let i = 0; i < 5 * total; i++) {
          const next = scheduler.next((item) => weights[item] ?? 1) ?? 0;
          counts[next] = (counts[next] ?? 0) + 1;
        }
        for (const [i, weight] of weights.entries())
          expect(Math.abs((counts[i] ?? 0) - 5 * weight)).toBeLessThanOrEqual(1);
      }),
    );
  });
});

describe('policies', () => {
  test('round robin takes turns', () => {
    const balancer = createBalancer(
      { kind: 'roundRobin' },
      [1, 2, 3].map((port) => endpoint(port)),
      zero,
    );
    const context = pickContext(1);
    expect(Array.from({ length: 6 }, () => balancer.choose(context)?.port)).toEqual([1, 2, 3, 1, 2, 3]);
  });

  test('least request prefers the idle one, and with weights divides by what is in flight', () => {
    const policy = { kind: 'leastRequest', choiceCount: 2, activeRequestBias: 1 } as const;
    const [busy, idle] = [endpoint(1, 1, { activeRequests: 50 }), endpoint(2)];
    const balancer = createBalancer(policy, [busy, idle], zero);
    const context = pickContext(2);
    const chosen = Array.from({ length: 400 }, () => balancer.choose(context));
    expect(chosen.filter((each) => each === idle).length).toBeGreaterThan(260);
    const [heavy, light] = [endpoint(1, 4, { activeRequests: 99 }), endpoint(2, 1)];
    const weighted = createBalancer(policy, [heavy, light], zero);
    const picked = Array.from({ length: 100 }, () => weighted.choose(context));
    expect(picked.filter((each) => each === light).length).toBeGreaterThan(90);
  });
});

describe('host sets', () => {
  const random = createRandom(1);
  const settings: HostSetSettings = {
    policy: { kind: 'roundRobin' },
    panicThresholdPercent: 50,
    failTrafficOnPanic: false,
    isLocalityWeighted: false,
    localityWeight: () => 0,
  };
  const ports = (
    endpoints: ReturnType<typeof endpoint>[],
    changes: Partial<HostSetSettings> = {},
  ): number[] => {
    const set = buildHostSet(endpoints, { ...settings, ...changes }, () => random.next());
    const context = pickContext(11);
    return [...new Set(Array.from({ length: 200 }, () => set.pick(context, 0)?.port ?? 0))].sort();
  };

  test('the first priority with a usable endpoint serves', () => {
    const down = endpoint(1, 1, { health: 'UNHEALTHY' });
    expect(ports([endpoint(1), endpoint(2, 1, { priority: 1 })])).toEqual([1]);
    expect(ports([down, endpoint(2, 1, { priority: 1 })])).toEqual([2]);
  });

  test('degraded endpoints serve only where none is healthy', () => {
    const degraded = endpoint(2, 1, { health: 'DEGRADED' });
    expect(ports([endpoint(1), degraded])).toEqual([1]);
    expect(ports([endpoint(1, 1, { health: 'DRAINING' }), degraded], { panicThresholdPercent: 0 })).toEqual([
      2,
    ]);
  });

  test('below the panic threshold health is ignored, unless panic is off or another priority carries the load', () => {
    const members = [endpoint(1), ...[2, 3, 4].map((port) => endpoint(port, 1, { health: 'UNHEALTHY' }))];
    expect(ports(members)).toEqual([1, 2, 3, 4]);
    expect(ports(members, { panicThresholdPercent: 0 })).toEqual([1]);
    expect(ports([...members, endpoint(5, 1, { priority: 1 })])).toEqual([1]);
    expect(ports(members, { failTrafficOnPanic: true })).toEqual([0]);
  });

  test('localities get traffic by their weights, one without a weight gets none', () => {
    const at = (port: number, zone: string) =>
      endpoint(port, 1, { locality: { region: '', zone, subZone: '' } });
    const weights: Record<string, number> = { a: 3, b: 1, c: 0 };
    const weighted = {
      ...settings,
      isLocalityWeighted: true,
      localityWeight: (each: { locality: { zone: string } }) => weights[each.locality.zone] ?? 0,
    };
    const set = buildHostSet([at(1, 'a'), at(2, 'b'), at(3, 'c')], weighted, zero);
    const context = pickContext(4);
    const chosen = Array.from({ length: 4000 }, () => set.pick(context, 0)?.port);
    expect(chosen.filter((port) => port === 1).length / 4000).toBeCloseTo(0.75, 1);
    expect(chosen).not.toContain(3);
  });
});
