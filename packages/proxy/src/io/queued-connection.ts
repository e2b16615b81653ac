/**
 * The half of a connection that both socket implementations share: joining, queueing, byte cap, order of
 * closing. Subclasses move bytes and report events.
 *
 * States of the sending side: open → ending (FIN once the queue is empty) → ended; or closing (both
 * directions once the queue is empty). Of the receiving side: open → ended at the peer's FIN. The socket
 * closes when both have ended.
 * A peer that takes nothing of what waits in a closing connection is given up: its owner has gone and watches it no more.
 * Invariant: bytes leave in the order they were written; what is in `#queue` precedes what is in `#join`.
 */
import { TimerNode } from '@sluice/runtime';
import type { CloseCause, Connection, ConnectionHandler, TlsHandshakeHandler } from './connection.ts';
import { type IoLoop, JOIN_BYTES } from './io-loop.ts';
import type { OnceClosed } from './once-closed.ts';
import type { TlsServerContext } from './tls-context.ts';
import type { TlsFacts } from './tls-facts.ts';

/** Bytes above the high-water mark that producers may still write: two of the kernel's largest reads and heads. */
const OVERSHOOT_BYTES = 2 * 1024 * 1024;
/** A closing connection whose peer takes not an octet for so long is aborted. nginx's send_timeout. */
const CLOSING_PATIENCE_MS = 60_000;
/** Up to this many octets a copying loop is cheaper than a call. */
const LOOP_COPY_BYTES = 48;

const copyBytes = Buffer.prototype.copy;

export abstract class QueuedConnection implements Connection {
  handler: ConnectionHandler;
  onceClosed: OnceClosed | null = null;
  isPaused = false;
  isOpen = true;
  isWritable = true;
  bytesRead = 0;
  bytesWritten = 0;
  writeOffset = 0;
  tls: TlsFacts | null = null;
  failureDetail = '';
  abstract readonly localAddress: string;
  abstract readonly localPort: number;
  abstract readonly remoteAddress: string;
  abstract readonly remotePort: number;
  abstract readonly fd: number;

  protected readonly loop: IoLoop;
  readonly #highWaterBytes: number;
  #join: Uint8Array | null = null;
  #queue: Uint8Array[] = [];
  #queueHead = 0;
  #queuedBytes = 0;
  #isDirty = false;
  #sending: 'open' | 'ending' | 'ended' | 'closing' = 'open';
  #hasReadEnded = false;
  /** Made when a close has to wait. */
  #closing: { readonly timer: TimerNode; writtenBefore: number } | null = null;
  /** False while a connection attempt is under way: bytes wait. */
  protected canSend = true;

  constructor(loop: IoLoop, handler: ConnectionHandler, highWaterBytes: number) {
    this.loop = loop;
    this.handler = handler;
    this.#highWaterBytes = highWaterBytes;
  }

  get bufferedBytes(): number {
    return this.#queuedBytes + this.writeOffset + this.unsentBytes();
  }

  reserve(byteCount: number): Uint8Array {
    let join = this.#join;
    if (join !== null && join.length - this.writeOffset >= byteCount) return join;
    if (join !== null) this.#sendJoin();
    join = byteCount <= JOIN_BYTES ? this.loop.takeBuffer() : Buffer.allocUnsafeSlow(byteCount);
    this.#join = join;
    return join;
  }

  commit(end: number): void {
    this.writeOffset = end;
    this.#afterWrite();
  }

