import { expect, test } from 'bun:test';
import { FakeClock } from './clock.ts';
import { Drain } from './drain.ts';
import { TimerWheel } from './timer-wheel.ts';

function setup() {
  const clock = new FakeClock();
  const wheel = new TimerWheel(clock, 1);
  clock.attach(wheel);
  return { clock, wheel, drain: new Drain(wheel) };
}

test('with nothing in flight it ends at once', async () => {
  const { drain, wheel } = setup();
  expect(await drain.begin(1000)).toBe('empty');
  expect([drain.outcome, wheel.size]).toEqual(['empty', 0]);
});

test('it ends when the last holder lets go, holders added meanwhile included', async () => {
  const { drain, wheel } = setup();
  const releaseFirst = drain.hold();
  const ended = drain.begin(1000);
  const releaseSecond = drain.hold();
  releaseFirst();
  releaseFirst();
  expect([drain.inFlight, drain.outcome]).toEqual([1, undefined]);
  releaseSecond();
  expect(await ended).toBe('empty');
  expect(wheel.size).toBe(0);
});

test('it ends at the deadline whatever is in flight', async () => {
  const { drain, clock } = setup();
  const release = drain.hold();
  const ended = drain.begin(1000);
  clock.advance(999);
  expect(drain.outcome).toBeUndefined();
  clock.advance(1);
  expect(await ended).toBe('deadline');
  release();
  expect([drain.outcome, drain.inFlight]).toEqual(['deadline', 0]);
});

test('a second begin may hasten the end but not put it off', async () => {
  const { drain, clock } = setup();
  drain.enter();
  const ended = drain.begin(1000);
  expect(drain.begin(5000)).toBe(ended);
  void drain.begin(10);
  clock.advance(10);
  expect(await ended).toBe('deadline');
});

test('without a deadline it waits for the holders alone', async () => {
  const { drain, clock, wheel } = setup();
  drain.enter();
  const ended = drain.begin();
  clock.advance(1e9);
  expect([drain.outcome, wheel.size]).toEqual([undefined, 0]);
  drain.leave();
  expect(await ended).toBe('empty');
});

test('listeners hear of it once, latecomers at once, the unsubscribed never', () => {
  const { drain } = setup();
  const heard: string[] = [];
  drain.enter();
  drain.onBegin(() => heard.push('early'));
  drain.onBegin(() => heard.push('gone'))();
  void drain.begin(10);
  void drain.begin(5);
  drain.onBegin(() => heard.push('late'));
  expect(heard).toEqual(['early', 'late']);
});

test('a listener that lets go of the last holder ends the drain', async () => {
  const { drain } = setup();
  const release = drain.hold();
  drain.onBegin(release);
  expect(await drain.begin(1000)).toBe('empty');
});

test('leaving more often than entering is a broken invariant', () => {
  expect(() => setup().drain.leave()).toThrow(RangeError);
});

test('a listener that throws is reported and stops neither the others nor the drain', async () => {
  const errors: unknown[] = [];
  const drain = new Drain(setup().wheel, (error) => errors.push(error));
  let heard = 0;
  drain.onBegin(() => {
    throw new Error('boom');
  });
  drain.onBegin(() => heard++);
  expect(await drain.begin(1000)).toBe('empty');
  expect([heard, errors]).toEqual([1, [new Error('boom')]]);
});
