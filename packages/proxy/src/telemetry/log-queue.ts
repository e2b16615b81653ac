/**
 * A bounded queue in front of a destination that may stall: a pipe whose reader sleeps, a full disk.
 *
 * One write is outstanding at a time, off the event loop. When the queue is full, or the destination
 * fails, batches are dropped and their lines counted; a warning is logged when losing begins and once
 * more when it ends, never per line.
 */
import type { Counter, Logger } from '@sluice/runtime';

/** Takes batches of whole lines, in order. */
export interface LogDestination {
  /** For messages: the path. */
  readonly name: string;
  /** Calls back once all of it is written, or with the error. Never blocks. */
  write(batch: Uint8Array<ArrayBuffer>, done: (error: Error | null) => void): void;
  /** Opens the file anew before the next write (after rotation from outside). */
  reopen(): void;
  /** Releases the file; no write is outstanding. */
  close(): void;
}

export interface LogQueueOptions {
  readonly destination: LogDestination;
  readonly maxBytes: number;
  readonly dropped: Counter;
  readonly logger: Logger;
}

/** 32 batches: a second of 5,000 lines a second. */
export const MAX_QUEUED_BYTES = 1024 * 1024;

export class LogQueue {
  readonly #options: LogQueueOptions;
  #batches: Uint8Array<ArrayBuffer>[] = [];
  #queuedBytes = 0;
  #isWriting = false;
  #isLosing = false;
  #lostLines = 0;
  #idleWaiters: (() => void)[] = [];

  constructor(options: LogQueueOptions) {
    this.#options = options;
  }

  get queuedBytes(): number {
    return this.#queuedBytes;
  }

  /** Queues a batch, or drops it (and counts its lines) when the queue is full. */
  push(batch: Uint8Array<ArrayBuffer>): void {
    if (this.#queuedBytes + batch.length > this.#options.maxBytes) {
      this.#lose(batch, `its reader has stalled and ${this.#queuedBytes} bytes are waiting`);
      return;
    }
    this.#batches.push(batch);
    this.#queuedBytes += batch.length;
    if (!this.#isWriting) this.#writeNext();
  }

  reopen(): void {
    this.#options.destination.reopen();
  }

  /** Resolves once everything queued so far has been written or lost. */
  whenIdle(): Promise<void> {
    if (!this.#isWriting) return Promise.resolve();
    return new Promise((resolve) => this.#idleWaiters.push(resolve));
  }

  #writeNext(): void {
    const batch = this.#batches.shift();
    if (batch === undefined) {
      this.#isWriting = false;
      const waiters = this.#idleWaiters;
      this.#idleWaiters = [];
      for (const wake of waiters) wake();
      return;
    }
    this.#isWriting = true;
    this.#options.destination.write(batch, (error) => {
      this.#queuedBytes -= batch.length;
      if (error === null) this.#recover();
      else this.#lose(batch, error.message);
      this.#writeNext();
    });
  }

  #lose(batch: Uint8Array, why: string): void {
    const lines = countLines(batch);
    this.#options.dropped.inc(lines);
    this.#lostLines += lines;
    if (this.#isLosing) return;
    this.#isLosing = true;
    const { destination, logger } = this.#options;
    logger.warning('access log lines are being dropped', { destination: destination.name, why });
  }

  #recover(): void {
    if (!this.#isLosing) return;
    const { destination, logger } = this.#options;
    logger.info('access log is written again', { destination: destination.name, lostLines: this.#lostLines });
    this.#isLosing = false;
    this.#lostLines = 0;
  }
}

/** Lines end in LF and hold none, so this is exact. */
export function countLines(batch: Uint8Array): number {
  let lines = 0;
  for (let at = batch.indexOf(0x0a); at >= 0; at = batch.indexOf(0x0a, at + 1)) lines += 1;
  return lines;
}
