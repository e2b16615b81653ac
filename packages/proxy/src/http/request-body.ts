/**
 * The request body as one capped source with several readers (design §6, Exchange): each attempt reads from
 * its own position, and what was sent stays for replay up to 64 KiB. Beyond that the body is marked not
 * replayable and only what no attempt has sent is kept.
 *
 * Chunks are references to received octets, which are never rewritten. How much may arrive is bounded by
 * credit: the exchange gives none while bytes wait.
 */
import type { HeaderList } from '@sluice/wire';

export const REPLAY_LIMIT_BYTES = 64 * 1024;

export class RequestBody {
  totalBytes = 0;
  hasEnded = false;
  trailers: HeaderList | null = null;
  isReplayable = true;
  #chunks: Uint8Array[] = [];
  /** Position of the first octet kept. */
  #firstAt = 0;

  reset(): void {
    this.totalBytes = 0;
    this.hasEnded = false;
    this.trailers = null;
    this.isReplayable = true;
    if (this.#chunks.length > 0) this.#chunks = [];
    this.#firstAt = 0;
  }

  /** An attempt that has sent nothing can still send it all. */
  get isWhole(): boolean {
    return this.#firstAt === 0;
  }

  get keptBytes(): number {
    return this.totalBytes - this.#firstAt;
  }

  append(data: Uint8Array, start: number, end: number): void {
    this.#chunks.push(data.subarray(start, end));
    this.totalBytes += end - start;
    if (this.totalBytes > REPLAY_LIMIT_BYTES) this.isReplayable = false;
  }

  /** Octets that went straight through, past the limit: nothing to keep. */
  skip(byteCount: number): void {
    this.totalBytes += byteCount;
    this.#firstAt = this.totalBytes;
  }

  end(trailers: HeaderList | null): void {
    this.hasEnded = true;
    this.trailers = trailers;
  }

  /** The octets from `position` to the end of its chunk; null when there are none yet. */
  read(position: number): Uint8Array | null {
    let at = this.#firstAt;
    for (let i = 0; i < this.#chunks.length; i++) {
      const chunk = this.#chunks[i]!;
      if (position < at + chunk.length) return position === at ? chunk : chunk.subarray(position - at);
      at += chunk.length;
    }
    return null;
  }

  /** No attempt will read before `position` any more; only for a body that is not replayable. */
  trim(position: number): void {
    if (this.isReplayable) return;
    let count = 0;
    while (count < this.#chunks.length && this.#firstAt + this.#chunks[count]!.length <= position) {
      this.#firstAt += this.#chunks[count]!.length;
      count++;
    }
    if (count > 0) this.#chunks.splice(0, count);
  }
}
