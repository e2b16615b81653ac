import { describe, expect, test } from 'bun:test';
import * as fc from 'fast-check';
import { FakeClock } from './clock.ts';
import { createRandom } from './random.ts';
import { TimerNode, TimerWheel } from './timer-wheel.ts';

const dayMs = 86_400_000;

function setup(tickMs = 1) {
  const clock = new FakeClock(1234.5);
  const errors: unknown[] = [];
  const wheel = new TimerWheel(clock, tickMs, (error) => errors.push(error));
  return { clock, wheel, errors };
}

describe('against a sorted list', () => {
  interface ModelTimer {
    readonly index: number;
    readonly dueTick: number;
    readonly order: number;
  }
  const delay = fc.oneof(
    fc.integer({ min: 0, max: 300 }),
    fc.integer({ min: 0, max: 70_000 }),
    fc.integer({ min: 0, max: 20_000_000 }),
    fc.integer({ min: 0, max: 3 * 2 ** 32 }),
  );
  const action = fc.oneof(
    fc.record({ kind: fc.constant('arm' as const), index: fc.nat(19), ms: delay }),
    fc.record({ kind: fc.constant('disarm' as const), index: fc.nat(19), ms: fc.constant(0) }),
    fc.record({ kind: fc.constant('advance' as const), index: fc.constant(0), ms: delay }),
  );

  test('fires the same timers in the same order, whatever is armed, disarmed and skipped', () => {
    fc.assert(
      fc.property(fc.array(action, { maxLength: 60 }), fc.constantFrom(1, 4), (actions, tickMs) => {
        const { clock, wheel, errors } = setup(tickMs);
        const fired: number[] = [];
        const nodes = Array.from({ length: 20 }, (_, index) => {
          const node = new TimerNode(({ owner }) => fired.push(owner as number));
          node.owner = index;
          return node;
        });
        let model: ModelTimer[] = [];
        let nowTick = 0;
        let elapsedMs = 0;
        let order = 0;
        for (const { kind, index, ms } of actions) {
          if (kind === 'advance') {
            elapsedMs += ms;
            nowTick = Math.floor(elapsedMs / tickMs);
            clock.advance(ms);
            fired.length = 0;
            wheel.advance();
            const due = model.filter((timer) => timer.dueTick <= nowTick);
            due.sort((a, b) => a.dueTick - b.dueTick || a.order - b.order);
            model = model.filter((timer) => timer.dueTick > nowTick);
            expect(fired).toEqual(due.map((timer) => timer.index));
          } else {
            model = model.filter((timer) => timer.index !== index);
            if (kind === 'arm') {
              const dueTick = Math.max(Math.ceil((elapsedMs + ms) / tickMs), nowTick + 1);
              model.push({ index, dueTick, order: order++ });
              wheel.arm(nodes[index]!, ms);
            } else {
              wheel.disarm(nodes[index]!);
            }
          }
          expect(wheel.size).toBe(model.length);
          expect(wheel.nextDelayMs() <= nextOf(model, elapsedMs, tickMs)).toBe(true);
          expect(nodes.map((node) => node.isArmed)).toEqual(
            nodes.map((_, i) => model.some((timer) => timer.index === i)),
          );
        }
        expect(errors).toEqual([]);
      }),
      { numRuns: 300 },
    );
  });

  function nextOf(model: readonly ModelTimer[], elapsedMs: number, tickMs: number): number {
    return Math.min(Infinity, ...model.map((timer) => timer.dueTick * tickMs - elapsedMs));
  }
});

test('100,000 timers all fire, none early, in order', () => {
  const { clock, wheel } = setup(4);
  clock.attach(wheel);
  const random = createRandom(1);
  const startMs = clock.nowMs();
  let fired = 0;
  let early = 0;
  let late = 0;
  let outOfOrder = 0;
  let lastTick = 0;
  for (let i = 0; i < 100_000; i++) {
    const delayMs = random.next() * 600_000;
    const node = new TimerNode((self) => {
      fired++;
      const elapsedMs = clock.nowMs() - startMs;
      if (elapsedMs < delayMs) early++;
      if (elapsedMs > delayMs + 4) late++;
      if (self.dueTick < lastTick) outOfOrder++;
      lastTick = self.dueTick;
    });
    wheel.arm(node, delayMs);
  }
  expect(wheel.size).toBe(100_000);
  clock.advance(600_004);
  expect({ fired, early, late, outOfOrder, left: wheel.size }).toEqual({
    fired: 100_000,
    early: 0,
    late: 0,
    outOfOrder: 0,
    left: 0,
  });
});

