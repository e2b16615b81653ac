/**
 * What all connections of one event loop share: the list of connections to flush when the running turn
 * ends, and the buffers in which their writes are joined.
 *
 * Every write costs a system call, the dearest thing a proxy does, and Bun has no cork: so writes are
 * collected per connection until the turn of the event loop is over, all of its callbacks. One write after
 * another, rather than one per callback, also finds the process at the other end awake after the first: on a
 * virtual machine waking it costs a third of a write.
 */
import type { TimerWheel } from '@sluice/runtime';
import { LoopClock } from './loop-clock.ts';

/** One TLS record, and enough for a head with a small body. */
export const JOIN_BYTES = 16 * 1024;
/** Connections that wait for the end of a turn; so many join buffers are kept for reuse. */
const MOST_WAITING = 64;

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
    if (this.#dirty.length >= MOST_WAITING) this.#flushAll();
    this.clock.letGo();
  }

  /** The caller makes sure that a connection is in the list once at most. */
  flushAtEnd(connection: Flushable): void {
    this.#dirty.push(connection);
    if (this.#isFlushPlanned) return;
    this.#isFlushPlanned = true;
    setImmediate(this.#flushLater);
  }

  /** Before work that takes long: nobody's answer waits for it. */
  flushNow(): void {
    if (this.#dirty.length > 0) this.#flushAll();
  }

  takeBuffer(): Uint8Array {
    return this.#buffers.pop() ?? Buffer.allocUnsafeSlow(JOIN_BYTES);
  }

  giveBuffer(buffer: Uint8Array): void {
    if (this.#buffers.length < MOST_WAITING && buffer.length === JOIN_BYTES) this.#buffers.push(buffer);
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
