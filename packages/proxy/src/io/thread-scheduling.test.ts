import { readdirSync, readFileSync } from 'node:fs';
import { expect, test } from 'bun:test';
import { changeScheduling, SCHED_BATCH, schedulingOf } from './thread-scheduling.ts';

const hasTasks = process.platform === 'linux';

/** A thread of the runtime, which nothing here depends on. */
function anotherThread(): number {
  const tids = readdirSync('/proc/self/task').map(Number);
  return tids.find((tid) => tid !== process.pid) ?? process.pid;
}

test.skipIf(!hasTasks)('a thread is told apart by its id, and what is not changed stays', () => {
  const tid = anotherThread();
  const before = schedulingOf(tid);
  const own = schedulingOf(0);
  expect(changeScheduling(tid, { policy: SCHED_BATCH })).toBe(before !== null);
  expect(schedulingOf(tid)).toEqual(before === null ? null : { ...before, policy: SCHED_BATCH });
  expect(schedulingOf(0)).toEqual(own);
});

test.skipIf(!hasTasks)('a thread that is gone is no error', () => {
  // Beyond the largest id that the kernel gives.
  const gone = Number(readFileSync('/proc/sys/kernel/pid_max', 'latin1')) + 1;
  expect(schedulingOf(gone)).toBeNull();
  expect(changeScheduling(gone, { nice: 19 })).toBeFalse();
});
