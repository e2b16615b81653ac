import { expect, test } from 'bun:test';
import { sidecarFlags } from './sidecar-flags.ts';

const settings = { concurrency: 3, drainMs: 45_000, terminationDrainMs: 7000 };

test('worker loops, the drain of listeners and the drain at the end are flags of their own', () => {
  expect(sidecarFlags(settings, 8).join(' ')).toBe(
    '--concurrency 3 --drain-time-s 45 --parent-shutdown-time-s 7',
  );
});

test('a concurrency of 0 is one worker loop per core', () => {
  expect(sidecarFlags({ ...settings, concurrency: 0 }, 8).slice(0, 2)).toEqual(['--concurrency', '8']);
});

test('parts of a second are rounded up: nothing drains for less than was asked', () => {
  expect(sidecarFlags({ ...settings, terminationDrainMs: 2500 }, 1).at(-1)).toBe('3');
});
