/**
 * The driver against a recorded setTimeout: what it plans is what an idle process pays, so the plans are the
 * thing to test, not the time that passes.
 */
import { afterEach, beforeEach, expect, jest, test } from 'bun:test';
import { FakeClock, systemClock } from './clock.ts';
import { startTimerDriver } from './timer-driver.ts';
import { TimerNode, TimerWheel } from './timer-wheel.ts';

interface Planned {
  readonly run: () => void;
  readonly delayMs: number;
  isCleared: boolean;
}

let planned: Planned[] = [];
const realSetTimeout = globalThis.setTimeout;
const realClearTimeout = globalThis.clearTimeout;

beforeEach(() => {
  planned = [];
  const fakeSet = (run: () => void, delayMs: number): Planned => {
    const entry = { run, delayMs, isCleared: false };
    planned.push(entry);
    return entry;
  };
  globalThis.setTimeout = fakeSet as unknown as typeof setTimeout;
  globalThis.clearTimeout = ((entry: Planned) => {
    entry.isCleared = true;
  }) as unknown as typeof clearTimeout;
});

afterEach(() => {
  globalThis.setTimeout = realSetTimeout;
  globalThis.clearTimeout = realClearTimeout;
});

const pending = (): number[] => planned.filter((entry) => !entry.isCleared).map((entry) => entry.delayMs);

function setup() {
  const clock = new FakeClock();
  const wheel = new TimerWheel(clock);
  return { clock, wheel, driver: startTimerDriver(wheel) };
}

test('an empty wheel plans no wake-up', () => {
  setup();
  expect(planned).toEqual([]);
});

test('arming wakes the driver, and only an earlier timer makes it plan anew', () => {
  const { wheel } = setup();
  wheel.schedule(100, () => {});
  wheel.schedule(200, () => {});
  wheel.schedule(100, () => {});
  expect(planned.length).toBe(1);
  wheel.schedule(40, () => {});
  expect(pending()).toEqual([40]);
});

test('re-arming one timer over and over, always later, plans once', () => {
  const { wheel } = setup();
  const idle = new TimerNode(() => {});
  for (let i = 0; i < 1000; i++) wheel.arm(idle, 500 + i);
  expect(planned.length).toBe(1);
});

test('after firing the last timer it sleeps, and wakes again for the next', () => {
  const { clock, wheel } = setup();
  let fired = 0;
  wheel.schedule(100, () => fired++);
  clock.advance(100);
  planned[0]!.run();
  expect([fired, planned.length]).toEqual([1, 1]);
  wheel.schedule(8, () => fired++);
  expect(planned.at(-1)!.delayMs).toBe(8);
});

test('a timer armed by a callback is planned for', () => {
  const { clock, wheel } = setup();
  wheel.schedule(100, () => wheel.schedule(20, () => {}));
  clock.advance(100);
  planned[0]!.run();
  expect(planned.map((entry) => entry.delayMs)).toEqual([100, 20]);
});

test('a timer armed while somebody else advances the wheel is planned for', () => {
  const { clock, wheel } = setup();
  wheel.schedule(8, () => wheel.schedule(20, () => {}));
  wheel.schedule(1000, () => {});
  clock.advance(8);
  wheel.advance();
  clock.advance(0);
  planned[0]!.run();
  expect(pending().at(-1)).toBe(20);
});

test('waking too early fires nothing and plans the rest', () => {
  const { clock, wheel } = setup();
  let fired = 0;
  wheel.schedule(100, () => fired++);
  clock.advance(90);
  planned[0]!.run();
  expect([fired, planned.at(-1)!.delayMs]).toEqual([0, 10]);
});

test('a delay longer than setTimeout takes is taken in parts', () => {
  const { wheel } = setup();
  wheel.schedule(2 ** 40, () => {});
  expect(planned[0]!.delayMs).toBe(2 ** 31 - 1);
});

test('stopped, it wakes no more', () => {
  const { wheel, driver } = setup();
  wheel.schedule(100, () => {});
  driver.stop();
  wheel.schedule(5, () => {});
  expect(pending()).toEqual([]);
});

test('an error of a callback leaves the driver running', () => {
  const clock = new FakeClock();
  const onError = jest.fn();
  const wheel = new TimerWheel(clock, 4, onError);
  startTimerDriver(wheel);
  wheel.schedule(4, () => {
    throw new Error('boom');
  });
  wheel.schedule(12, () => {});
  clock.advance(4);
  planned[0]!.run();
  expect(onError).toHaveBeenCalledTimes(1);
  expect(planned.at(-1)!.delayMs).toBe(8);
});

test('on the real clock timers fire in order', async () => {
  globalThis.setTimeout = realSetTimeout;
  globalThis.clearTimeout = realClearTimeout;
  const wheel = new TimerWheel(systemClock);
  const driver = startTimerDriver(wheel);
  const fired: number[] = [];
  await new Promise<void>((resolve) => {
    wheel.schedule(24, () => {
      fired.push(24);
      resolve();
    });
    wheel.schedule(8, () => fired.push(8));
  });
  driver.stop();
  expect(fired).toEqual([8, 24]);
});
