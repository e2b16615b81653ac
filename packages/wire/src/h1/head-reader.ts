/**
 * Heads and trailer sections that arrive in pieces.
 *
 * A head that lies in one chunk is parsed where it lies, without a copy. Otherwise what has come is
 * moved to a buffer of our own, and a piece is parsed only when it completes a line or passes a limit,
 * so that a peer that sends one octet at a time costs linear work.
 * The buffer is never written again after its head is complete: what was read from it stays valid.
 */
import { LF } from '../headers/bytes.ts';
import { FAILED, NEED_MORE } from './field-section.ts';

export interface HeadGrammar {
  /** Continues at its own position in `buf`; returns the offset after the head, NEED_MORE or FAILED. */
  readHead(buf: Uint8Array, end: number): number;
  beginHead(at: number): void;
  /** What was read so far now lies in `buf`, `delta` further on. */
  rebaseHead(buf: Uint8Array, delta: number): void;
  /** Offset from which on the current part would be too long. */
  readonly limitOffset: number;
}

/** First size of the buffer for a split head, and the size of the pieces copied to it. */
const PIECE_BYTES = 2048;

export class HeadReader {
  #buf: Uint8Array | undefined = undefined;
  #length = 0;
  readonly #grammar: HeadGrammar;

  constructor(grammar: HeadGrammar) {
    this.#grammar = grammar;
  }

  /** True while part of a head has been received. */
  get isPartial(): boolean {
    return this.#buf !== undefined;
  }

  reset(): void {
    this.#buf = undefined;
    this.#length = 0;
  }

  /** Returns the offset in `buf` after the head, NEED_MORE (all of [start, end) is taken) or FAILED. */
  read(buf: Uint8Array, start: number, end: number): number {
    if (this.#buf !== undefined) return this.#continue(buf, start, end);
    this.#grammar.beginHead(start);
    const outcome = this.#grammar.readHead(buf, end);
    if (outcome !== NEED_MORE) return outcome;
    const length = end - start;
    this.#buf = new Uint8Array(Math.max(PIECE_BYTES, length + (length >> 1)));
    this.#buf.set(buf.subarray(start, end));
    this.#length = length;
    this.#grammar.rebaseHead(this.#buf, -start);
    return NEED_MORE;
  }

  #continue(buf: Uint8Array, start: number, end: number): number {
    let from = start;
    while (from < end) {
      const to = Math.min(end, from + PIECE_BYTES);
      const before = this.#length;
      const store = this.#append(buf, from, to);
      const lf = buf.indexOf(LF, from);
      if ((lf >= 0 && lf < to) || this.#length > this.#grammar.limitOffset) {
        const outcome = this.#grammar.readHead(store, this.#length);
        if (outcome !== NEED_MORE) {
          this.reset();
          return outcome === FAILED ? FAILED : from + outcome - before;
        }
      }
      from = to;
    }
    return NEED_MORE;
  }

  #append(buf: Uint8Array, from: number, to: number): Uint8Array {
    let store = this.#buf!;
    const needed = this.#length + to - from;
    if (needed > store.length) {
      const grown = new Uint8Array(Math.max(needed, store.length * 2));
      grown.set(store.subarray(0, this.#length));
      this.#buf = grown;
      this.#grammar.rebaseHead(grown, 0);
      store = grown;
    }
    store.set(buf.subarray(from, to), this.#length);
    this.#length = needed;
    return store;
  }
}
