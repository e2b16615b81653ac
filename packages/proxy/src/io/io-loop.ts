/**
 * What all connections of one event loop share: the list of connections to flush when the running
 * callback ends, and the buffers in which their writes are joined.
 *
 * Every write costs a system call, the dearest thing a proxy does, and Bun has no cork: so writes are
 * collected per connection until the outermost callback returns. Work that begins outside a socket
 * callback (timers, promises) is flushed by one microtask.
 */
import type { TimerWheel } from '@sluice/runtime';
import { LoopClock } from './loop-clock.ts';

/** One TLS record, and enough for a head with a small body. */
export const JOIN_BYTES = 16 * 1024;
/** Join buffers kept for reuse; a callback seldom writes to more connections than this. */
const KEPT_BUFFERS = 64;

export interface Flushable {
  flush(): void;
}

export class IoLoop {
  readonly timers: TimerWheel;
  /** Stands still within a callback. */
  readonly clock: LoopClock;
  readonly #onHandlerError: (error: unknown) => void;
  readonly #dirty: Flushable[] = [];
  readonly #buffers: Uint8Array[] = [];
  #depth = 0;
  #isFlushPlanned = false;
  readonly #flushLater = (): void => {
    this.#isFlushPlanned = false;
    this.#flushAll();
  };

  /** `onHandlerError` hears of exceptions thrown by connection handlers: always a bug of ours. */
  constructor(timers: TimerWheel, onHandlerError: (error: unknown) => void) {
    this.timers = timers;
    this.clock = new LoopClock(timers.clock);
    this.#onHandlerError = onHandlerError;
  }

  enter(): void {
    if (this.#depth++ === 0) this.clock.hold();
  }

  leave(): void {
    if (--this.#depth > 0) return;
    if (this.#dirty.length > 0) this.#flushAll();
    this.clock.letGo();
  }

  /** The caller makes sure that a connection is in the list once at most. */
  flushAtEnd(connection: Flushable): void {
    this.#dirty.push(connection);
    if (this.#depth > 0 || this.#isFlushPlanned) return;
    this.#isFlushPlanned = true;
    queueMicrotask(this.#flushLater);
  }

  takeBuffer(): Uint8Array {
    return this.#buffers.pop() ?? Buffer.allocUnsafeSlow(JOIN_BYTES);
  }

  giveBuffer(buffer: Uint8Array): void {
    if (this.#buffers.length < KEPT_BUFFERS && buffer.length === JOIN_BYTES) this.#buffers.push(buffer);
  }

  reportHandlerError(error: unknown): void {
    this.#onHandlerError(error);
  }

  #flushAll(): void {
    // A flush may close connections, whose handlers write to others: the list may grow meanwhile.
    this.#depth++;
    const dirty = this.#dirty;
    for (let i = 0; i < dirty.length; i++) {
      try {
        dirty[i]!.flush();
      } catch (error) {
        this.#onHandlerError(error);
      }
    }
    dirty.length = 0;
    this.#depth--;
  }
}
