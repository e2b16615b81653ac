/**
 * The last changes, for watches that resume, and the delivery of new ones to subscribers.
 *
 * The log lives in memory and is bounded; what a watch needs of older changes, those from before a restart among them,
 * the journal keeps, within the same bound. Beyond it the answer is null and the client lists again (410, as Kubernetes'
 * own API answers after compaction).
 * Delivery is after commit, in revision order and never re-entrant: changes that a listener causes wait until
 * every listener has seen the present ones.
 */
import type { StoreChange } from './store.ts';

export type ChangeListener = (changes: readonly StoreChange[]) => void;

/** Enough for every object of a large mesh to change once while a watch reconnects; some 15 MB at the most. */
export const defaultLogLength = 5000;

export class ChangeLog {
  readonly #length: number;
  readonly #onListenerError: (error: unknown) => void;
  #entries: StoreChange[] = [];
  /** Revision before the oldest entry: a watch from here on can be served. */
  #since: number;
  readonly #listeners = new Set<ChangeListener>();
  readonly #waiting: (readonly StoreChange[])[] = [];
  #isDelivering = false;

  constructor(revision: number, length: number, onListenerError: (error: unknown) => void) {
    this.#since = revision;
    this.#length = length;
    this.#onListenerError = onListenerError;
  }

  subscribe(listener: ChangeListener): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  after(revision: number): readonly StoreChange[] | null {
    if (revision < this.#since) return null;
    return this.#entries.slice(this.#firstAfter(revision));
  }

  publish(changes: readonly StoreChange[]): void {
    for (const change of changes) this.#entries.push(change);
    this.#trim();
    this.#waiting.push(changes);
    if (this.#isDelivering) return;
    this.#isDelivering = true;
    try {
      for (let batch = this.#waiting.shift(); batch !== undefined; batch = this.#waiting.shift()) {
        this.#deliver(batch);
      }
    } finally {
      this.#isDelivering = false;
    }
  }

  #deliver(batch: readonly StoreChange[]): void {
    for (const listener of Array.from(this.#listeners)) {
      try {
        listener(batch);
      } catch (error) {
        // The change is committed already: one subscriber's fault must not hide it from the others.
        this.#onListenerError(error);
      }
    }
  }

  #trim(): void {
    // A quarter more before cutting, so that the copy is paid once in a while and not at every change.
    if (this.#entries.length <= this.#length * 1.25) return;
    const dropped = this.#entries.length - this.#length;
    this.#since = this.#entries[dropped - 1]?.revision ?? this.#since;
    this.#entries = this.#entries.slice(dropped);
  }

  #firstAfter(revision: number): number {
    let low = 0;
    let high = this.#entries.length;
    while (low < high) {
      const middle = (low + high) >>> 1;
      if ((this.#entries[middle]?.revision ?? Infinity) > revision) high = middle;
      else low = middle + 1;
    }
    return low;
  }
}
