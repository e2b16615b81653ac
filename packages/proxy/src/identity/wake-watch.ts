/**
 * Notices that the machine slept, or that its clock was set: wall time then moved apart from the clock that
 * timers run by, which stands still in sleep. Timers armed before fire too late by as much.
 */
import { TimerNode, type TimerWheel } from '@sluice/runtime';

const intervalMs = 5_000;
/** Less is the drift of a corrected clock. */
const toleranceMs = 2_000;

export class WakeWatch {
  readonly #timers: TimerWheel;
  readonly #onJump: (jumpMs: number) => void;
  readonly #timer: TimerNode;
  #offsetMs: number;

  /** `onJump` gets how far the wall clock jumped; negative: it was set back. */
  constructor(timers: TimerWheel, onJump: (jumpMs: number) => void) {
    this.#timers = timers;
    this.#onJump = onJump;
    this.#offsetMs = this.#offset();
    this.#timer = new TimerNode(() => this.#look());
  }

  start(): void {
    this.#timers.arm(this.#timer, intervalMs);
  }

  stop(): void {
    this.#timers.disarm(this.#timer);
  }

  #look(): void {
    const offsetMs = this.#offset();
    const jumpMs = offsetMs - this.#offsetMs;
    this.#offsetMs = offsetMs;
    this.start();
    if (Math.abs(jumpMs) > toleranceMs) this.#onJump(jumpMs);
  }

  #offset(): number {
    return this.#timers.clock.wallMs() - this.#timers.clock.nowMs();
  }
}
