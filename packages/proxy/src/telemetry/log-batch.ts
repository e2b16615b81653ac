/**
 * Collects access log lines into batches: one hand-over per 32 KiB or 100 ms instead of one per line.
 *
 * Lines are written straight into the batch's buffer, so a line costs its bytes and nothing else. What
 * takes the batch (a file's queue, or the channel to the main thread) may refuse it when it is full;
 * then the lines are dropped and counted, because traffic never waits for a log.
 */
import { TimerNode, type Counter, type TimerWheel } from '@sluice/runtime';
import { ByteWriter } from './byte-writer.ts';
import type { LineFormat } from './format-text.ts';
import type { RequestRecord } from './record.ts';

/** Takes whole lines; false = refused. The bytes belong to the taker from then on. */
export type TakeBatch = (batch: Uint8Array<ArrayBuffer>) => boolean;

/** Where the lines of one destination go. */
export interface LogSink {
  /** Writes a record's line. Never blocks, never throws. */
  append(format: LineFormat, record: RequestRecord): void;
  /** Hands over what has been collected. */
  flush(): void;
}

export interface BatchOptions {
  readonly take: TakeBatch;
  readonly wheel: TimerWheel;
  /** Lines lost, whatever the cause. */
  readonly dropped: Counter;
}

/** A hand-over this large costs one write call; pipes hold 64 KiB, so two fit. */
export const BATCH_BYTES = 32 * 1024;
/** How old a line may become before it is written: `tail -f` feels live, and idle loops are not woken. */
export const FLUSH_INTERVAL_MS = 100;
/** Buffers that one long line has grown beyond this are given back. */
const KEPT_BYTES = 2 * BATCH_BYTES;

export function createBatchingSink(options: BatchOptions): LogSink {
  return new BatchingSink(options);
}

class BatchingSink implements LogSink {
  readonly #options: BatchOptions;
  readonly #timer: TimerNode;
  readonly #out = new ByteWriter(KEPT_BYTES);
  #lines = 0;

  constructor(options: BatchOptions) {
    this.#options = options;
    this.#timer = new TimerNode(() => this.flush());
  }

  append(format: LineFormat, record: RequestRecord): void {
    const out = this.#out;
    const start = out.length;
    try {
      format(out, record);
    } catch {
      // Only a programming error or exhausted memory gets here; half a line must not be kept.
      out.length = start;
      this.#options.dropped.inc();
      return;
    }
    this.#lines += 1;
    if (out.length >= BATCH_BYTES) this.flush();
    else if (!this.#timer.isArmed) this.#options.wheel.arm(this.#timer, FLUSH_INTERVAL_MS);
  }

  flush(): void {
    const { wheel, take, dropped } = this.#options;
    if (this.#timer.isArmed) wheel.disarm(this.#timer);
    const out = this.#out;
    if (out.length === 0) return;
    const lines = this.#lines;
    const batch = out.bytes.slice(0, out.length);
    out.length = 0;
    this.#lines = 0;
    if (out.bytes.length > KEPT_BYTES) out.bytes = new Uint8Array(new ArrayBuffer(KEPT_BYTES));
    if (!take(batch)) dropped.inc(lines);
  }
}
