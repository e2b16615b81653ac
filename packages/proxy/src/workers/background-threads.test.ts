import { readdirSync, readFileSync } from 'node:fs';
import { expect, test } from 'bun:test';
import { SCHED_BATCH, schedulingOf } from '../io/thread-scheduling.ts';
import { BackgroundThreads, type ThreadTable } from './background-threads.ts';

function fakeTable(names: Map<number, string>) {
  const lowered: number[] = [];
  const asked: number[] = [];
  const table: ThreadTable = {
    tids: () => [...names.keys()],
    nameOf: (tid) => {
      asked.push(tid);
      return names.get(tid) ?? '';
    },
    lower: (tid) => void lowered.push(tid),
  };
  return { table, lowered, asked };
}

test('compilers and the returner of memory are lowered once; loops, main thread and collectors never', () => {
  const names = new Map([
    [1, 'bun'],
    [2, 'JITWorker'],
    [3, 'loop0'],
    [4, 'mi-scavenger'],
    [5, 'HeapHelper'],
  ]);
  const { table, lowered } = fakeTable(names);
  const threads = new BackgroundThreads(table);
  threads.lower();
  threads.lower();
  expect(lowered).toEqual([2, 4]);
});

test('a thread that gets its name later is found, and one that takes the id of a thread that ended', () => {
  const names = new Map([[7, 'loop0']]);
  const { table, lowered } = fakeTable(names);
  const threads = new BackgroundThreads(table);
  threads.lower();
  names.set(7, 'JITWorker');
  threads.lower();
  expect(lowered).toEqual([7]);
  names.delete(7);
  threads.lower();
  names.set(7, 'JITWorker');
  threads.lower();
  expect(lowered).toEqual([7, 7]);
});

test.skipIf(process.platform !== 'linux')(
  'the compilers of this process stand back, its main thread does not',
  () => {
    const own = schedulingOf(process.pid);
    new BackgroundThreads().lower();
    const compilers = readdirSync('/proc/self/task')
      .map(Number)
      .filter((tid) => readFileSync(`/proc/self/task/${tid}/comm`, 'latin1').trim() === 'JITWorker');
    for (const tid of compilers) {
      const scheduling = schedulingOf(tid);
      if (own === null) expect(scheduling).toBeNull();
      else expect([scheduling?.policy, scheduling?.nice]).toEqual([SCHED_BATCH, Math.max(own.nice, 10)]);
    }
    expect(schedulingOf(process.pid)).toEqual(own);
  },
);
