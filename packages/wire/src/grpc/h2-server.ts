/**
 * gRPC server streams over an HTTP/2 session; sockets, TLS and time are the owner's.
 *
 * A fault in serving one stream ends that stream, with the others and the process untouched. Bounds stand on
 * what a client may cost: streams in all, message size, and octets that wait for one that does not read.
 */
import { HeaderList } from '../headers/header-list.ts';
import { H } from '../headers/names.ts';
import { BufferedOutput } from '../h2/buffered-output.ts';
import { H2ErrorCode } from '../h2/error-code.ts';
import type { H2SessionSink } from '../h2/session-types.ts';
import { H2Session } from '../h2/session.ts';
import type { H2Stream } from '../h2/stream-types.ts';
import { grpcSessionOptions } from './h2-settings.ts';
import { GrpcMessageDecoder, frameGrpcMessage } from './message-framing.ts';
import { metadataOf } from './metadata.ts';
import { GrpcStatus, encodeGrpcMessage } from './status.ts';
import type {
  GrpcHandlers,
  GrpcMetadata,
  GrpcPeer,
  GrpcServerStream,
  GrpcServerStreamSink,
} from './transport.ts';

export interface GrpcServerLimits {
  /** Streams a connection may have open at once. */
  readonly maxStreams: number;
  /** Streams a connection may begin in all before it is closed: ADS needs one, a rapid reset thousands. */
  readonly maxStreamsInAll: number;
  /** Largest message taken from a client, bytes. */
  readonly maxMessageBytes: number;
  /** Bytes that may wait for a client before its stream is ended. */
  readonly maxQueuedBytes: number;
}

export interface GrpcServerOwner {
  readonly handlers: GrpcHandlers;
  readonly limits: GrpcServerLimits;
  /** Asked for by each stream. */
  peer(): GrpcPeer;
  /** There is output to take. */
  wantsFlush(): void;
  /** The connection is over for a reason of the client's: close it when output has gone. */
  onFinished(reason: string): void;
  /** A handler threw. */
  onFault(path: string, error: unknown): void;
}

export class GrpcServerConnection implements H2SessionSink {
  readonly output = new BufferedOutput();
  readonly session: H2Session;
  readonly #owner: GrpcServerOwner;
  #streamCount = 0;

  constructor(owner: GrpcServerOwner, nowMs: number) {
    this.#owner = owner;
    this.session = new H2Session(
      grpcSessionOptions('server', owner.limits.maxStreams),
      this.output,
      this,
      nowMs,
    );
    this.session.start();
  }

  /** Octets of the client, which nobody rewrites. */
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

  /** The transport is gone. */
  closed(): void {
    this.session.onTransportClosed();
  }

  onHead(h2: H2Stream, isEnd: boolean): void {
    if (++this.#streamCount > this.#owner.limits.maxStreamsInAll) {
      this.session.goAway(H2ErrorCode.ENHANCE_YOUR_CALM);
      this.#owner.onFinished('too many streams, one after the other');
      return;
    }
    const { method, path } = h2.pseudo;
    const isGrpc = h2.headers.get(H.contentType)?.startsWith('application/grpc') === true;
    if (method !== 'POST' || !isGrpc) {
      h2.sendResponseHead(isGrpc ? 405 : 415, new HeaderList(), true);
      if (!isEnd) h2.reset(H2ErrorCode.NO_ERROR);
      return;
    }
    const stream = new ServerStream(h2, path, this.#owner);
    h2.user = stream;
    stream.begin(isEnd);
  }
  onHeadTooLarge(h2: H2Stream): void {
    h2.sendResponseHead(431, new HeaderList(), true);
    h2.reset(H2ErrorCode.NO_ERROR);
  }
  onInformational(): void {
    // Only clients get interim responses.
  }
  onData(h2: H2Stream, buf: Uint8Array, start: number, end: number): void {
    h2.consumed(end - start);
    streamOf(h2)?.onData(buf, start, end);
  }
  onEnd(h2: H2Stream): void {
    streamOf(h2)?.onHalfClose();
  }
  onWritable(h2: H2Stream): void {
    streamOf(h2)?.onWritable();
  }
  onReset(h2: H2Stream): void {
    streamOf(h2)?.onGone();
  }
  onGoAway(): void {
    // The client's streams go on to their ends.
  }
  onSettings(): void {
    // Limits hold for the frames to come.
  }
  onPong(): void {
    // We ping nobody.
  }
  onFailure(_code: H2ErrorCode, detail: string): void {
    this.#owner.onFinished(detail);
  }
  onDrained(): void {
    this.#owner.onFinished('');
  }
}

class ServerStream implements GrpcServerStream {
  readonly path: string;
  readonly metadata: GrpcMetadata;
  readonly peer: GrpcPeer;
  readonly #h2: H2Stream;
  readonly #owner: GrpcServerOwner;
  #sink: GrpcServerStreamSink | null = null;
  readonly #decoder: GrpcMessageDecoder;
  #hasHead = false;
  #isOver = false;
  #isEndedByHandler = false;

