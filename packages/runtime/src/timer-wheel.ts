/**
 * Hierarchical timer wheel: arming and disarming are a few pointer writes, whatever the number of timers.
 *
 * Four levels of 256 slots; a slot of level k spans 256^k ticks. A timer lies at the lowest level whose
 * current block contains its due tick, so no level ever wraps, and the first occupied slot of the lowest
 * occupied level is always the next event. A slot of a higher level, when its time comes, is dealt out to
 * the levels below; what lies beyond all levels (198 days at 4 ms) waits in one far list. A bitmap of
 * occupied slots lets `advance` jump over any stretch of empty time. A heap was rejected: O(log n) per
 * re-arm is paid on every request, and most timers are disarmed, not fired.
 *
 * A timer never fires early, and at most one tick late after its due time (plus the driver's own delay).
 * Timers of one tick fire in the order they were armed.
 */
import type { Clock } from './clock.ts';

const levels = 4;
const slotBits = 8;
const slotsPerLevel = 1 << slotBits;
const wordsPerLevel = slotsPerLevel / 32;
const farSlot = levels * slotsPerLevel;
/** Ticks; absorbs the rounding of fractional milliseconds (1e-6 of 4 ms is 4 ns). */
const tickTolerance = 1e-6;

/** Ticks that one slot of each level spans: 1, 256, 65536, 16777216. */
const slotSpan = [1, 2 ** 8, 2 ** 16, 2 ** 24] as const;

/**
 * One timer. Make one per purpose and keep it: re-arming allocates nothing. `owner` is for the callback,
 * so that one function can serve all timers of a kind without a closure each.
 */
export class TimerNode {
  owner: unknown = undefined;
  /** @internal Neighbours in the slot's circular list; itself while disarmed. Only the wheel writes these. */
  next: TimerNode = this;
  /** @internal */
  prev: TimerNode = this;
  /** @internal Absolute tick at which it fires. */
  dueTick = 0;
  /** @internal Index of the slot for a slot's list head, -1 for a timer. */
  slot = -1;
  /** @internal The wheel it is armed on. */
  wheel: TimerWheel | undefined = undefined;
  readonly onFire: (node: TimerNode) => void;

  constructor(onFire: (node: TimerNode) => void) {
    this.onFire = onFire;
  }

  get isArmed(): boolean {
    return this.wheel !== undefined;
  }
}

export type TimerErrorHandler = (error: unknown, node: TimerNode) => void;

export class TimerWheel {
  readonly #clock: Clock;
  readonly #tickMs: number;
  readonly #originMs: number;
  readonly #onError: TimerErrorHandler;
  readonly #slots: TimerNode[] = [];
  readonly #occupied = new Uint32Array(levels * wordsPerLevel);
  /** First tick of the block that each level currently shows. */
  readonly #blockStart: number[] = [0, 0, 0, 0];
  #currentTick = 0;
  #size = 0;
  #isAdvancing = false;
  #wakeTick = -1;
  #wake: (() => void) | undefined;

  /** Ticks count from the moment of construction. `onError` receives what a callback throws. */
  constructor(clock: Clock, tickMs = 4, onError: TimerErrorHandler = throwLater) {
    if (!(tickMs > 0)) throw new RangeError(`tickMs must be positive, not ${tickMs}`);
    this.#clock = clock;
    this.#tickMs = tickMs;
    this.#originMs = clock.nowMs();
    this.#onError = onError;
    for (let slot = 0; slot <= farSlot; slot++) {
      const head = new TimerNode(ignore);
      head.slot = slot;
      this.#slots.push(head);
    }
  }

  /** Number of armed timers. */
  get size(): number {
    return this.#size;
  }

  get clock(): Clock {
    return this.#clock;
  }