test('100,000 timers can be re-armed and disarmed without firing', () => {
  const { clock, wheel } = setup(4);
  let fired = 0;
  const nodes = Array.from({ length: 100_000 }, () => new TimerNode(() => fired++));
  for (const [i, node] of nodes.entries()) wheel.arm(node, i);
  for (const [i, node] of nodes.entries()) wheel.arm(node, 200_000 + i);
  clock.advance(150_000);
  wheel.advance();
  expect([fired, wheel.size]).toEqual([0, 100_000]);
  for (const node of nodes) wheel.disarm(node);
  expect([wheel.size, wheel.nextDelayMs()]).toEqual([0, Infinity]);
});

test('far timers of many levels fire at their time', () => {
  const { clock, wheel } = setup(4);
  clock.attach(wheel);
  const startMs = clock.nowMs();
  const fired: number[] = [];
  const delays = [1, 200, 300, 500, 1000].map((days) => days * dayMs);
  for (const delayMs of [...delays].reverse()) {
    wheel.schedule(delayMs, () => fired.push(clock.nowMs() - startMs));
  }
  clock.advance(1000 * dayMs);
  expect(fired).toEqual(delays);
});

describe('callbacks', () => {
  test('may re-arm themselves for ever without holding up advance', () => {
    const { clock, wheel } = setup();
    clock.attach(wheel);
    let fired = 0;
    const node = new TimerNode((self) => {
      fired++;
      wheel.arm(self, 0);
    });
    wheel.arm(node, 0);
    clock.advance(10);
    expect(fired).toBe(10);
  });

  test('a late advance fires a self-re-arming timer at most twice', () => {
    const { clock, wheel } = setup();
    let fired = 0;
    const node = new TimerNode((self) => {
      fired++;
      wheel.arm(self, 0);
    });
    wheel.arm(node, 0);
    clock.advance(1000);
    wheel.advance();
    expect(fired).toBeLessThanOrEqual(2);
    expect(node.isArmed).toBe(true);
  });

  test('may disarm a timer of the same tick', () => {
    const { clock, wheel } = setup();
    const fired: string[] = [];
    const second = new TimerNode(() => fired.push('second'));
    wheel.schedule(5, () => {
      fired.push('first');
      wheel.disarm(second);
    });
    wheel.arm(second, 5);
    clock.advance(5);
    wheel.advance();
    expect([fired, wheel.size]).toEqual([['first'], 0]);
  });

  test('may call advance, which then does nothing', () => {
    const { clock, wheel } = setup();
    const fired: string[] = [];
    wheel.schedule(5, () => {
      wheel.advance();
      fired.push('outer');
    });
    wheel.schedule(5, () => fired.push('inner'));
    clock.advance(5);
    wheel.advance();
    expect(fired).toEqual(['outer', 'inner']);
  });

  test('one that throws does not stop the others and is reported with its node', () => {
    const clock = new FakeClock();
    const seen: unknown[] = [];
    const wheel = new TimerWheel(clock, 1, (error, node) => seen.push(error, node));
    const failure = new Error('boom');
    const node = wheel.schedule(1, () => {
      throw failure;
    });
    let fired = 0;
    wheel.schedule(1, () => fired++);
    clock.advance(1);
    wheel.advance();
    expect(seen).toEqual([failure, node]);
    expect(fired).toBe(1);
  });
});

test('a timer never fires before its time, though ticks are coarser', () => {
  const { clock, wheel } = setup(4);
  let fired = 0;
  wheel.schedule(5, () => fired++);
  clock.advance(5);
  wheel.advance();
  expect(fired).toBe(0);
  clock.advance(3);
  wheel.advance();
  expect(fired).toBe(1);
});

test('a timer armed on another wheel moves there', () => {
  const clock = new FakeClock();
  const [a, b] = [new TimerWheel(clock), new TimerWheel(clock)];
  const node = new TimerNode(() => {});
  a.arm(node, 10);
  b.arm(node, 10);
  expect([a.size, b.size]).toEqual([0, 1]);
  a.disarm(node);
  expect([b.size, node.isArmed]).toEqual([0, false]);
});

test('an infinite delay means never, and no number is refused', () => {
  const { wheel } = setup();
  const node = wheel.schedule(5, () => {});
  wheel.arm(node, Infinity);
  expect([node.isArmed, wheel.size]).toEqual([false, 0]);
  expect(() => wheel.arm(node, Number.NaN)).toThrow(RangeError);
});
