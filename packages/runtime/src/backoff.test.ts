import { expect, test } from 'bun:test';
import * as fc from 'fast-check';
import { reconnectBackoffMs, retryBackoffMs } from './backoff.ts';
import { createRandom } from './random.ts';
import type { Random } from './random.ts';

const policies = fc
  .record({ baseMs: fc.integer({ min: 1, max: 10_000 }), factor: fc.integer({ min: 1, max: 1000 }) })
  .map(({ baseMs, factor }) => ({ baseMs, maxMs: baseMs * factor }));
const attempts = fc.integer({ min: 0, max: 5000 });

function always(value: number): Random {
  return {
    next: () => value,
    int: (bound) => Math.floor(value * bound),
    bytes: (target) => void target.fill(0),
  };
}

test('a retry waits within [0, (2^N - 1) · base), never longer than the cap', () => {
  fc.assert(
    fc.property(policies, attempts, fc.integer(), (policy, retry, seed) => {
      const delayMs = retryBackoffMs(policy, retry, createRandom(seed));
      expect(delayMs).toBeGreaterThanOrEqual(0);
      expect(delayMs).toBeLessThan(policy.maxMs);
      expect(delayMs).toBeLessThan((2 ** Math.max(1, retry) - 1) * policy.baseMs);
    }),
  );
});

test('the retry window grows as Envoy documents: 25, 75, 175 ms, then the cap', () => {
  const window = [1, 2, 3, 4, 5].map((retry) => retryBackoffMs({ baseMs: 25, maxMs: 250 }, retry, always(1)));
  expect(window).toEqual([25, 75, 175, 250, 250]);
});

test('a reconnect waits at least half of its doubling ceiling', () => {
  fc.assert(
    fc.property(policies, attempts, fc.integer(), (policy, attempt, seed) => {
      const ceilingMs = Math.min(policy.baseMs * 2 ** (Math.max(1, attempt) - 1), policy.maxMs);
      const delayMs = reconnectBackoffMs(policy, attempt, createRandom(seed));
      expect(delayMs).toBeGreaterThanOrEqual(ceilingMs / 2);
      expect(delayMs).toBeLessThanOrEqual(ceilingMs);
    }),
  );
});
