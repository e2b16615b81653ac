/**
 * One HTTP/1.1 connection to an endpoint, and the stream of the request it carries.
 *
 *   connecting ──► idle ⇄ busy ──► closed
 *                          └──► tunnel ──► closed      (101)
 *
 * A connection is pooled again only when request and response have both ended, the upstream allows it and
 * not an octet more has come: what an upstream sends unasked must never become another request's answer.
 */
import {
  H1ResponseParser,
  writeChunkEnd,
  writeChunkHeader,
  writeLastChunk,
  writeRequestHead,
} from '@sluice/wire';
import type {
  H1ParseError,
  H1ResponseSink,
  HeaderList,
  RequestWriteOptions,
  ResponseHead,
} from '@sluice/wire';
import type { Clock } from '@sluice/runtime';
import type { Endpoint, PriorityLimits } from '../cluster/cluster.ts';
import { Deadline } from '../http/deadline.ts';
import {
  STREAM_WINDOW_BYTES,
  type ResponseMessage,
  type ResponseSink,
  type UpstreamRequest,
  type UpstreamReset,
  type UpstreamStream,
} from '../http/streams.ts';
import { WebSocketHandshake } from '../http/websocket-handshake.ts';
import type { CloseCause, Connection, ConnectionHandler } from '../io/connection.ts';
import type { TlsFacts } from '../io/tls-facts.ts';
import type { PoolServices } from './pool-services.ts';
import type { ConnectionOwner, PooledConnection } from './pooled-connection.ts';

/** Room for a head that is not unusually large; the rest of the join buffer is used too. */
const USUAL_HEAD_BYTES = 4096;

