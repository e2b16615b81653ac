import { describe, expect, test } from 'bun:test';
import { FakeClock } from '@sluice/runtime';
import * as fc from 'fast-check';
import { checkIntervalMs, defaultLeaseMs, LeaseTable } from './lease-table.ts';

const renewIntervalMs = 800;

/** Runs time in checks; instances for which `isAlive` holds renew every 0.8 s. Returns what expired, and when. */
function run(
  clock: FakeClock,
  leases: LeaseTable,
  durationMs: number,
  isAlive: (instance: string) => boolean,
  instances: readonly string[],
): Map<string, number> {
  const expiredAtMs = new Map<string, number>();
  const startMs = clock.nowMs();
  for (let elapsedMs = checkIntervalMs; elapsedMs <= durationMs; elapsedMs += checkIntervalMs) {
    clock.advance(checkIntervalMs);
    if (elapsedMs % renewIntervalMs === 0) for (const one of instances.filter(isAlive)) leases.renew(one);
    for (const one of leases.check().expired) expiredAtMs.set(one, clock.nowMs() - startMs);
  }
  return expiredAtMs;
}

function setUp(count: number) {
  const clock = new FakeClock();
  const leases = new LeaseTable(clock);
  const instances = Array.from({ length: count }, (_, index) => `i${index}`);
  for (const instance of instances) leases.grant(instance, defaultLeaseMs);
  return { clock, leases, instances };
}

describe('leases', () => {
  test('an instance that renews lives, one that stops is gone within three seconds', () => {
    const { clock, leases, instances } = setUp(4);
    const expired = run(clock, leases, 20_000, (instance) => instance !== 'i0', instances);
    expect([...expired.keys()]).toEqual(['i0']);
    expect(expired.get('i0')).toBeLessThanOrEqual(2900);
    expect(leases.renew('i0')).toBe(false);
  });

  test('two lost renewals in a row end nothing', () => {
    const { clock, leases, instances } = setUp(1);
    let turn = 0;
    expect(run(clock, leases, 30_000, () => turn++ % 3 === 0, instances).size).toBe(0);
  });

  test('a jump of the calendar means nothing', () => {
    const { clock, leases, instances } = setUp(2);
    clock.setWallMs(clock.wallMs() + 86_400_000);
    expect(run(clock, leases, 4000, () => true, instances).size).toBe(0);
  });

  test('after the control plane itself stood still, everybody has a full lease', () => {
    const { clock, leases } = setUp(2);
    clock.advance(3_600_000);
    expect(leases.check()).toMatchObject({ expired: [], wasAway: true });
    clock.advance(checkIntervalMs);
    expect(leases.check()).toMatchObject({ expired: [], wasAway: false });
  });

  test('losing more than half at once freezes eviction until enough come back', () => {
    const { clock, leases, instances } = setUp(10);
    run(clock, leases, 2400, () => true, instances);
    expect(run(clock, leases, 10_000, (instance) => instance < 'i4', instances).size).toBe(0);
    expect(leases.isFrozen).toBe(true);
    leases.renew('i4');
    leases.renew('i5');
    const expired = run(clock, leases, 400, () => true, instances.slice(0, 6));
    expect([...expired.keys()]).toEqual(['i6', 'i7', 'i8', 'i9']);
    expect(leases.isFrozen).toBe(false);
  });

  test('an operator may release a freeze, once', () => {
    const { clock, leases, instances } = setUp(4);
    run(clock, leases, 5000, () => false, instances);
    expect(leases.isFrozen).toBe(true);
    leases.release();
    expect([...run(clock, leases, 200, () => false, instances).keys()]).toEqual(instances);
    for (const instance of instances) leases.grant(instance, defaultLeaseMs);
    run(clock, leases, 5000, () => false, instances);
    expect(leases.isFrozen).toBe(true);
  });

  test('both of two, or one of one, is an ordinary crash', () => {
    for (const count of [1, 2]) {
      const { clock, leases, instances } = setUp(count);
      expect(run(clock, leases, 3000, () => false, instances).size).toBe(count);
    }
  });

  test('whoever dies at one moment, never more than half expire together', () => {
    fc.assert(
      fc.property(fc.integer({ min: 3, max: 40 }), fc.integer({ min: 0, max: 40 }), (count, dying) => {
        const { clock, leases, instances } = setUp(count);
        run(clock, leases, 1600, () => true, instances);
        const dead = new Set(instances.slice(0, Math.min(dying, count)));
        const expired = run(clock, leases, 6000, (instance) => !dead.has(instance), instances);
        const isMassLoss = dead.size >= 3 && dead.size * 2 > count;
        expect(expired.size).toBe(isMassLoss ? 0 : dead.size);
      }),
      { numRuns: 40, seed: 7 },
    );
  });
});
