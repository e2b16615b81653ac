/**
 * The objects that hot code holds: one per series, bound once, written with an addition.
 *
 *   live ──evicted (unused for the family's TTL)──► dormant ──next write──► live, as a new series
 *   live or dormant ──removed──► detached (writes go nowhere, for ever)
 *
 * A holder of a child notices none of this, so it never has to look a child up again.
 */
import { explicitBucket, logLinearBucket, quantile } from './buckets.ts';
import type { Boundaries } from './series.ts';

/** @internal What a child asks of its family. */
export interface ChildHome {
  /** Gives a dormant child slots again (its own, or the overflow child's). */
  revive(child: Child): Float64Array;
}

type State = 'live' | 'dormant' | 'detached';

abstract class Child {
  readonly #home: ChildHome;
  #slots: Float64Array;
  #state: State = 'live';

  /** @internal */
  constructor(home: ChildHome, slots: Float64Array) {
    this.#home = home;
    this.#slots = slots;
  }

  /** False once the series was removed for good: writes change nothing any more. */
  get isDetached(): boolean {
    return this.#state === 'detached';
  }

  /** @internal The slots to write to; a dormant child comes back to life here. */
  protected get slots(): Float64Array {
    return this.#state === 'dormant' ? this.#revive() : this.#slots;
  }

  /** @internal The slots to read from, without reviving. */
  get current(): Float64Array {
    return this.#slots;
  }

  /** @internal Only the family calls it. The slots go back to the store, so it must not keep them. */
  release(state: 'dormant' | 'detached'): void {
    this.#state = state;
    this.#slots = new Float64Array(this.#slots.length);
  }

  #revive(): Float64Array {
    this.#slots = this.#home.revive(this);
    this.#state = 'live';
    return this.#slots;
  }
}

export type { Child };

export class Counter extends Child {
  /** Adds `n`, which is not negative. */
  inc(n = 1): void {
    const slots = this.slots;
    slots[0] = slots[0]! + n;
  }

  get value(): number {
    return this.current[0]!;
  }
}

export class Gauge extends Child {
  set(value: number): void {
    this.slots[0] = value;
  }

  /** Adds `n`, which may be negative. */
  add(n: number): void {
    const slots = this.slots;
    slots[0] = slots[0]! + n;
  }

  get value(): number {
    return this.current[0]!;
  }
}

export class Histogram extends Child {
  readonly boundaries: Boundaries;

  /** @internal */
  constructor(home: ChildHome, slots: Float64Array, boundaries: Boundaries) {
    super(home, slots);
    this.boundaries = boundaries;
  }

  /** Counts one value; NaN is ignored, since it would poison the sum. */
  observe(value: number): void {
    if (value !== value) return;
    const { boundaries } = this;
    const slots = this.slots;
    const bucket = boundaries === 'log-linear' ? logLinearBucket(value) : explicitBucket(boundaries, value);
    slots[0] = slots[0]! + value;
    slots[bucket + 1] = slots[bucket + 1]! + 1;
  }

  get count(): number {
    const slots = this.current;
    let total = 0;
    for (let i = 1; i < slots.length; i++) total += slots[i]!;
    return total;
  }

  get sum(): number {
    return this.current[0]!;
  }

  /** The value below which the share `q` of observations lies; NaN when there is none. */
  quantile(q: number): number {
    return quantile(this.boundaries, this.current, q);
  }
}
