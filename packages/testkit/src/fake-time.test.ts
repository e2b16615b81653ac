import { expect, test } from 'bun:test';
import { fakeTime } from './fake-time.ts';

test('timers fire exactly when their time has come', () => {
  const { clock, wheel, advance } = fakeTime();
  const fired: number[] = [];
  wheel.schedule(10, () => fired.push(clock.nowMs()));
  advance(9);
  expect(fired).toEqual([]);
  advance(1);
  expect(fired).toEqual([10]);
});

test('an error of a callback reaches the test', () => {
  const { wheel, advance } = fakeTime();
  wheel.schedule(1, () => {
    throw new Error('boom');
  });
  expect(() => advance(1)).toThrow('timer callbacks failed');
});
