/**
 * Gathers header blocks from HEADERS and CONTINUATION (RFC 9113 §4.3, §6.10).
 *
 * A block in one frame is decoded where it stands. One in several is joined first, within a bound: a peer
 * that never ends its block (CVE-2024-27316) costs that much and no more.
 */
import { EMPTY_BYTES, copyOctets } from '../headers/bytes.ts';

export class HeaderBlocks {
  /** Stream whose block is under way; 0 if none is. */
  streamId = 0;
  isEndStream = false;
  /** The HEADERS frame said that the stream depends on itself. */
  dependsOnItself = false;
  readonly #maxBytes: number;
  readonly #maxContinuations: number;
  #continuations = 0;
  #block: Uint8Array = EMPTY_BYTES;
  #length = 0;

  constructor(maxBytes: number, maxContinuations: number) {
    this.#maxBytes = maxBytes;
    this.#maxContinuations = maxContinuations;
  }

  begin(
    streamId: number,
    isEndStream: boolean,
    dependsOnItself: boolean,
    buf: Uint8Array,
    start: number,
    end: number,
  ): boolean {
    this.streamId = streamId;
    this.isEndStream = isEndStream;
    this.dependsOnItself = dependsOnItself;
    this.#continuations = 0;
    this.#length = 0;
    return this.#append(buf, start, end);
  }

  /** False when there is too much of it. */
  add(buf: Uint8Array, start: number, end: number): boolean {
    return ++this.#continuations <= this.#maxContinuations && this.#append(buf, start, end);
  }

  /** The joined block, in memory that is not used again; none is under way afterwards. */
  take(): Uint8Array {
    const block = this.#block.subarray(0, this.#length);
    this.streamId = 0;
    this.#block = EMPTY_BYTES;
    this.#length = 0;
    return block;
  }

  #append(buf: Uint8Array, start: number, end: number): boolean {
    const length = this.#length + end - start;
    if (length > this.#maxBytes) return false;
    if (length > this.#block.length) {
      const grown = new Uint8Array(Math.max(length, Math.min(this.#block.length * 2, this.#maxBytes)));
      copyOctets(this.#block, 0, this.#length, grown, 0);
      this.#block = grown;
    }
    this.#length = copyOctets(buf, start, end, this.#block, this.#length);
    return true;
  }
}
