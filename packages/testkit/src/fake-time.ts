/** A fake clock with its wheel attached, as most unit tests want them. */
import { FakeClock, TimerWheel } from '@sluice/runtime';

export interface FakeTime {
  readonly clock: FakeClock;
  readonly wheel: TimerWheel;
  /** Moves the clock and fires what falls due; an error of a callback is thrown here. */
  advance(ms: number): void;
}

/** Ticks of 1 ms unless another is given, so that a timer fires exactly when its time has come. */
export function fakeTime(tickMs = 1): FakeTime {
  const errors: unknown[] = [];
  const clock = new FakeClock();
  const wheel = new TimerWheel(clock, tickMs, (error) => errors.push(error));
  clock.attach(wheel);
  return {
    clock,
    wheel,
    advance(ms) {
      clock.advance(ms);
      if (errors.length > 0) throw new AggregateError(errors.splice(0), 'timer callbacks failed');
    },
  };
}
