/** Octets of one stream that wait for window or for the output: references, first in, first out. */
export class SendQueue {
  byteCount = 0;
  #buffers: Uint8Array[] | null = null;
  #ends: number[] = [];
  #head = 0;
  /** Of the first buffer: what has not gone yet begins here. */
  #start = 0;
  /** Of each later buffer. */
  #starts: number[] = [];

  push(buf: Uint8Array, start: number, end: number): void {
    if (this.byteCount === 0) this.#start = start;
    (this.#buffers ??= []).push(buf);
    this.#starts.push(start);
    this.#ends.push(end);
    this.byteCount += end - start;
  }

  /** First waiting buffer, with its range; only while byteCount > 0. */
  get firstBuffer(): Uint8Array {
    return this.#buffers![this.#head]!;
  }
  get firstStart(): number {
    return this.#start;
  }
  get firstEnd(): number {
    return this.#ends[this.#head]!;
  }

  /** Takes octets off the first buffer, at most as many as it holds. */
  take(byteCount: number): void {
    this.#start += byteCount;
    this.byteCount -= byteCount;
    if (this.byteCount === 0) return this.clear();
    if (this.#start < this.firstEnd) return;
    this.#buffers![this.#head] = NOTHING;
    this.#start = this.#starts[++this.#head]!;
    // The array is cut rarely, so that a long queue costs no copy per frame.
    if (this.#head > 32 && this.#head * 2 > this.#buffers!.length) this.#cut();
  }

  clear(): void {
    this.byteCount = 0;
    if (this.#buffers === null) return;
    this.#buffers = null;
    this.#starts.length = 0;
    this.#ends.length = 0;
    this.#head = 0;
    this.#start = 0;
  }

  #cut(): void {
    this.#buffers!.splice(0, this.#head);
    this.#starts.splice(0, this.#head);
    this.#ends.splice(0, this.#head);
    this.#head = 0;
  }
}

const NOTHING = new Uint8Array(0);
