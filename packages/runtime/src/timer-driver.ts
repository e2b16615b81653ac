/**
 * Drives a timer wheel by `setTimeout`, and only when there is something to fire: an empty wheel costs no
 * wake-up at all, and arming a timer later than the pending wake-up costs none either. A disarmed timer's
 * wake-up is left to happen (once), since cancelling on every disarm would cost more than it saves.
 */
import type { TimerWheel } from './timer-wheel.ts';

export interface TimerDriver {
  stop(): void;
}

export interface TimerDriverOptions {
  /** Let the process end although timers are armed. Default false. */
  readonly unref?: boolean;
}

/** Longest delay that setTimeout takes (2^31 - 1 ms, 24.8 days). */
const maxDelayMs = 2 ** 31 - 1;

export function startTimerDriver(wheel: TimerWheel, options: TimerDriverOptions = {}): TimerDriver {
  let timeout: ReturnType<typeof setTimeout> | undefined;

  const plan = (): void => {
    if (timeout !== undefined) clearTimeout(timeout);
    timeout = undefined;
    const delayMs = wheel.nextDelayMs();
    wheel.setWaker(plan, delayMs);
    if (delayMs === Infinity) return;
    timeout = setTimeout(run, Math.min(Math.ceil(delayMs), maxDelayMs));
    if (options.unref === true) timeout.unref();
  };

  const run = (): void => {
    timeout = undefined;
    try {
      wheel.advance();
    } finally {
      plan();
    }
  };

  plan();
  return {
    stop() {
      wheel.setWaker(undefined, Infinity);
      if (timeout !== undefined) clearTimeout(timeout);
      timeout = undefined;
    },
  };
}
