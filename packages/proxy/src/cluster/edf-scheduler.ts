/**
 * Earliest-deadline-first: weighted fair choice in O(log n), the smoothest order known for weights.
 * An entry of weight w comes up every 1/w units of virtual time. A binary heap over parallel arrays;
 * ties go to the entry that was inserted first, so that a sequence is reproducible.
 */
export class EdfScheduler<T> {
  readonly #items: T[] = [];
  readonly #deadlines: number[] = [];
  readonly #order: number[] = [];
  #sequence = 0;
  #now = 0;

  get size(): number {
    return this.#items.length;
  }

  /** `offset` in [0,1) of the entry's own period: where its first turn lies. */
  add(item: T, weight: number, offset: number): void {
    this.#push(item, this.#now + (1 - offset) / weight);
  }

  /** Takes the entry that is due and lines it up again with the weight that `weightOf` gives it now. */
  next(weightOf: (item: T) => number): T | null {
    const item = this.#items[0];
    const deadline = this.#deadlines[0];
    if (item === undefined || deadline === undefined) return null;
    this.#now = deadline;
    this.#deadlines[0] = deadline + 1 / Math.max(weightOf(item), 1e-9);
    this.#order[0] = this.#sequence++;
    this.#sinkRoot();
    return item;
  }

  #push(item: T, deadline: number): void {
    this.#items.push(item);
    this.#deadlines.push(deadline);
    this.#order.push(this.#sequence++);
    let at = this.#items.length - 1;
    while (at > 0) {
      const parent = (at - 1) >> 1;
      if (!this.#isBefore(at, parent)) return;
      this.#swap(at, parent);
      at = parent;
    }
  }

  #sinkRoot(): void {
    const size = this.#items.length;
    let at = 0;
    for (;;) {
      const left = 2 * at + 1;
      if (left >= size) return;
      const right = left + 1;
      const child = right < size && this.#isBefore(right, left) ? right : left;
      if (!this.#isBefore(child, at)) return;
      this.#swap(child, at);
      at = child;
    }
  }

  #isBefore(a: number, b: number): boolean {
    const left = this.#deadlines[a] ?? 0;
    const right = this.#deadlines[b] ?? 0;
    return left < right || (left === right && (this.#order[a] ?? 0) < (this.#order[b] ?? 0));
  }

  #swap(a: number, b: number): void {
    swap(this.#items, a, b);
    swap(this.#deadlines, a, b);
    swap(this.#order, a, b);
  }
}

function swap<T>(list: T[], a: number, b: number): void {
  const held = list[a] as T;
  list[a] = list[b] as T;
  list[b] = held;
}
