/**
 * Time as a dependency. Nothing in the mesh reads the machine's clock except through `Clock`, so that
 * every timeout, lease and backoff can be tested by moving a `FakeClock`.
 *
 * `nowMs` is monotonic and only good for differences (its zero is arbitrary, per thread); `wallMs` is the
 * calendar and may jump, so it is for showing and storing, never for measuring.
 */

export interface Clock {
  /** Monotonic milliseconds with a fraction; comparable only within one thread. */
  nowMs(): number;
  /** Milliseconds since the Unix epoch; may jump either way. */
  wallMs(): number;
}

export const systemClock: Clock = {
  nowMs: () => performance.now(),
  wallMs: () => Date.now(),
};

/** What a FakeClock needs of a timer wheel: when something is due, and the order to fire it. */
export interface Advanceable {
  advance(): void;
  nextDelayMs(): number;
}

const fakeEpochMs = Date.UTC(2026, 0, 1);

/**
 * A clock that stands still until `advance` moves it. Wheels attached to it fire on the way, each timer
 * with the clock standing at its own due time, in the order of due times over all attached wheels.
 */
export class FakeClock implements Clock {
  #nowMs: number;
  #wallMs: number;
  readonly #wheels: Advanceable[] = [];

  constructor(startMs = 0, wallStartMs = fakeEpochMs) {
    this.#nowMs = startMs;
    this.#wallMs = wallStartMs;
  }

  nowMs(): number {
    return this.#nowMs;
  }

  wallMs(): number {
    return this.#wallMs;
  }

  /** From now on `advance` also drives this wheel. */
  attach(wheel: Advanceable): void {
    this.#wheels.push(wheel);
  }

  /** Moves both clocks forward by `ms`, firing what falls due in attached wheels. */
  advance(ms: number): void {
    if (!(ms >= 0)) throw new RangeError(`a clock only moves forward, not by ${ms} ms`);
    const targetMs = this.#nowMs + ms;
    for (;;) {
      const dueMs = this.#nowMs + this.#nextDelayMs();
      if (!(dueMs <= targetMs)) break;
      this.#moveTo(dueMs);
    }
    this.#moveTo(targetMs);
  }

  /** Sets the calendar without any time passing: a clock correction, or a machine waking up. */
  setWallMs(wallMs: number): void {
    this.#wallMs = wallMs;
  }

  #moveTo(nowMs: number): void {
    this.#wallMs += nowMs - this.#nowMs;
    this.#nowMs = nowMs;
    for (const wheel of this.#wheels) wheel.advance();
  }

  #nextDelayMs(): number {
    let nearestMs = Infinity;
    for (const wheel of this.#wheels) nearestMs = Math.min(nearestMs, wheel.nextDelayMs());
    return nearestMs;
  }
}
