/**
 * All access log destinations of one thread, one sink per path, shared by every listener that names it.
 *
 * The main thread (or a proxy without loops) writes; a loop forwards. Both look the same to loggers.
 */
import type { Counter, Logger, MetricsRegistry, TimerWheel } from '@sluice/runtime';
import { createBatchingSink, type LogSink } from './log-batch.ts';
import { LogChannel, type AccessLogBatch, type AccessLogTaken } from './log-channel.ts';
import { openLogDestination, type RotationOptions } from './log-file.ts';
import { LogQueue, MAX_QUEUED_BYTES } from './log-queue.ts';

export interface LogSinks {
  /** The sink of a path, made on first use. */
  sink(path: string): LogSink;
  /** Hands over what is collected, at the end of a drain. */
  flush(): void;
}

export function droppedLinesCounter(metrics: MetricsRegistry): Counter {
  return metrics.counter(
    'sluice_access_log_dropped_total',
    'Access log lines dropped because their destination was stalled, full or failing.',
  );
}

export interface LoopLogOptions {
  readonly wheel: TimerWheel;
  readonly metrics: MetricsRegistry;
  readonly post: (message: AccessLogBatch, transfer: ArrayBuffer[]) => void;
}

/** Sinks of a data loop; give it every `accessLogTaken` message. */
export class LoopLogSinks implements LogSinks {
  readonly #options: LoopLogOptions;
  readonly #dropped: Counter;
  readonly #channels = new Map<string, { channel: LogChannel; sink: LogSink }>();

  constructor(options: LoopLogOptions) {
    this.#options = options;
    this.#dropped = droppedLinesCounter(options.metrics);
  }

  sink(path: string): LogSink {
    const existing = this.#channels.get(path);
    if (existing !== undefined) return existing.sink;
    const channel = new LogChannel(path, this.#options.post);
    const { wheel } = this.#options;
    const sink = createBatchingSink({ take: channel.take, wheel, dropped: this.#dropped });
    this.#channels.set(path, { channel, sink });
    return sink;
  }

  onTaken(message: AccessLogTaken): void {
    this.#channels.get(message.path)?.channel.taken(message.bytes);
  }

  flush(): void {
    for (const { sink } of this.#channels.values()) sink.flush();
  }
}

export interface FileLogOptions {
  readonly wheel: TimerWheel;
  readonly metrics: MetricsRegistry;
  readonly logger: Logger;
  readonly rotation: RotationOptions;
}

/** Sinks that write; also the receiving end of the loops' batches. */
export class FileLogSinks implements LogSinks {
  readonly #options: FileLogOptions;
  readonly #dropped: Counter;
  readonly #files = new Map<string, { queue: LogQueue; sink: LogSink; close: () => void }>();

  constructor(options: FileLogOptions) {
    this.#options = options;
    this.#dropped = droppedLinesCounter(options.metrics);
  }

  sink(path: string): LogSink {
    return this.#file(path).sink;
  }

  /** Takes a loop's batch (dropping and counting it when the destination is stalled); answer with the result. */
  onBatch(message: AccessLogBatch): AccessLogTaken {
    const bytes = message.bytes.length;
    this.#file(message.path).queue.push(message.bytes);
    return { kind: 'accessLogTaken', path: message.path, bytes };
  }

  /** On SIGUSR1: files are opened anew before their next write. */
  reopen(): void {
    for (const { queue } of this.#files.values()) queue.reopen();
  }

  flush(): void {
    for (const { sink } of this.#files.values()) sink.flush();
  }

  /**
   * Flushes and waits until all is written or lost, but no longer than `graceMs`: a reader that sleeps
   * must not keep the process from ending. Files are released when they are idle.
   */
  async close(graceMs: number): Promise<void> {
    this.flush();
    const written = [...this.#files.values()].map(async ({ queue, close }) => {
      await queue.whenIdle();
      close();
    });
    this.#files.clear();
    const { promise: deadline, resolve } = Promise.withResolvers<void>();
    const timer = this.#options.wheel.schedule(graceMs, resolve);
    await Promise.race([Promise.all(written), deadline]);
    this.#options.wheel.disarm(timer);
  }

  #file(path: string): { queue: LogQueue; sink: LogSink; close: () => void } {
    const existing = this.#files.get(path);
    if (existing !== undefined) return existing;
    const { wheel, logger, rotation } = this.#options;
    const dropped = this.#dropped;
    const destination = openLogDestination(path, rotation, wheel);
    const queue = new LogQueue({ destination, maxBytes: MAX_QUEUED_BYTES, dropped, logger });
    const take = (batch: Uint8Array<ArrayBuffer>): boolean => {
      queue.push(batch);
      return true;
    };
    const sink = createBatchingSink({ take, wheel, dropped });
    const file = { queue, sink, close: () => destination.close() };
    this.#files.set(path, file);
    return file;
  }
}