  write(data: Uint8Array, start: number, end: number): void {
    const length = end - start;
    if (length <= 0 || !this.isOpen || this.#sending !== 'open') return;
    if (this.writeOffset + length <= JOIN_BYTES) {
      const join = this.reserve(length);
      const at = this.writeOffset;
      if (length <= LOOP_COPY_BYTES) for (let i = 0; i < length; i++) join[at + i] = data[start + i]!;
      else copyBytes.call(data, join, at, start, end);
      this.commit(at + length);
      return;
    }
    this.#sendJoin();
    this.#sendOrQueue(data, start, end);
    this.#afterWrite();
  }

  flush(): void {
    this.#isDirty = false;
    if (!this.isOpen) return;
    this.#sendJoin();
    this.#finishSending();
  }

  abstract pause(): void;
  abstract resume(): void;
  abstract startTls(
    context: TlsServerContext,
    peeked: Uint8Array | null,
    timeoutMs: number,
    handler: TlsHandshakeHandler,
  ): void;

  end(): void {
    if (this.#sending !== 'open') return;
    this.#sending = 'ending';
    this.#markDirty();
  }

  close(): void {
    if (!this.isOpen || this.#sending === 'closing') return;
    this.#sending = 'closing';
    this.#markDirty();
  }

  terminate(): void {
    if (!this.isOpen) return;
    // Bun reports the close from within the call: the cause is settled first.
    this.closed('local');
    this.terminateSocket();
  }

  /** Bytes the kernel took of [start, start + length); -1 when the socket is gone. */
  protected abstract sendBytes(data: Uint8Array, start: number, length: number): number;
  /** Bytes that the implementation itself holds back. */
  protected abstract unsentBytes(): number;
  protected abstract shutdownSocket(): void;
  protected abstract closeSocket(): void;
  protected abstract terminateSocket(): void;

  protected received(data: Uint8Array): void {
    this.bytesRead += data.length;
    if (!this.isOpen || this.#sending === 'closing') return;
    this.loop.enter();
    try {
      this.handler.onData(this, data);
    } catch (error) {
      this.#handlerFailed(error);
    }
    this.loop.leave();
  }

  protected readEnded(): void {
    if (!this.isOpen || this.#hasReadEnded) return;
    this.#hasReadEnded = true;
    this.loop.enter();
    try {
      this.handler.onEnd(this);
    } catch (error) {
      this.#handlerFailed(error);
    }
    if (this.#sending === 'ended') this.#closeBoth('remote');
    this.loop.leave();
  }

  /** The kernel takes bytes again. */
  protected writable(): void {
    if (!this.isOpen) return;
    this.loop.enter();
    this.#sendQueue();
    this.#finishSending();
    this.checkDrained();
    this.loop.leave();
  }

  /** Tells the producer once what waits has fallen to half the mark. */
  protected checkDrained(): void {
    if (this.isWritable || !this.isOpen || this.bufferedBytes > this.#highWaterBytes / 2) return;
    this.isWritable = true;
    try {
      this.handler.onDrain(this);
    } catch (error) {
      this.#handlerFailed(error);
    }
  }

  /** The socket is gone, however it went. Only the first call counts. */
  protected closed(cause: CloseCause): void {
    if (!this.isOpen) return;
    this.isOpen = false;
    if (this.#closing !== null) this.loop.timers.disarm(this.#closing.timer);
    this.#dropOutput();
    this.loop.enter();
    try {
      this.handler.onClose(this, cause);
    } catch (error) {
      this.loop.reportHandlerError(error);
    }
    try {
      this.onceClosed?.(this);
    } catch (error) {
      this.loop.reportHandlerError(error);
    }
    this.loop.leave();
  }

  /** The socket closed in order: a FIN that the runtime did not report by itself is reported first. */
  protected closedInOrder(): void {
    if (this.#sending !== 'closing') this.readEnded();
    this.closed(this.#sending === 'closing' ? 'local' : 'remote');
  }

  #afterWrite(): void {
    this.#markDirty();
    if (!this.isWritable) {
      if (this.bufferedBytes > this.#highWaterBytes + OVERSHOOT_BYTES) this.#overflow();
    } else if (this.#queuedBytes + this.unsentBytes() > this.#highWaterBytes) {
      // What is still joined may leave as a whole when the turn ends, and no drain would follow.
      this.isWritable = false;
    }
  }

  #markDirty(): void {
    if (this.#isDirty || !this.isOpen) return;
    this.#isDirty = true;
    this.loop.flushAtEnd(this);
  }

  #overflow(): void {
    this.closed('overflow');
    this.terminateSocket();
  }

  #sendJoin(): void {
    const join = this.#join;
    if (join === null) return;
    const length = this.writeOffset;
    this.#join = null;
    this.writeOffset = 0;
    let sent = 0;
    if (this.#queuedBytes === 0 && this.canSend && length > 0) {
      sent = this.sendBytes(join, 0, length);
      if (sent > 0) this.bytesWritten += sent;
    }
    // The buffer is used again, so what the kernel did not take is copied.
    if (sent >= 0 && sent < length) this.#enqueue(Buffer.from(join.subarray(sent, length)));
    this.loop.giveBuffer(join);
  }

  #sendOrQueue(data: Uint8Array, start: number, end: number): void {
    let sent = 0;
    if (this.#queuedBytes === 0 && this.canSend) {
      sent = this.sendBytes(data, start, end - start);
      if (sent < 0) return;
      this.bytesWritten += sent;
    }
    if (start + sent < end) this.#enqueue(data.subarray(start + sent, end));
  }

  #enqueue(data: Uint8Array): void {
    this.#queue.push(data);
    this.#queuedBytes += data.length;
    if (this.#queuedBytes > this.#highWaterBytes) this.isWritable = false;
  }

  #sendQueue(): void {
    while (this.#queuedBytes > 0) {
      const data = this.#queue[this.#queueHead]!;
      const sent = this.sendBytes(data, 0, data.length);
      if (sent < 0) return;
      this.bytesWritten += sent;
      this.#queuedBytes -= sent;
      if (sent < data.length) {
        this.#queue[this.#queueHead] = data.subarray(sent);
        return;
      }
      this.#queue[this.#queueHead++] = EMPTY;
    }
    this.#queue.length = 0;
    this.#queueHead = 0;
    this.#sendJoin();
  }

  #finishSending(): void {
    if (this.#queuedBytes > 0 || this.#join !== null || !this.canSend || !this.isOpen) {
      if (this.#sending === 'closing' && this.#closing === null && this.isOpen) this.#watchClosing();
      return;
    }
    if (this.#sending === 'closing') this.#closeBoth('local');
    else if (this.#sending === 'ending') {
      this.#sending = 'ended';
      if (this.#hasReadEnded) this.#closeBoth('remote');
      else this.shutdownSocket();
    }
  }

  #watchClosing(): void {
    const timer = new TimerNode(onClosingCheck);
    timer.owner = this;
    this.#closing = { timer, writtenBefore: this.bytesWritten };
    this.loop.timers.arm(timer, CLOSING_PATIENCE_MS);
  }

  /** @internal */
  checkClosing(): void {
    const closing = this.#closing;
    if (closing === null || !this.isOpen) return;
    if (this.bytesWritten === closing.writtenBefore) {
      this.terminate();
      return;
    }
    closing.writtenBefore = this.bytesWritten;
    this.loop.timers.arm(closing.timer, CLOSING_PATIENCE_MS);
  }

  #closeBoth(cause: CloseCause): void {
    if (!this.isOpen) return;
    this.closed(cause);
    this.closeSocket();
  }

  #handlerFailed(error: unknown): void {
    this.loop.reportHandlerError(error);
    this.terminate();
  }

  #dropOutput(): void {
    if (this.#join !== null) this.loop.giveBuffer(this.#join);
    this.#join = null;
    this.writeOffset = 0;
    this.#queue = [];
    this.#queueHead = 0;
    this.#queuedBytes = 0;
  }
}

function onClosingCheck(timer: TimerNode): void {
  (timer.owner as QueuedConnection).checkClosing();
}

const EMPTY = new Uint8Array(0);
