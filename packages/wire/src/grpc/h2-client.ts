/**
 * gRPC client streams over an HTTP/2 session; sockets, time and when to connect are the owner's.
 *
 * Everything a stream does ends in `onStatus`, exactly once: by the server's trailers, its reset, our
 * `cancel`, or the end of the connection.
 */
import { HeaderList } from '../headers/header-list.ts';
import { BufferedOutput } from '../h2/buffered-output.ts';
import { H2ErrorCode, h2ErrorName } from '../h2/error-code.ts';
import type { H2SessionSink } from '../h2/session-types.ts';
import { H2Session } from '../h2/session.ts';
import type { H2Stream } from '../h2/stream-types.ts';
import { grpcSessionOptions } from './h2-settings.ts';
import { GrpcMessageDecoder, frameGrpcMessage } from './message-framing.ts';
import { metadataOf, readStatus } from './metadata.ts';
import { GrpcStatus, grpcStatusOfHttp } from './status.ts';
import type { GrpcClientStream, GrpcMetadata, GrpcStreamSink } from './transport.ts';

export interface GrpcClientOptions {
  readonly authority: string;
  readonly scheme: 'http' | 'https';
  readonly maxMessageBytes: number;
}

export interface GrpcClientOwner {
  /** There is output to take. May be called within `receive`; taking it later is fine. */
  wantsFlush(): void;
  onPong(payload: number): void;
  /** No stream can be opened any more; those that are open go on. */
  onUnusable(): void;
  /** Nothing is left to do on the connection, or the server broke the protocol: close it when output has gone. */
  onFinished(): void;
}

const HTTP_OK = 200;

export class GrpcClientConnection implements H2SessionSink {
  readonly output = new BufferedOutput();
  readonly session: H2Session;
  readonly #options: GrpcClientOptions;
  readonly #owner: GrpcClientOwner;
  /** Why streams end when the connection does. */
  #failure = 'the connection was closed';

  constructor(options: GrpcClientOptions, owner: GrpcClientOwner, nowMs: number) {
    this.#options = options;
    this.#owner = owner;
    // A server opens no streams towards us.
    this.session = new H2Session(grpcSessionOptions('client', 0), this.output, this, nowMs);
    this.session.start();
  }

  get isUsable(): boolean {
    return !this.session.isDead && !this.session.isDraining;
  }

