/**
 * The upstream side of a CONNECT that ends here: a plain TCP connection to the endpoint, answered with 200
 * once it stands, opaque bytes after that.
 */
import { HeaderList } from '@sluice/wire';
import type { Cluster, Endpoint } from '../cluster/cluster.ts';
import {
  STREAM_WINDOW_BYTES,
  type ResponseMessage,
  type ResponseSink,
  type UpstreamReset,
  type UpstreamStream,
} from '../http/streams.ts';
import type {
  CloseCause,
  ConnectFailure,
  ConnectHandler,
  Connection,
  SocketProvider,
} from '../io/connection.ts';
import type { TlsFacts } from '../io/tls-facts.ts';
import type { ConnectionFacts } from '../listener/connection-facts.ts';
import { resetOf } from './connect-reset.ts';

export class TunnelStream implements ConnectHandler, UpstreamStream {
  readonly endpoint: Endpoint;
  readonly isReused = false;
  readonly #cluster: Cluster;
  readonly #onOver: () => void;
  readonly #response: ResponseMessage = { status: 200, headers: new HeaderList(), contentLength: -1 };
  #sink: ResponseSink | null;
  #connection: Connection | null = null;
  #hasConnected = false;
  #hasAnswered = false;
  #hasEnded = false;
  #isOver = false;
  #uncreditedBytes = 0;

  constructor(cluster: Cluster, endpoint: Endpoint, sink: ResponseSink, onOver: () => void) {
    this.#cluster = cluster;
    this.endpoint = endpoint;
    this.#sink = sink;
    this.#onOver = onOver;
  }

  get tls(): TlsFacts | null {
    return this.#connection?.tls ?? null;
  }
  get localAddress(): string {
    return this.#connection === null ? '' : `${this.#connection.localAddress}:${this.#connection.localPort}`;
  }
  get isWritable(): boolean {
    return this.#connection !== null && this.#connection.isWritable;
  }

  get queuedBytes(): number {
    return this.#connection === null ? 0 : this.#connection.bufferedBytes;
  }

  connect(sockets: SocketProvider, downstream: ConnectionFacts | null): void {
    const cluster = this.#cluster;
    const transport = cluster.transportFor(this.endpoint);
    this.#connection = sockets.connect(
      {
        address: this.endpoint.address,
        port: this.endpoint.port,
        sourceAddress: cluster.sourceAddress,
        clientSource: downstream?.clientSource ?? null,
        keepalive: cluster.keepalive,
        connectTimeoutMs: cluster.connectTimeoutMs,
        tls: transport.tls,
        preface: transport.proxyHeader?.bytes(downstream) ?? null,
        highWaterBytes: cluster.bufferLimitBytes,
      },
      this,
    );
  }

  sendHead(): void {
    // Nothing is written upstream; the answer comes once the caller has returned from here.
    queueMicrotask(() => this.#answer());
  }
  sendData(data: Uint8Array, start: number, end: number): void {
    this.#connection?.write(data, start, end);
  }
  sendEnd(): void {
    this.#connection?.end();
  }
  consumed(byteCount: number): void {
    this.#uncreditedBytes -= byteCount;
    if (this.#uncreditedBytes <= STREAM_WINDOW_BYTES / 2) this.#connection?.resume();
  }
  release(): void {
    this.#sink = null;
    const connection = this.#connection;
    if (connection !== null && connection.isOpen) {
      if (this.#hasEnded) connection.close();
      else connection.terminate();
    }
    this.#over();
  }

  onConnect(): void {
    this.#hasConnected = true;
    const { stats } = this.endpoint;
    stats.connections++;
    stats.activeConnections++;
    this.#cluster.stats.connectionOpened();
    this.#sink?.onUpstreamReady(this);
  }
  onConnectError(connection: Connection, failure: ConnectFailure): void {
    this.endpoint.stats.connections++;
    this.endpoint.stats.connectFailures++;
    this.#cluster.stats.connectFailed();
    if (failure === 'timeout') this.#cluster.stats.connectTimeout();
    const detail = connection.failureDetail;
    this.#fail(resetOf(failure), detail === '' ? `connection ${failure}` : detail);
  }
  onData(connection: Connection, data: Uint8Array): void {
    // A server that speaks first may be heard in the event that told of the connection.
    this.#answer();
    this.#uncreditedBytes += data.length;
    this.#sink?.onResponseData(data, 0, data.length);
    if (this.#uncreditedBytes > STREAM_WINDOW_BYTES && connection.isOpen) connection.pause();
  }
  onEnd(): void {
    this.#answer();
    this.#hasEnded = true;
    this.#sink?.onResponseEnd(null);
  }
  onDrain(): void {
    this.#sink?.onUpstreamWritable();
  }
  onClose(_connection: Connection, cause: CloseCause): void {
    this.#over();
    this.#cluster.stats.connectionClosed(cause !== 'local');
    this.#fail('connection-termination', 'connection closed by peer');
  }

  #answer(): void {
    if (this.#hasAnswered) return;
    this.#hasAnswered = true;
    this.#sink?.onResponseHead(this.#response, false);
  }

  #fail(reset: UpstreamReset, detail: string): void {
    const sink = this.#sink;
    this.#sink = null;
    this.#over();
    sink?.onUpstreamReset(reset, detail);
  }

  #over(): void {
    if (this.#isOver) return;
    this.#isOver = true;
    if (this.#hasConnected) this.endpoint.stats.activeConnections--;
    this.#onOver();
  }
}
