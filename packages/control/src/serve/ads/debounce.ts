/**
 * Collects changes into pushes: the first after quiet goes at once, those that follow within the window go
 * together at its end, so that a burst costs two pushes and a single edit waits for nothing (design §2).
 */
import { TimerNode } from '@sluice/runtime';
import type { TimerWheel } from '@sluice/runtime';

export class Debounce {
  readonly #wheel: TimerWheel;
  readonly #windowMs: number;
  readonly #run: () => void;
  readonly #timer: TimerNode;
  #isPending = false;

  constructor(wheel: TimerWheel, windowMs: number, run: () => void) {
    this.#wheel = wheel;
    this.#windowMs = windowMs;
    this.#run = run;
    this.#timer = new TimerNode(() => this.#windowEnded());
  }

  trigger(): void {
    if (this.#timer.isArmed) {
      this.#isPending = true;
      return;
    }
    this.#wheel.arm(this.#timer, this.#windowMs);
    this.#run();
  }

  stop(): void {
    this.#wheel.disarm(this.#timer);
    this.#isPending = false;
  }

  #windowEnded(): void {
    if (!this.#isPending) return;
    this.#isPending = false;
    this.#wheel.arm(this.#timer, this.#windowMs);
    this.#run();
  }
}
