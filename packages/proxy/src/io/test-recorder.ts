/** A handler that records what happens to one connection and lets a test wait for it. */
import { expect } from 'bun:test';
import type { CloseCause, ConnectFailure, ConnectHandler, Connection } from './connection.ts';

export class Recorder implements ConnectHandler {
  connection: Connection | null = null;
  received = 0;
  text = '';
  chunks: Uint8Array[] = [];
  hasEnded = false;
  drains = 0;
  closeCause: CloseCause | null = null;
  failure: ConnectFailure | null = null;
  isConnected = false;
  onChunk: ((connection: Connection, data: Uint8Array) => void) | null = null;
  #waits: { until: () => boolean; done: () => void }[] = [];

  onConnect(connection: Connection): void {
    this.connection = connection;
    this.isConnected = true;
    this.#check();
  }
  onConnectError(_connection: Connection, failure: ConnectFailure): void {
    this.failure = failure;
    this.#check();
  }
  onData(connection: Connection, data: Uint8Array): void {
    this.received += data.length;
    this.chunks.push(data);
    if (this.text.length < 4096) this.text += Buffer.from(data).toString('latin1');
    this.onChunk?.(connection, data);
    this.#check();
  }
  onEnd(): void {
    this.hasEnded = true;
    this.#check();
  }
  onDrain(): void {
    this.drains++;
    this.#check();
  }
  onClose(_connection: Connection, cause: CloseCause): void {
    expect(this.closeCause).toBeNull();
    this.closeCause = cause;
    this.#check();
  }
  until(condition: () => boolean): Promise<void> {
    if (condition()) return Promise.resolve();
    return new Promise((done) => this.#waits.push({ until: condition, done }));
  }
  #check(): void {
    this.#waits = this.#waits.filter((wait) => {
      if (!wait.until()) return true;
      wait.done();
      return false;
    });
  }
}