export class H1UpstreamConnection
  implements ConnectionHandler, UpstreamStream, PooledConnection, H1ResponseSink
{
  readonly endpoint: Endpoint;
  readonly limits: PriorityLimits;
  readonly openedMs: number;
  requestCount = 0;
  isReady = false;
  readonly #owner: ConnectionOwner;
  readonly #services: PoolServices;
  readonly #clock: Clock;
  readonly #connection: Connection;
  readonly #parser = new H1ResponseParser(this);
  readonly #response: ResponseMessage = { status: 0, headers: this.#parser.head.headers, contentLength: -1 };
  readonly #options: RequestWriteOptions = {
    bodyKind: 'none',
    contentLength: 0,
    connection: 'omit',
    passesUpgrade: false,
  };
  readonly #idleDeadline: Deadline;
  #localAddress: string | null = null;
  #sink: ResponseSink | null = null;
  #handshake: WebSocketHandshake | null = null;
  /** The client asked by extended CONNECT, where any 2xx says that its tunnel is open (RFC 8441 §5). */
  #mustSwitch = false;
  #hasSentEnd = false;
  #hasResponseEnded = false;
  #trailers: HeaderList | null = null;
  #isTainted = false;
  #isTunnel = false;
  /** What follows an upgrade or CONNECT waits for the answer: before it, an endpoint would read it as requests. */
  #awaitsTunnel = false;
  #hasHeldEnd = false;
  #isRetired = false;
  #uncreditedBytes = 0;
  #reportedSent = 0;
  #reportedReceived = 0;

  constructor(
    owner: ConnectionOwner,
    connection: Connection,
    endpoint: Endpoint,
    limits: PriorityLimits,
    services: PoolServices,
  ) {
    this.#owner = owner;
    this.#connection = connection;
    this.endpoint = endpoint;
    this.limits = limits;
    this.#services = services;
    this.#clock = services.clock;
    this.openedMs = services.clock.nowMs();
    this.#idleDeadline = new Deadline(services.timers, this, onIdleTooLong);
  }

  get tls(): TlsFacts | null {
    return this.#connection.tls;
  }
  get localAddress(): string {
    const connection = this.#connection;
    return (this.#localAddress ??= `${connection.localAddress}:${connection.localPort}`);
  }
  get isReused(): boolean {
    return this.requestCount > 1;
  }
  get isWritable(): boolean {
    return !this.#awaitsTunnel && this.#connection.isWritable;
  }
  get queuedBytes(): number {
    return this.#connection.bufferedBytes;
  }
  get isOpen(): boolean {
    return this.#connection.isOpen && !this.#isRetired;
  }
  get isIdle(): boolean {
    return this.#sink === null;
  }
  get freeStreams(): number {
    return this.#sink === null ? 1 : 0;
  }

  assign(sink: ResponseSink): void {
    this.#idleDeadline.clear();
    this.requestCount++;
    this.#sink = sink;
    this.#handshake = null;
    this.#hasSentEnd = false;
    this.#hasResponseEnded = false;
    this.#trailers = null;
    this.#uncreditedBytes = 0;
    sink.onUpstreamReady(this);
  }

  rest(timeoutMs: number): void {
    if (timeoutMs > 0) this.#idleDeadline.setIn(timeoutMs, this.#clock.nowMs());
  }

  retire(): void {
    this.#isRetired = true;
    if (this.#sink !== null) return;
    this.#idleDeadline.dispose();
    this.#connection.close();
  }

  // --- the stream ---

  sendHead(request: UpstreamRequest, isEnd: boolean): void {
    const options = this.#options;
    const isConnect = request.upgrade === 'connect';
    const isUpgrade = request.upgrade !== '' && !isConnect;
    const target = isConnect ? request.authority : request.path;
    if (request.upgrade === 'websocket')
      this.#handshake = WebSocketHandshake.of(request, this.#services.random);
    this.#mustSwitch = isUpgrade && request.needsWebSocketKey;
    options.passesUpgrade = isUpgrade;
    if (isUpgrade || isConnect || (isEnd && request.contentLength !== 0)) options.bodyKind = 'none';
    else options.bodyKind = request.contentLength >= 0 ? 'length' : 'chunked';
    options.contentLength = request.contentLength;
    this.#parser.expectResponseTo(request.method, isUpgrade);
    this.#parser.resume();
    this.#hasSentEnd = isEnd && !isUpgrade && !isConnect;
    this.#awaitsTunnel = isUpgrade || isConnect;
    this.#hasHeldEnd = false;
    const connection = this.#connection;
    let buffer = connection.reserve(USUAL_HEAD_BYTES);
    let end = writeRequestHead(
      buffer,
      connection.writeOffset,
      request.method,
      target,
      request.headers,
      options,
    );
    if (end < 0) {
      // The target may be written twice: as Host too.
      buffer = connection.reserve(2 * (request.headers.byteSize + target.length) + USUAL_HEAD_BYTES);
      end = writeRequestHead(
        buffer,
        connection.writeOffset,
        request.method,
        target,
        request.headers,
        options,
      );
    }
    if (end >= 0) {
      connection.commit(end);
      return;
    }
    this.#fail('protocol-error', 'request head too large to write');
    connection.terminate();
  }

  sendData(data: Uint8Array, start: number, end: number): void {
    const connection = this.#connection;
    if (this.#isTunnel || this.#options.bodyKind !== 'chunked') {
      connection.write(data, start, end);
      return;
    }
    connection.commit(writeChunkHeader(connection.reserve(32), connection.writeOffset, end - start));
    connection.write(data, start, end);
    connection.commit(writeChunkEnd(connection.reserve(2), connection.writeOffset));
  }

  sendEnd(trailers: HeaderList | null): void {
    const connection = this.#connection;
    this.#hasSentEnd = true;
    if (this.#awaitsTunnel) this.#hasHeldEnd = true;
    else if (this.#isTunnel) connection.end();
    else if (this.#options.bodyKind === 'chunked') {
      const room = connection.reserve(64 + (trailers === null ? 0 : trailers.byteSize));
      connection.commit(writeLastChunk(room, connection.writeOffset, trailers ?? undefined));
    }
  }

  consumed(byteCount: number): void {
    this.#uncreditedBytes -= byteCount;
    const connection = this.#connection;
    if (connection.isPaused && this.#uncreditedBytes <= STREAM_WINDOW_BYTES / 2) connection.resume();
  }

  release(): void {
    if (this.#sink === null) return;
    this.#sink = null;
    const connection = this.#connection;
    if (!connection.isOpen) return;
    const isWhole = this.#hasResponseEnded && this.#hasSentEnd && !this.#isTainted && !this.#isTunnel;
    if (!isWhole) {
      // An unfinished exchange cannot be ended any other way in HTTP/1.
      // Of a tunnel each direction is complete by itself: what we have said to the end still leaves.
      if (this.#isTunnel && (this.#hasResponseEnded || this.#hasSentEnd)) connection.close();
      else connection.terminate();
      return;
    }
    if (connection.isPaused) connection.resume();
    this.#reportBytes();
    if (this.#parser.head.isKeepAlive && !this.#isRetired) this.#owner.onFree(this);
    else connection.close();
  }

  // --- the socket ---

  onData(connection: Connection, data: Uint8Array): void {
    if (this.#sink === null) {
      // Nobody asked: a 408 before closing, or an upstream that cannot be trusted with the next request.
      connection.close();
      return;
    }
    const at = this.#parser.execute(data, 0, data.length);
    if (at < data.length) this.#isTainted = true;
    this.#deliverEnd();
  }

  onEnd(connection: Connection): void {
    if (this.#sink === null) {
      connection.close();
      return;
    }
    this.#isTainted = true;
    this.#parser.finish();
    this.#deliverEnd();
    if (!this.#isTunnel && connection.isOpen) connection.close();
  }

  onDrain(): void {
    this.#sink?.onUpstreamWritable();
  }

  onClose(_connection: Connection, cause: CloseCause): void {
    this.#idleDeadline.dispose();
    this.#reportBytes();
    this.#owner.onClosed(this, cause !== 'local');
    this.#fail(
      'connection-termination',
      cause === 'reset' ? 'connection reset by peer' : 'connection closed by peer',
    );
  }

  // --- the parser ---

  onInformationalHead(head: ResponseHead): void {
    this.#response.status = head.status;
    this.#sink?.onInformational(this.#response);
  }

  onResponseHead(head: ResponseHead): void {
    this.#parser.pause();
    const response = this.#response;
    response.status = head.status;
    response.contentLength =
      head.bodyKind === 'length' ? head.contentLength : head.bodyKind === 'none' ? 0 : -1;
    this.#isTunnel = head.bodyKind === 'tunnel';
    const problem = this.#upgradeProblem(response);
    if (problem !== '') {
      this.#fail('protocol-error', problem);
      this.#connection.terminate();
      return;
    }
    const isOpening = this.#isTunnel && this.#awaitsTunnel;
    if (isOpening) this.#awaitsTunnel = false;
    this.#sink?.onResponseHead(
      response,
      head.bodyKind === 'none' || (head.bodyKind === 'length' && head.contentLength === 0),
    );
    if (!isOpening || this.#sink === null) return;
    if (this.#hasHeldEnd) this.#connection.end();
    else this.#sink.onUpstreamWritable();
  }

  onBodyData(buf: Uint8Array, start: number, end: number): void {
    const sink = this.#sink;
    if (sink === null) return;
    this.#uncreditedBytes += end - start;
    sink.onResponseData(buf, start, end);
    const connection = this.#connection;
    if (this.#uncreditedBytes > STREAM_WINDOW_BYTES && connection.isOpen) connection.pause();
  }

  onTrailers(trailers: HeaderList): void {
    this.#trailers = trailers;
  }

  onMessageEnd(): void {
    this.#hasResponseEnded = true;
  }

  onParseError(error: H1ParseError): void {
    this.#fail(error.code === 'h1-truncated' ? 'connection-termination' : 'protocol-error', error.message);
    this.#connection.terminate();
  }

  onIdleTooLong(): void {
    if (this.#sink === null) this.retire();
  }

  /** After the whole chunk was read, so that octets behind the response are seen before it counts as done. */
  #deliverEnd(): void {
    const sink = this.#sink;
    if (sink !== null && this.#hasResponseEnded) sink.onResponseEnd(this.#trailers);
  }

  /** Why the answer to an Upgrade cannot be passed on; empty = it can, or none was asked for. */
  #upgradeProblem({ status, headers }: ResponseMessage): string {
    if (status === 101)
      return this.#handshake === null || this.#handshake.accepts(headers)
        ? ''
        : 'the answer to the WebSocket handshake does not fit its key';
    return this.#mustSwitch && status >= 200 && status < 300
      ? 'the upgrade was answered with success, but not done'
      : '';
  }

  #fail(reset: UpstreamReset, detail: string): void {
    const sink = this.#sink;
    if (sink === null) return;
    this.#sink = null;
    sink.onUpstreamReset(reset, detail);
  }

  #reportBytes(): void {
    const connection = this.#connection;
    this.#owner.onBytes(
      connection.bytesWritten - this.#reportedSent,
      connection.bytesRead - this.#reportedReceived,
    );
    this.#reportedSent = connection.bytesWritten;
    this.#reportedReceived = connection.bytesRead;
  }
}

function onIdleTooLong(owner: unknown): void {
  (owner as H1UpstreamConnection).onIdleTooLong();
}
