/**
 * Remembers what was made from what: a value is made anew only when one of the things it was made from is
 * another object than last time. Entries that a round did not ask for are dropped at its end.
 */
export class Memo<T> {
  readonly #entries = new Map<
    string,
    { readonly deps: readonly unknown[]; readonly value: T; round: number }
  >();
  #round = 0;

  get(key: string, deps: readonly unknown[], make: () => T): T {
    const known = this.#entries.get(key);
    if (known && sameItems(known.deps, deps)) {
      known.round = this.#round;
      return known.value;
    }
    const value = make();
    this.#entries.set(key, { deps, value, round: this.#round });
    return value;
  }

  /** Ends a round: forgets what nobody asked for in it. */
  sweep(): void {
    for (const [key, entry] of this.#entries) if (entry.round !== this.#round) this.#entries.delete(key);
    this.#round += 1;
  }

  get size(): number {
    return this.#entries.size;
  }
}

export function sameItems(a: readonly unknown[], b: readonly unknown[]): boolean {
  return a.length === b.length && a.every((item, index) => item === b[index]);
}
