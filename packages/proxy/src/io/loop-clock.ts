/**
 * The clock as one event-loop callback sees it: read once when the callback begins, the same until it ends.
 * A request takes some ten readings within microseconds; each costs as much as parsing a header.
 */
import type { Clock } from '@sluice/runtime';

export class LoopClock implements Clock {
  readonly #clock: Clock;
  /** Negative between callbacks. */
  #heldMs = -1;

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  nowMs(): number {
    return this.#heldMs >= 0 ? this.#heldMs : this.#clock.nowMs();
  }
  wallMs(): number {
    return this.#clock.wallMs();
  }

  hold(): void {
    this.#heldMs = this.#clock.nowMs();
  }
  letGo(): void {
    this.#heldMs = -1;
  }
}