  open(path: string, metadata: GrpcMetadata, sink: GrpcStreamSink): GrpcClientStream {
    const h2 = this.session.open(null);
    const { maxMessageBytes, scheme, authority } = this.#options;
    const stream = new ClientStream(h2, sink, maxMessageBytes, this.#owner);
    if (h2 === null) {
      stream.fail(
        GrpcStatus.unavailable,
        this.isUsable ? 'the server allows no more streams' : this.#failure,
      );
      return stream;
    }
    h2.user = stream;
    const headers = new HeaderList();
    headers.append('content-type', 'application/grpc');
    headers.append('te', 'trailers');
    for (const [name, value] of metadata) {
      if (!headers.append(name, value)) {
        stream.fail(GrpcStatus.internal, `metadata "${name}" cannot be sent`);
        return stream;
      }
    }
    h2.sendRequestHead('POST', scheme, authority, path, '', headers, false);
    this.#owner.wantsFlush();
    return stream;
  }

  /** Octets of the server, which nobody rewrites. */
  receive(data: Uint8Array, nowMs: number): void {
    this.session.receive(data, 0, data.length, nowMs);
    this.#owner.wantsFlush();
  }

  /** The transport takes octets again. */
  drained(): void {
    this.output.isWritable = true;
    this.session.onOutputDrain();
    this.#owner.wantsFlush();
  }

  /** The transport is gone, or given up: every stream ends UNAVAILABLE for this reason. */
  closed(reason: string): void {
    this.#failure = reason;
    this.session.onTransportClosed();
  }

  onHead(h2: H2Stream, isEnd: boolean): void {
    streamOf(h2)?.onHead(h2.pseudo.status, h2.headers, isEnd);
  }
  onHeadTooLarge(): void {
    // A client resets such a response by itself.
  }
  onInformational(): void {
    // gRPC gives interim responses no meaning.
  }
  onData(h2: H2Stream, buf: Uint8Array, start: number, end: number): void {
    h2.consumed(end - start);
    streamOf(h2)?.onData(buf, start, end);
  }
  onEnd(h2: H2Stream, trailers: HeaderList | null): void {
    streamOf(h2)?.onEnd(trailers);
  }
  onWritable(h2: H2Stream): void {
    streamOf(h2)?.onWritable();
  }
  onReset(h2: H2Stream, code: number, isByPeer: boolean): void {
    if (this.session.isDead) streamOf(h2)?.fail(GrpcStatus.unavailable, this.#failure);
    else streamOf(h2)?.onReset(code, isByPeer);
  }
  onGoAway(_lastStreamId: number, code: number): void {
    if (code !== H2ErrorCode.NO_ERROR)
      this.#failure = `the server closed the connection: ${h2ErrorName(code)}`;
    this.#owner.onUnusable();
  }
  onSettings(): void {
    // Limits hold for the streams to come.
  }
  onPong(payload: number): void {
    this.#owner.onPong(payload);
  }
  onFailure(code: H2ErrorCode, detail: string): void {
    this.#failure = `${h2ErrorName(code)}: ${detail}`;
    this.#owner.onUnusable();
    this.#owner.onFinished();
  }
  onDrained(): void {
    this.#owner.onFinished();
  }
}

class ClientStream implements GrpcClientStream {
  readonly #h2: H2Stream | null;
  readonly #sink: GrpcStreamSink;
  readonly #owner: GrpcClientOwner;
  readonly #decoder: GrpcMessageDecoder;
  #httpStatus = HTTP_OK;
  #isOver = false;

  constructor(h2: H2Stream | null, sink: GrpcStreamSink, maxMessageBytes: number, owner: GrpcClientOwner) {
    this.#h2 = h2;
    this.#sink = sink;
    this.#owner = owner;
    this.#decoder = new GrpcMessageDecoder(
      {
        onMessage: (message) => {
          if (!this.#isOver) sink.onMessage(message);
        },
        onFramingError: (code) => this.fail(GrpcStatus.internal, code),
      },
      maxMessageBytes,
    );
  }

  send(message: Uint8Array): boolean {
    if (this.#isOver || this.#h2 === null) return true;
    const framed = frameGrpcMessage(message);
    this.#h2.sendData(framed, 0, framed.length);
    this.#owner.wantsFlush();
    return this.#h2.isWritable;
  }

  halfClose(): void {
    if (this.#isOver) return;
    this.#h2?.sendEnd(null);
    this.#owner.wantsFlush();
  }

  cancel(): void {
    this.fail(GrpcStatus.cancelled, 'cancelled');
  }

  /** Ends the stream from our side. */
  fail(code: number, message: string): void {
    if (this.#isOver) return;
    this.#over(code, message, []);
    this.#h2?.reset(H2ErrorCode.CANCEL);
    this.#owner.wantsFlush();
  }

  onHead(httpStatus: number, headers: HeaderList, isEnd: boolean): void {
    this.#httpStatus = httpStatus;
    // Trailers-only: the status comes with the head.
    if (isEnd) this.onEnd(headers);
  }

  onData(buf: Uint8Array, start: number, end: number): void {
    // The content of an HTTP error is no message.
    if (!this.#isOver && this.#httpStatus === HTTP_OK) this.#decoder.execute(buf, start, end);
  }

  onWritable(): void {
    if (!this.#isOver) this.#sink.onDrain?.();
  }

  onEnd(trailers: HeaderList | null): void {
    if (this.#isOver) return;
    const status = trailers === null ? null : readStatus(trailers);
    // A message cut off is no success.
    if (status?.code === GrpcStatus.ok) this.#decoder.finish();
    if (this.#isOver) return;
    if (status !== null && trailers !== null) {
      this.#over(status.code, status.message, metadataOf(trailers));
    } else if (this.#httpStatus === HTTP_OK) {
      this.#over(GrpcStatus.unavailable, 'the stream ended without a status', []);
    } else {
      this.#over(grpcStatusOfHttp(this.#httpStatus), `HTTP status ${this.#httpStatus}`, []);
    }
    // The call is over whatever we had still to say.
    if (this.#h2?.isLocalEnded === false) this.#h2.reset(H2ErrorCode.CANCEL);
  }

  onReset(h2Code: number, isByPeer: boolean): void {
    if (this.#isOver) return;
    const who = isByPeer ? 'the server reset the stream' : 'the server’s answer is malformed';
    this.#over(statusOfReset(h2Code), `${who}: ${h2ErrorName(h2Code)}`, []);
  }

  #over(code: number, message: string, trailers: GrpcMetadata): void {
    this.#isOver = true;
    this.#sink.onStatus(code, message, trailers);
  }
}

function streamOf(h2: H2Stream): ClientStream | undefined {
  return h2.user instanceof ClientStream ? h2.user : undefined;
}

/** What gRPC makes of RST_STREAM (its protocol over HTTP/2, "Errors"). */
function statusOfReset(code: number): number {
  switch (code) {
    case H2ErrorCode.REFUSED_STREAM:
      return GrpcStatus.unavailable;
    case H2ErrorCode.CANCEL:
      return GrpcStatus.cancelled;
    case H2ErrorCode.ENHANCE_YOUR_CALM:
      return GrpcStatus.resourceExhausted;
    case H2ErrorCode.INADEQUATE_SECURITY:
      return GrpcStatus.permissionDenied;
    default:
      return GrpcStatus.internal;
  }
}
