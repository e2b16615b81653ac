/**
 * Draining: a signal that work should end, and a count of what is still in flight.
 *
 *   open ──begin()──► draining ──last holder released──► 'empty'
 *                        └────────deadline─────────────► 'deadline'
 *
 * Holders may still be added while draining (a connection's last requests); who accepts new work asks
 * `isDraining` first. The deadline runs on a timer wheel, so that tests move it.
 */
import { TimerNode } from './timer-wheel.ts';
import type { TimerWheel } from './timer-wheel.ts';

/** How a drain ended. */
export type DrainOutcome = 'empty' | 'deadline';

export class Drain {
  readonly #wheel: TimerWheel;
  readonly #onError: (error: unknown) => void;
  readonly #deadline = new TimerNode(() => this.#finish('deadline'));
  readonly #listeners = new Set<() => void>();
  #inFlight = 0;
  #deadlineAtMs = Infinity;
  #finished: PromiseWithResolver | undefined;
  #outcome: DrainOutcome | undefined;

  /** `onError` receives what a listener throws; without it, it becomes an uncaught exception. */
  constructor(wheel: TimerWheel, onError: (error: unknown) => void = throwLater) {
    this.#wheel = wheel;
    this.#onError = onError;
  }

  get isDraining(): boolean {
    return this.#finished !== undefined;
  }

  get inFlight(): number {
    return this.#inFlight;
  }

  /** Undefined until the drain has ended. */
  get outcome(): DrainOutcome | undefined {
    return this.#outcome;
  }

  /** Counts one holder; the returned release may be called more than once and counts once. */
  hold(): () => void {
    this.enter();
    let isHeld = true;
    return () => {
      if (!isHeld) return;
      isHeld = false;
      this.leave();
    };
  }

  /** The same count without a closure, for hot paths; each `enter` needs exactly one `leave`. */
  enter(): void {
    this.#inFlight++;
  }

  leave(): void {
    if (this.#inFlight === 0) throw new RangeError('drain: left more often than entered');
    this.#inFlight--;
    if (this.#inFlight === 0 && this.isDraining) this.#finish('empty');
  }

  /**
   * Tells every listener to wind down, then resolves when nothing is in flight or after `deadlineMs`.
   * A further call may bring the deadline forward, never put it off.
   */
  begin(deadlineMs: number = Infinity): Promise<DrainOutcome> {
    const isFirst = this.#finished === undefined;
    this.#finished ??= newResolver();
    const { promise } = this.#finished;
    this.#bringForward(deadlineMs);
    if (isFirst) this.#announce();
    if (this.#inFlight === 0) this.#finish('empty');
    return promise;
  }

  /** Calls `listener` once when draining begins, at once if it has; returns how to unsubscribe. */
  onBegin(listener: () => void): () => void {
    if (this.isDraining) {
      listener();
      return () => {};
    }
    // Wrapped, so that one function subscribed twice is two subscriptions.
    const subscription = (): void => listener();
    this.#listeners.add(subscription);
    return () => this.#listeners.delete(subscription);
  }

  #bringForward(deadlineMs: number): void {
    const atMs = this.#wheel.clock.nowMs() + deadlineMs;
    if (this.#outcome !== undefined || atMs >= this.#deadlineAtMs) return;
    this.#deadlineAtMs = atMs;
    this.#wheel.arm(this.#deadline, deadlineMs);
  }

  #announce(): void {
    for (const listener of this.#listeners) {
      try {
        listener();
      } catch (error) {
        this.#onError(error);
      }
    }
    this.#listeners.clear();
  }

  #finish(outcome: DrainOutcome): void {
    if (this.#outcome !== undefined) return;
    this.#outcome = outcome;
    this.#wheel.disarm(this.#deadline);
    this.#finished?.resolve(outcome);
  }
}

interface PromiseWithResolver {
  readonly promise: Promise<DrainOutcome>;
  readonly resolve: (outcome: DrainOutcome) => void;
}

/** Promise.withResolvers, which Node 20 lacks. */
function newResolver(): PromiseWithResolver {
  let resolve: (outcome: DrainOutcome) => void = () => {};
  const promise = new Promise<DrainOutcome>((settle) => {
    resolve = settle;
  });
  return { promise, resolve };
}

function throwLater(error: unknown): void {
  queueMicrotask(() => {
    throw error;
  });
}