  constructor(h2: H2Stream, path: string, owner: GrpcServerOwner) {
    this.#h2 = h2;
    this.#owner = owner;
    this.path = path;
    this.metadata = metadataOf(h2.headers);
    this.peer = owner.peer();
    this.#decoder = new GrpcMessageDecoder(
      {
        onMessage: (message) => this.#guard(() => this.#sink?.onMessage(message)),
        onFramingError: (code) => this.#fail(GrpcStatus.resourceExhausted, code),
      },
      owner.limits.maxMessageBytes,
    );
  }

  begin(isEnd: boolean): void {
    const handler = this.#owner.handlers.get(this.path);
    if (handler === undefined) {
      this.end(GrpcStatus.unimplemented, 'no such method');
      return;
    }
    this.#guard(() => {
      this.#sink = handler(this);
    });
    if (isEnd) this.onHalfClose();
  }

  send(message: Uint8Array, isFollowed = false): boolean {
    if (this.#isOver) return false;
    this.#sendHead();
    const framed = frameGrpcMessage(message);
    this.#h2.sendData(framed, 0, framed.length);
    if (!isFollowed) this.#owner.wantsFlush();
    if (this.#h2.queuedBytes > this.#owner.limits.maxQueuedBytes) {
      // Trailers would wait behind what is not read: the reset drops it, and is RESOURCE_EXHAUSTED to the client.
      this.#isOver = true;
      this.#h2.reset(H2ErrorCode.ENHANCE_YOUR_CALM);
      this.#owner.wantsFlush();
      this.#tellCancelled();
      return false;
    }
    return this.#h2.isWritable;
  }

  end(code: number, message = '', trailers: GrpcMetadata = []): void {
    this.#isEndedByHandler = true;
    this.#finish(code, message, trailers);
  }

  onData(buf: Uint8Array, start: number, end: number): void {
    if (!this.#isOver) this.#decoder.execute(buf, start, end);
  }

  onHalfClose(): void {
    if (!this.#isOver) this.#guard(() => this.#sink?.onHalfClose());
  }

  onWritable(): void {
    if (!this.#isOver) this.#guard(() => this.#sink?.onDrain?.());
  }

  /** Reset, or the connection is gone. */
  onGone(): void {
    if (this.#isOver) return;
    this.#isOver = true;
    this.#tellCancelled();
  }

  /** Ends the stream without the handler's doing, and tells it. */
  #fail(code: number, message: string): void {
    if (this.#isOver) return;
    this.#finish(code, message, []);
    this.#tellCancelled();
  }

  #finish(code: number, message: string, trailers: GrpcMetadata): void {
    if (this.#isOver) return;
    this.#isOver = true;
    const fields = new HeaderList();
    if (!this.#hasHead) fields.append('content-type', 'application/grpc');
    fields.append(H.grpcStatus, String(code));
    if (message !== '') fields.append(H.grpcMessage, encodeGrpcMessage(message));
    for (const [name, value] of trailers) fields.append(name, value);
    if (this.#hasHead) this.#h2.sendEnd(fields);
    else this.#h2.sendResponseHead(200, fields, true);
    // What the client has still to say is not waited for, unless our answer is.
    if (!this.#h2.isRemoteEnded && this.#h2.queuedBytes === 0) this.#h2.reset(H2ErrorCode.NO_ERROR);
    this.#owner.wantsFlush();
  }

  #sendHead(): void {
    if (this.#hasHead) return;
    this.#hasHead = true;
    const headers = new HeaderList();
    headers.append('content-type', 'application/grpc');
    this.#h2.sendResponseHead(200, headers, false);
  }

  #tellCancelled(): void {
    const sink = this.#sink;
    this.#sink = null;
    if (sink !== null && !this.#isEndedByHandler) this.#guard(() => sink.onCancelled());
  }

  #guard(serve: () => void): void {
    try {
      serve();
    } catch (error) {
      this.#owner.onFault(this.path, error);
      this.#fail(GrpcStatus.internal, 'internal error');
    }
  }
}

function streamOf(h2: H2Stream): ServerStream | undefined {
  return h2.user instanceof ServerStream ? h2.user : undefined;
}
