/**
 * A timeout that is moved far more often than it fires.
 *
 * Each request sets and clears several timeouts. Moving a timer on the wheel each time would cost more
 * than parsing the request; here setting is two stores, and the wheel is touched only when the new time is
 * earlier than the armed one. When the wheel fires too early, the timer is armed for what remains.
 */
import { TimerNode, type TimerWheel } from '@sluice/runtime';

export class Deadline {
  /** Monotonic ms; Infinity = none. */
  #dueMs = Infinity;
  #armedMs = Infinity;
  readonly #node: TimerNode;
  readonly #wheel: TimerWheel;
  readonly #owner: unknown;
  readonly #onDue: (owner: unknown) => void;

  /** `onDue` is shared by all deadlines of a kind; it gets the owner. */
  constructor(wheel: TimerWheel, owner: unknown, onDue: (owner: unknown) => void) {
    this.#wheel = wheel;
    this.#owner = owner;
    this.#onDue = onDue;
    this.#node = new TimerNode(onFire);
    this.#node.owner = this;
  }

  get isSet(): boolean {
    return this.#dueMs !== Infinity;
  }

  /** `nowMs` is the caller's reading of the same clock, so that one reading serves many deadlines. */
  setIn(delayMs: number, nowMs: number): void {
    const dueMs = nowMs + delayMs;
    this.#dueMs = dueMs;
    if (dueMs < this.#armedMs) {
      this.#armedMs = dueMs;
      this.#wheel.arm(this.#node, delayMs);
    }
  }

  clear(): void {
    this.#dueMs = Infinity;
  }

  /** Clears and takes the timer off the wheel: at the end of the owner's life. */
  dispose(): void {
    this.#dueMs = Infinity;
    this.#armedMs = Infinity;
    this.#wheel.disarm(this.#node);
  }

  fire(): void {
    this.#armedMs = Infinity;
    const dueMs = this.#dueMs;
    if (dueMs === Infinity) return;
    const remainingMs = dueMs - this.#wheel.clock.nowMs();
    if (remainingMs > 0) {
      this.#armedMs = dueMs;
      this.#wheel.arm(this.#node, remainingMs);
      return;
    }
    this.#dueMs = Infinity;
    this.#onDue(this.#owner);
  }
}

function onFire(node: TimerNode): void {
  (node.owner as Deadline).fire();
}
