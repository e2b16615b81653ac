/**
 * Access logs from data loops to the main thread.
 *
 * Loops send batches; the main thread alone writes. Chosen over each loop writing by itself because
 * several writers on one pipe interleave inside lines beyond 4 KiB, and rotation and reopening need one
 * owner; a hand-over costs one message per 32 KiB (about 100 requests), its buffer moved, not copied.
 * The loop counts what the main thread has not yet acknowledged, so a stalled reader bounds memory here
 * too: beyond the window, batches are dropped and counted by the loop.
 */
import type { TakeBatch } from './log-batch.ts';
import { MAX_QUEUED_BYTES } from './log-queue.ts';

/** Loop → main. `bytes` is moved (transfer its buffer). */
export interface AccessLogBatch {
  readonly kind: 'accessLog';
  readonly path: string;
  readonly bytes: Uint8Array<ArrayBuffer>;
}

/** Main → loop: so many bytes were taken off its hands. */
export interface AccessLogTaken {
  readonly kind: 'accessLogTaken';
  readonly path: string;
  readonly bytes: number;
}

/** The loop's end for one destination. */
export class LogChannel {
  readonly #path: string;
  readonly #post: (message: AccessLogBatch, transfer: ArrayBuffer[]) => void;
  readonly #windowBytes: number;
  #inFlightBytes = 0;

  constructor(
    path: string,
    post: (message: AccessLogBatch, transfer: ArrayBuffer[]) => void,
    windowBytes = MAX_QUEUED_BYTES,
  ) {
    this.#path = path;
    this.#post = post;
    this.#windowBytes = windowBytes;
  }

  readonly take: TakeBatch = (batch) => {
    const bytes = batch.length;
    if (this.#inFlightBytes + bytes > this.#windowBytes) return false;
    this.#inFlightBytes += bytes;
    this.#post({ kind: 'accessLog', path: this.#path, bytes: batch }, [batch.buffer]);
    return true;
  };

  taken(bytes: number): void {
    this.#inFlightBytes = Math.max(0, this.#inFlightBytes - bytes);
  }
}
