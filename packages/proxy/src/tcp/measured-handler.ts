/** An HTTP connection's counters (`http.<stat_prefix>.downstream_cx_*`), kept outside of what is counted. */
import type { Clock } from '@sluice/runtime';
import { H1DownstreamConnection } from '../http/h1-downstream.ts';
import type { Served } from '../io/accept.ts';
import type { CloseCause, Connection, ConnectionHandler } from '../io/connection.ts';
import type { ManagerStats } from '../telemetry/metrics/connection-stats.ts';

export class MeasuredHandler implements ConnectionHandler, Served {
  readonly #inner: H1DownstreamConnection;
  readonly #stats: ManagerStats;
  readonly #clock: Clock;
  readonly #openedMs: number;

  constructor(inner: H1DownstreamConnection, stats: ManagerStats, clock: Clock) {
    this.#inner = inner;
    this.#stats = stats;
    this.#clock = clock;
    this.#openedMs = clock.nowMs();
    stats.connectionOpened();
  }

  get endsByAnswer(): boolean {
    return this.#inner instanceof H1DownstreamConnection;
  }
  drain(): void {
    this.#stats.drainClose();
    this.#inner.drain();
  }
  onData(connection: Connection, data: Uint8Array): void {
    this.#inner.onData(connection, data);
  }
  onEnd(connection: Connection): void {
    this.#inner.onEnd(connection);
  }
  onDrain(): void {
    this.#inner.onDrain();
  }
  onClose(connection: Connection, cause: CloseCause): void {
    this.#inner.onClose();
    this.#stats.bytesReceived(connection.bytesRead);
    this.#stats.bytesSent(connection.bytesWritten);
    this.#stats.connectionClosed(cause !== 'local', this.#clock.nowMs() - this.#openedMs);
  }
}
