import { expect, test } from 'bun:test';
import * as fc from 'fast-check';
import { editDistance, nearestName } from './nearest-name.ts';

const kinds = ['VirtualService', 'DestinationRule', 'ServiceEntry', 'Service', 'Gateway', 'Sidecar'];

test('suggests the name that was meant', () => {
  expect(nearestName('VirtualServce', kinds)).toBe('VirtualService');
  expect(nearestName('virtualservice', kinds)).toBe('VirtualService');
  expect(nearestName('Sevrice', kinds)).toBe('Service');
  expect(nearestName('retires', ['retries', 'timeout'])).toBe('retries');
});

test('slips find the name that was meant, in any spelling, strangers none', () => {
  const names = ['perTryTimeout', 'retryOn', 'attempts'];
  expect(nearestName('per_try_timeout', names)).toBe('perTryTimeout');
  expect(nearestName('atempts', names)).toBe('attempts');
  expect(nearestName('zzz', names)).toBeUndefined();
});

test('suggests nothing when nothing is near', () => {
  expect(nearestName('Deployment', kinds)).toBeUndefined();
  expect(nearestName('', kinds)).toBeUndefined();
  expect(nearestName('x'.repeat(10_000), kinds)).toBeUndefined();
  expect(nearestName('a', [])).toBeUndefined();
});

test('swapped neighbours are one edit', () => {
  expect([editDistance('ab', 'ba'), editDistance('kitten', 'sitting'), editDistance('', 'abc')]).toEqual([
    1, 3, 3,
  ]);
});

test('the distance is symmetric, 0 only for equals, and at most the longer length', () => {
  const word = fc.string({ maxLength: 12 });
  fc.assert(
    fc.property(word, word, (a, b) => {
      const distance = editDistance(a, b);
      expect(distance).toBe(editDistance(b, a));
      expect(distance === 0).toBe(a === b);
      expect(distance).toBeLessThanOrEqual(Math.max(a.length, b.length));
    }),
  );
});
