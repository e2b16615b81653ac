import { expect, test } from 'bun:test';
import { newLimitsMemory, reclaim, sharedLimit } from './shared-limits.ts';

test('what is taken beyond the limit counts, is given back, and is taken from a worker that dies', () => {
  const total = newLimitsMemory();
  const [one, two] = [newLimitsMemory(), newLimitsMemory()].map((share) => ({
    share,
    limit: sharedLimit({ total, share }, 0, 1),
  }));
  expect(one!.limit.tryAcquire()).toBe(true);
  expect(two!.limit.tryAcquire()).toBe(false);
  two!.limit.acquire();
  expect(one!.limit.current).toBe(2);
  one!.limit.release();
  expect(one!.limit.tryAcquire()).toBe(false);
  two!.limit.acquire();
  reclaim(total, two!.share, 1);
  expect(one!.limit.current).toBe(0);
});
