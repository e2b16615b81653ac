/** Received bytes waiting to be read, with one reader who may wait for more. */

export class ByteQueue {
  #chunks: Uint8Array[] = [];
  #size = 0;
  #hasEnded = false;
  #wake: (() => void) | undefined;

  get size(): number {
    return this.#size;
  }

  get hasEnded(): boolean {
    return this.#hasEnded;
  }

  push(chunk: Uint8Array): void {
    this.#chunks.push(chunk);
    this.#size += chunk.length;
    this.#wake?.();
  }

  end(): void {
    this.#hasEnded = true;
    this.#wake?.();
  }

  /** Everything there is, without taking it. */
  peek(): Uint8Array {
    if (this.#chunks.length !== 1) this.#chunks = this.#size === 0 ? [] : [Buffer.concat(this.#chunks)];
    return this.#chunks[0] ?? new Uint8Array(0);
  }

  /** The first `count` bytes. */
  take(count: number): Uint8Array {
    const all = this.peek();
    const rest = all.subarray(count);
    this.#chunks = rest.length === 0 ? [] : [rest];
    this.#size = rest.length;
    return all.subarray(0, count);
  }

  /** Resolves at the next push or end. One waiter at a time. */
  changed(): Promise<void> {
    if (this.#wake !== undefined) throw new Error('two reads at once on one connection');
    return new Promise((resolve) => {
      this.#wake = () => {
        this.#wake = undefined;
        resolve();
      };
    });
  }
}
