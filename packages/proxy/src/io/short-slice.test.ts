import { expect, test } from 'bun:test';
import { askForShortSlice } from './short-slice.ts';
import { schedulingOf } from './thread-scheduling.ts';

test('the calling thread gets turns of 0.1 ms where the system knows of them, and nothing else changes', () => {
  const before = schedulingOf(0);
  const hasAsked = askForShortSlice();
  const after = schedulingOf(0);
  expect(hasAsked).toBe(before !== null);
  expect(after?.policy).toBe(before?.policy);
  expect(after?.nice).toBe(before?.nice);
  // Kernels before 6.12 have no turns of their own for ordinary threads and go on saying 0.
  if (before !== null && before.sliceNs > 0) expect(after?.sliceNs).toBe(100_000);
  expect(after?.isResetOnFork).toBe(before === null ? undefined : true);
});
