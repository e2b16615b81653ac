import { expect, test } from 'bun:test';
import * as fc from 'fast-check';
import {
  bucketCount,
  explicitBucket,
  exposedBoundaries,
  logLinearBucket,
  logLinearBucketCount,
  logLinearUpperBound,
  quantile,
  upperBound,
} from './buckets.ts';
import { createRandom } from '../random.ts';

test('a value lies above the bucket below and not above its own', () => {
  const value = fc.oneof(
    fc.double({ noNaN: true }),
    fc.integer(),
    fc.integer({ min: -12, max: 42 }).map((e) => 2 ** e),
  );
  fc.assert(
    fc.property(value, (v) => {
      const bucket = logLinearBucket(v);
      expect(bucket >= 0 && bucket < logLinearBucketCount).toBe(true);
      expect(v <= logLinearUpperBound(bucket)).toBe(true);
      if (bucket > 0) expect(v > logLinearUpperBound(bucket - 1)).toBe(true);
    }),
    { numRuns: 2000 },
  );
});

test('bounds ascend, eight to every power of two, each in its own bucket', () => {
  for (let bucket = 0; bucket < logLinearBucketCount - 1; bucket++) {
    const bound = logLinearUpperBound(bucket);
    expect(logLinearBucket(bound)).toBe(bucket);
    expect(logLinearUpperBound(bucket + 1)).toBeGreaterThan(bound);
  }
  expect([0, 8, 80].map(logLinearUpperBound)).toEqual([2 ** -10, 2 ** -9, 1]);
  expect(logLinearUpperBound(logLinearBucketCount - 2)).toBe(2 ** 40);
});

test('an explicit boundary belongs to the bucket it closes', () => {
  const boundaries = [1, 5, 10];
  expect([-1, 1, 1.1, 5, 10, 10.1, Infinity].map((v) => explicitBucket(boundaries, v))).toEqual([
    0, 0, 1, 1, 2, 3, 3,
  ]);
  expect([bucketCount(boundaries), upperBound(boundaries, 3)]).toEqual([4, Infinity]);
});

test('what Prometheus sees of a log-linear histogram are bounds of real buckets', () => {
  for (const bound of exposedBoundaries('log-linear'))
    expect(upperBound('log-linear', logLinearBucket(bound))).toBe(bound);
});

test('quantiles of a log-linear histogram are off by an eighth at most', () => {
  const random = createRandom('quantiles');
  const values = Array.from({ length: 5000 }, () => 2 ** (random.next() * 20 - 5)).sort((a, b) => a - b);
  const slots = new Float64Array(logLinearBucketCount + 1);
  for (const value of values) slots[1 + logLinearBucket(value)]! += 1;
  for (const q of [0.01, 0.25, 0.5, 0.9, 0.99, 0.999]) {
    const exact = values[Math.ceil(q * values.length) - 1]!;
    expect(Math.abs(quantile('log-linear', slots, q) / exact - 1)).toBeLessThan(1 / 8);
  }
});

test('quantiles of nothing are NaN, and of what exceeds every boundary the last boundary', () => {
  expect(quantile([1, 2], [0, 0, 0, 0], 0.5)).toBeNaN();
  expect(quantile([1, 2], [90, 0, 0, 3], 0.5)).toBe(2);
  expect(quantile([10], [5, 2, 0], 0.5)).toBe(5);
  expect(quantile([10], [5, 2, 0], 0)).toBe(0);
  expect(quantile([10], [5, 2, 0], 1)).toBe(10);
});
