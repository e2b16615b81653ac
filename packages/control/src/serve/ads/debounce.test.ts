import { expect, test } from 'bun:test';
import { fakeTime } from '@sluice/testkit';
import { Debounce } from './debounce.ts';

function setup(): { push: Debounce; runs: number[]; advance(ms: number): void } {
  const { wheel, clock, advance } = fakeTime();
  const startMs = clock.nowMs();
  const runs: number[] = [];
  const push = new Debounce(wheel, 50, () => runs.push(clock.nowMs() - startMs));
  return { push, runs, advance };
}

test('a first change after quiet goes at once', () => {
  const { push, runs, advance } = setup();
  advance(1000);
  push.trigger();
  expect(runs).toEqual([1000]);
});

test('a burst costs two pushes', () => {
  const { push, runs, advance } = setup();
  for (let index = 0; index < 40; index++) {
    push.trigger();
    advance(1);
  }
  advance(500);
  expect(runs).toEqual([0, 50]);
});

test('steady changes go once per window, and none is forgotten', () => {
  const { push, runs, advance } = setup();
  for (let index = 0; index < 20; index++) {
    push.trigger();
    advance(10);
  }
  advance(500);
  expect(runs).toEqual([0, 50, 100, 150, 200]);
});

test('the change after a window that stayed quiet goes at once again', () => {
  const { push, runs, advance } = setup();
  push.trigger();
  advance(51);
  push.trigger();
  expect(runs).toEqual([0, 51]);
});

test('a change made by the push itself waits for the window', () => {
  const { wheel, advance } = fakeTime();
  let runs = 0;
  const push: Debounce = new Debounce(wheel, 50, () => {
    runs += 1;
    if (runs === 1) push.trigger();
  });
  push.trigger();
  expect(runs).toBe(1);
  advance(51);
  expect(runs).toBe(2);
});

test('stopped, it pushes no more', () => {
  const { push, runs, advance } = setup();
  push.trigger();
  push.trigger();
  push.stop();
  advance(500);
  expect(runs).toEqual([0]);
});
