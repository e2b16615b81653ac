/**
 * Memory for decoded octets: written once, never moved, never reused.
 *
 * Lists of fields refer to it by offsets for as long as they like, and the garbage collector frees a chunk
 * with its last reader. Reusing chunks was rejected: it would need every reader to say when it is done.
 */
import { EMPTY_BYTES } from '../../headers/bytes.ts';

/** The first chunk is small, so that a connection with one request stays small. */
const FIRST_CHUNK_BYTES = 512;

export class OctetArena {
  buf: Uint8Array = EMPTY_BYTES;
  /** Where the next octet goes; the writer moves it. */
  length = 0;
  readonly #maxChunkBytes: number;

  constructor(maxChunkBytes: number) {
    this.#maxChunkBytes = maxChunkBytes;
  }

  /** Makes room for `byteCount` octets at `length` of `buf`, which may be another chunk than before. */
  reserve(byteCount: number): void {
    if (this.length + byteCount <= this.buf.length) return;
    const next = Math.min(Math.max(this.buf.length * 2, FIRST_CHUNK_BYTES), this.#maxChunkBytes);
    this.buf = new Uint8Array(Math.max(byteCount, next));
    this.length = 0;
  }

  /** Lets go of a chunk that one large entry needed: it would stay as large for small ones. */
  trim(): void {
    if (this.buf.length <= this.#maxChunkBytes) return;
    this.buf = EMPTY_BYTES;
    this.length = 0;
  }
}