  /** Arms, or arms anew, `node` to fire once after `delayMs`; a delay of 0 or less means the next tick. */
  arm(node: TimerNode, delayMs: number): void {
    if (delayMs !== delayMs) throw new RangeError('a timer delay must be a number');
    if (delayMs === Infinity) {
      this.disarm(node);
      return;
    }
    if (node.wheel === this) this.#unlink(node);
    else if (node.wheel !== undefined) node.wheel.disarm(node);
    const due = Math.ceil((this.#elapsedMs() + delayMs) / this.#tickMs - tickTolerance);
    node.dueTick = due > this.#currentTick ? due : this.#currentTick + 1;
    if (node.wheel === undefined) {
      node.wheel = this;
      this.#size++;
    }
    this.#link(node);
    // Invariant: outside `advance`, an attached driver wakes no later than the earliest due tick.
    if (node.dueTick < this.#wakeTick && !this.#isAdvancing) this.#wake?.();
  }

  disarm(node: TimerNode): void {
    if (node.wheel !== this) {
      node.wheel?.disarm(node);
      return;
    }
    node.wheel = undefined;
    this.#size--;
    this.#unlink(node);
  }

  /** Arms a fresh timer; for rare, one-off waits. */
  schedule(delayMs: number, fn: () => void): TimerNode {
    const node = new TimerNode(fn);
    this.arm(node, delayMs);
    return node;
  }

  /**
   * Fires everything due by now, in order of due tick. Callbacks may arm, disarm and call `advance` (which
   * then does nothing); what they arm fires in this call only if due before it began.
   */
  advance(): void {
    if (this.#isAdvancing) return;
    this.#isAdvancing = true;
    try {
      const nowTick = Math.floor(this.#elapsedMs() / this.#tickMs + tickTolerance);
      for (;;) {
        const tick = this.#nextEventTick();
        if (tick > nowTick) break;
        this.#moveTo(tick);
        this.#fireCurrentSlot();
      }
      if (nowTick > this.#currentTick) this.#moveTo(nowTick);
    } finally {
      this.#isAdvancing = false;
    }
    if (this.#wake !== undefined && this.#nextEventTick() < this.#wakeTick) this.#wake();
  }

  /**
   * Milliseconds until `advance` has something to do, 0 if it has already, Infinity if nothing is armed.
   * A far timer may need `advance` up to three times before it fires, once per level.
   */
  nextDelayMs(): number {
    if (this.#size === 0) return Infinity;
    return Math.max(0, this.#nextEventTick() * this.#tickMs - this.#elapsedMs());
  }

  /**
   * For the driver: `wake` is called when a timer is armed that is due before the driver's next wake-up,
   * which the driver states by `wakeInMs` (Infinity: asleep until something is armed).
   */
  setWaker(wake: (() => void) | undefined, wakeInMs: number): void {
    this.#wake = wake;
    this.#wakeTick =
      wakeInMs === Infinity
        ? Infinity
        : Math.ceil((this.#elapsedMs() + wakeInMs) / this.#tickMs - tickTolerance);
  }

  #elapsedMs(): number {
    return this.#clock.nowMs() - this.#originMs;
  }

  #fireCurrentSlot(): void {
    const head = this.#slots[this.#currentTick - this.#blockStart[0]!]!;
    // Invariant: a callback can only arm for a later tick, so this loop ends.
    while (head.next !== head) {
      const node = head.next;
      this.disarm(node);
      try {
        node.onFire(node);
      } catch (error) {
        this.#onError(error, node);
      }
    }
  }

  /** Tick of the next slot to fire or to deal out; Infinity when nothing is armed. */
  #nextEventTick(): number {
    for (let level = 0; level < levels; level++) {
      const start = this.#blockStart[level]!;
      const span = slotSpan[level]!;
      const from = Math.floor((this.#currentTick - start) / span);
      const slot = this.#firstOccupied(level, level === 0 ? from : from + 1);
      if (slot >= 0) return start + slot * span;
    }
    const far = this.#slots[farSlot]!;
    return far.next === far ? Infinity : this.#blockStart[3]! + slotSpan[3] * slotsPerLevel;
  }

  #firstOccupied(level: number, from: number): number {
    if (from >= slotsPerLevel) return -1;
    const base = level * wordsPerLevel;
    let word = from >>> 5;
    let bits = this.#occupied[base + word]! & (-1 << (from & 31));
    while (bits === 0) {
      if (++word === wordsPerLevel) return -1;
      bits = this.#occupied[base + word]!;
    }
    return (word << 5) + 31 - Math.clz32(bits & -bits);
  }

  /** Makes `tick` current and deals out every higher slot that begins at it. No event lies between. */
  #moveTo(tick: number): void {
    this.#currentTick = tick;
    const topSpan = slotSpan[3] * slotsPerLevel;
    const crossedTop = tick >= this.#blockStart[3]! + topSpan;
    for (let level = 0; level < levels; level++) {
      const span = slotSpan[level]! * slotsPerLevel;
      if (tick < this.#blockStart[level]! + span) break;
      this.#blockStart[level] = tick - (tick % span);
    }
    if (crossedTop) this.#dealOut(farSlot);
    for (let level = levels - 1; level > 0; level--) {
      const span = slotSpan[level]!;
      if (tick % span === 0) {
        this.#dealOut(level * slotsPerLevel + (tick - this.#blockStart[level]!) / span);
      }
    }
  }

  /** Links every timer of a slot anew, in order; all of them land lower (or again in the far list). */
  #dealOut(slot: number): void {
    const head = this.#slots[slot]!;
    if (head.next === head) return;
    let node = head.next;
    const last = head.prev;
    head.next = head;
    head.prev = head;
    this.#clearOccupied(slot);
    for (;;) {
      const next = node.next;
      this.#link(node);
      if (node === last) return;
      node = next;
    }
  }

  #link(node: TimerNode): void {
    const slot = this.#slotOf(node.dueTick);
    const head = this.#slots[slot]!;
    const last = head.prev;
    node.prev = last;
    node.next = head;
    last.next = node;
    head.prev = node;
    if (slot < farSlot) this.#occupied[slot >>> 5]! |= 1 << (slot & 31);
  }

  #unlink(node: TimerNode): void {
    const { prev, next } = node;
    prev.next = next;
    next.prev = prev;
    node.next = node;
    node.prev = node;
    if (prev === next && prev.slot >= 0) this.#clearOccupied(prev.slot);
  }

  #clearOccupied(slot: number): void {
    if (slot < farSlot) this.#occupied[slot >>> 5]! &= ~(1 << (slot & 31));
  }

  #slotOf(dueTick: number): number {
    for (let level = 0; level < levels; level++) {
      const index = Math.floor((dueTick - this.#blockStart[level]!) / slotSpan[level]!);
      if (index < slotsPerLevel) return level * slotsPerLevel + index;
    }
    return farSlot;
  }
}

function ignore(): void {}

/** Without a handler an error becomes an uncaught exception, so that it is seen, but after the others ran. */
function throwLater(error: unknown): void {
  queueMicrotask(() => {
    throw error;
  });
}
