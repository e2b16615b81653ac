import { expect, test } from 'bun:test';
import { FakeClock, TimerWheel } from '@sluice/runtime';
import { HeapTrim } from './heap-trim.ts';

test('trims once, when a large configuration has been quiet for 2 s, and never after small ones', () => {
  const clock = new FakeClock();
  const timers = new TimerWheel(clock);
  let trims = 0;
  const trim = new HeapTrim(timers, () => trims++);
  const pass = (ms: number): void => {
    clock.advance(ms);
    timers.advance();
  };
  trim.applied(99);
  pass(10_000);
  expect(trims).toBe(0);
  trim.applied(1);
  pass(10_000);
  expect(trims).toBe(0);
  trim.applied(99);
  pass(1_500);
  trim.applied(1_000);
  pass(1_500);
  expect(trims).toBe(0);
  pass(600);
  expect(trims).toBe(1);
  trim.applied(5);
  pass(10_000);
  expect(trims).toBe(1);
});
