/** A connection in memory for tests and fuzzing: what is written is kept, events are calls. */
import type { CloseCause, Connection, ConnectionHandler, TlsHandshakeHandler } from './connection.ts';
import type { TlsServerContext } from './tls-context.ts';
import type { OnceClosed } from './once-closed.ts';
import type { TlsFacts } from './tls-facts.ts';

export class MemoryConnection implements Connection {
  handler: ConnectionHandler = { onData() {}, onEnd() {}, onDrain() {}, onClose() {} };
  onceClosed: OnceClosed | null = null;
  readonly localAddress = '127.0.0.1';
  readonly localPort = 80;
  readonly remoteAddress = '127.0.0.1';
  readonly remotePort = 1;
  readonly fd = -1;
  isOpen = true;
  isWritable = true;
  isPaused = false;
  hasEnded = false;
  bytesRead = 0;
  bytesWritten = 0;
  bufferedBytes = 0;
  writeOffset = 0;
  tls: TlsFacts | null = null;
  failureDetail = '';
  written: Uint8Array[] = [];
  #room: Uint8Array = new Uint8Array(0);

  reserve(byteCount: number): Uint8Array {
    if (this.#room.length < byteCount) this.#room = new Uint8Array(byteCount);
    this.writeOffset = 0;
    return this.#room;
  }
  commit(end: number): void {
    if (end < 0) throw new Error('a write did not fit');
    this.#keep(this.#room.slice(0, end));
  }
  write(data: Uint8Array, start: number, end: number): void {
    this.#keep(data.slice(start, end));
  }
  flush(): void {}
  /** Memory has no engine: every handshake fails. */
  startTls(
    _context: TlsServerContext,
    _peeked: Uint8Array | null,
    _timeoutMs: number,
    handler: TlsHandshakeHandler,
  ): void {
    this.isOpen = false;
    handler.onTlsFailed(this, { kind: 'protocol', reason: 'a connection in memory cannot be encrypted' });
  }
  pause(): void {
    this.isPaused = true;
  }
  resume(): void {
    this.isPaused = false;
  }
  end(): void {
    this.hasEnded = true;
  }
  close(): void {
    this.closeBy('local');
  }
  terminate(): void {
    this.closeBy('local');
  }

  /** Delivers octets as the socket would. */
  receive(data: Uint8Array): void {
    if (!this.isOpen) return;
    this.bytesRead += data.length;
    this.handler.onData(this, data);
  }
  closeBy(cause: CloseCause): void {
    if (!this.isOpen) return;
    this.isOpen = false;
    this.handler.onClose(this, cause);
    this.onceClosed?.(this);
  }
  text(): string {
    return Buffer.concat(this.written).toString('latin1');
  }

  #keep(data: Uint8Array): void {
    if (!this.isOpen || this.hasEnded) return;
    this.bytesWritten += data.length;
    this.written.push(data);
  }
}
