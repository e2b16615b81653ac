import { expect, test } from 'bun:test';
import { FakeClock, systemClock } from './clock.ts';
import { TimerWheel } from './timer-wheel.ts';

test('a fake clock stands still until it is moved', () => {
  const clock = new FakeClock(5, 1000);
  expect([clock.nowMs(), clock.wallMs()]).toEqual([5, 1000]);
  clock.advance(2.5);
  expect([clock.nowMs(), clock.wallMs()]).toEqual([7.5, 1002.5]);
});

test('a calendar jump passes no time', () => {
  const clock = new FakeClock();
  clock.setWallMs(42);
  expect([clock.nowMs(), clock.wallMs()]).toEqual([0, 42]);
});

test('a clock does not move backwards', () => {
  expect(() => new FakeClock().advance(-1)).toThrow(RangeError);
  expect(() => new FakeClock().advance(Number.NaN)).toThrow(RangeError);
});

test('timers of several wheels fire in one order, each at its own time', () => {
  const clock = new FakeClock();
  const coarse = new TimerWheel(clock, 10);
  const fine = new TimerWheel(clock, 1);
  clock.attach(coarse);
  clock.attach(fine);
  const fired: string[] = [];
  coarse.schedule(20, () => fired.push(`coarse ${clock.nowMs()}`));
  fine.schedule(5, () => fired.push(`fine ${clock.nowMs()}`));
  fine.schedule(21, () => fired.push(`fine ${clock.nowMs()}`));
  coarse.schedule(5000, () => fired.push('never'));
  clock.advance(100);
  expect(fired).toEqual(['fine 5', 'coarse 20', 'fine 21']);
  expect(clock.nowMs()).toBe(100);
});

test('the system clock is monotonic and knows the calendar', () => {
  const before = systemClock.nowMs();
  expect(systemClock.nowMs()).toBeGreaterThanOrEqual(before);
  expect(systemClock.wallMs()).toBeGreaterThan(Date.UTC(2024, 0, 1));
});
