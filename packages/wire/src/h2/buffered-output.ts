/**
 * Output of a session for transports that take whole buffers: frames are joined until the owner takes them.
 *
 * The proxy's connections have outputs of their own; this one serves node's streams. What was taken belongs
 * to the taker, who may keep it: its memory is not used again.
 */
import { EMPTY_BYTES, copyOctets } from '../headers/bytes.ts';
import type { H2Output } from './session-types.ts';

const FIRST_BYTES = 1024;

export class BufferedOutput implements H2Output {
  writeOffset = 0;
  /** Set by the owner, who knows how much its transport holds back. */
  isWritable = true;
  #buffer: Uint8Array = EMPTY_BYTES;

  reserve(byteCount: number): Uint8Array {
    const needed = this.writeOffset + byteCount;
    if (needed <= this.#buffer.length) return this.#buffer;
    const grown = new Uint8Array(Math.max(needed, this.#buffer.length * 2, FIRST_BYTES));
    copyOctets(this.#buffer, 0, this.writeOffset, grown, 0);
    this.#buffer = grown;
    return grown;
  }

  commit(end: number): void {
    this.writeOffset = end;
  }

  write(data: Uint8Array, start: number, end: number): void {
    const out = this.reserve(end - start);
    this.writeOffset = copyOctets(data, start, end, out, this.writeOffset);
  }

  /** What has been written since the last call; null if nothing has. */
  take(): Uint8Array | null {
    if (this.writeOffset === 0) return null;
    const taken = this.#buffer.subarray(0, this.writeOffset);
    this.#buffer = EMPTY_BYTES;
    this.writeOffset = 0;
    return taken;
  }
}
