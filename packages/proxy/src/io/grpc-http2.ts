/**
 * gRPC client streams over node:http2, for xDS until our own HTTP/2 carries it.
 *
 * One connection per transport, made when a stream is opened and made anew after it was lost; when to try
 * again is the caller's decision. A peer that has vanished without a FIN is found by pings: without an
 * answer within the timeout the connection is dropped and every stream on it ends UNAVAILABLE.
 */
import {
  connect,
  constants,
  type ClientHttp2Session,
  type ClientHttp2Stream,
  type IncomingHttpHeaders,
} from 'node:http2';
import { connect as connectSocket } from 'node:net';
import {
  decodeGrpcMessage,
  frameGrpcMessage,
  GrpcMessageDecoder,
  GrpcStatus,
  grpcStatusOfHttp,
  parseGrpcStatus,
} from '@sluice/wire';
import type { GrpcClientStream, GrpcMetadata, GrpcStreamSink, GrpcStreamTransport } from '@sluice/wire';
import { TimerNode, type TimerWheel } from '@sluice/runtime';
import type { TLSSocket } from 'node:tls';
import { connectTls } from './grpc-tls.ts';
import type { TlsClientContext } from './tls-context.ts';

export interface Http2TransportOptions {
  /** `host:port`, or `unix:/path`. */
  readonly target: string;
  readonly timers: TimerWheel;
  /** Asked for the settings of the moment at each connection; null or absent = plain. */
  readonly tls?: TlsClientContext | null;
  readonly maxMessageBytes?: number;
  /** Interval between pings; 0 = none. */
  readonly pingIntervalMs?: number;
  readonly pingTimeoutMs?: number;
  readonly connectTimeoutMs?: number;
}

export interface Http2Transport extends GrpcStreamTransport {
  /** Ends the connection and all streams; a later `open` connects anew. */
  close(): void;
  /** The next stream gets a new connection (there is a new credential); the old one ends with its streams. */
  retire(): void;
}

/** Full state-of-the-world pushes of large meshes; grpc's default of 4 MiB is too small for them. */
const DEFAULT_MAX_MESSAGE_BYTES = 256 * 1024 * 1024;
const DEFAULT_PING_INTERVAL_MS = 30_000;
const DEFAULT_PING_TIMEOUT_MS = 10_000;
const DEFAULT_CONNECT_TIMEOUT_MS = 5_000;

export function http2Transport(options: Http2TransportOptions): Http2Transport {
  let session: Connected | null = null;
  return {
    open(path, metadata, sink) {
      if (session === null || !session.isUsable) session = new Connected(options);
      return session.open(path, metadata, sink);
    },
    close() {
      session?.destroy();
      session = null;
    },
    retire() {
      session?.endGently();
      session = null;
    },
  };
}

/** A connection with what was opened on it before it was there. */
class Connected {
  readonly #waiting: WaitingStream[] = [];
  #session: Session | null = null;
  #giveUp: (() => void) | null = null;
  #failure: string | null = null;

  constructor(options: Http2TransportOptions) {
    const { tls, target, timers } = options;
    if (tls === null || tls === undefined) {
      this.#session = new Session(options, null);
      return;
    }
    const timer = new TimerNode(() => this.#giveUp?.());
    timers.arm(timer, options.connectTimeoutMs ?? DEFAULT_CONNECT_TIMEOUT_MS);
    this.#giveUp = connectTls(target, tls, (result) => {
      timers.disarm(timer);
      this.#settled('reason' in result ? result.reason : new Session(options, result));
    });
  }

  get isUsable(): boolean {
    return this.#failure === null && this.#session?.isUsable !== false;
  }

  open(path: string, metadata: GrpcMetadata, sink: GrpcStreamSink): GrpcClientStream {
    if (this.#session !== null) return this.#session.open(path, metadata, sink);
    const stream = new WaitingStream(path, metadata, sink);
    if (this.#failure === null) this.#waiting.push(stream);
    else stream.failed(this.#failure);
    return stream;
  }

  destroy(): void {
    this.#giveUp?.();
    this.#session?.destroy();
  }

  endGently(): void {
    this.#session?.endGently();
  }

  #settled(result: Session | string): void {
    if (typeof result === 'string') this.#failure = result;
    else this.#session = result;
    for (const stream of this.#waiting.splice(0)) {
      if (typeof result === 'string') stream.failed(result);
      else stream.opened(result);
    }
  }
}

/** Remembers what is said on a stream until there is a connection to say it on. */
class WaitingStream implements GrpcClientStream {
  readonly #path: string;
  readonly #metadata: GrpcMetadata;
  readonly #sink: GrpcStreamSink;
  readonly #messages: Uint8Array[] = [];
  #isHalfClosed = false;
  #isOver = false;
  #stream: GrpcClientStream | null = null;

  constructor(path: string, metadata: GrpcMetadata, sink: GrpcStreamSink) {
    this.#path = path;
    this.#metadata = metadata;
    this.#sink = sink;
  }

  send(message: Uint8Array): boolean {
    if (this.#stream !== null) return this.#stream.send(message);
    if (!this.#isOver) this.#messages.push(message);
    return true;
  }

  halfClose(): void {
    this.#isHalfClosed = true;
    this.#stream?.halfClose();
  }

  cancel(): void {
    if (this.#stream !== null) return this.#stream.cancel();
    this.#end(GrpcStatus.cancelled, 'cancelled');
  }

  opened(session: Session): void {
    if (this.#isOver) return;
    this.#stream = session.open(this.#path, this.#metadata, this.#sink);
    for (const message of this.#messages.splice(0)) this.#stream.send(message);
    if (this.#isHalfClosed) this.#stream.halfClose();
  }

  failed(reason: string): void {
    this.#end(GrpcStatus.unavailable, reason);
  }

  #end(code: number, message: string): void {
    if (this.#isOver) return;
    this.#isOver = true;
    this.#sink.onStatus(code, message, []);
  }
}

class Session {
  readonly #options: Http2TransportOptions;
  readonly #session: ClientHttp2Session;
  readonly #timer: TimerNode;
  readonly #streams = new Set<Stream>();
  #failure = 'the connection was closed';
  #phase: 'connecting' | 'idle' | 'waiting for a pong' = 'connecting';
  isUsable = true;

  /** `secured`: a connection that was made and judged already. */
  constructor(options: Http2TransportOptions, secured: TLSSocket | null) {
    this.#options = options;
    const isUnix = options.target.startsWith('unix:');
    const path = options.target.slice('unix:'.length);
    const open = secured !== null ? () => secured : isUnix ? () => connectSocket(path) : null;
    this.#session = connect(
      `http://${isUnix ? 'localhost' : options.target}`,
      open === null ? {} : { createConnection: open },
    );
    this.#timer = new TimerNode(onTimer);
    this.#timer.owner = this;
    options.timers.arm(this.#timer, options.connectTimeoutMs ?? DEFAULT_CONNECT_TIMEOUT_MS);
    this.#session.on('connect', () => this.#rest());
    this.#session.on('error', (error: Error) => {
      this.#failure = error.message;
    });
    this.#session.on('goaway', () => {
      this.isUsable = false;
    });
    this.#session.on('close', () => this.#closed());
  }

  open(path: string, metadata: GrpcMetadata, sink: GrpcStreamSink): GrpcClientStream {
    const headers: Record<string, string | string[]> = {
      [constants.HTTP2_HEADER_METHOD]: 'POST',
      [constants.HTTP2_HEADER_PATH]: path,
      'content-type': 'application/grpc',
      te: 'trailers',
    };
    for (const [name, value] of metadata) {
      const present = headers[name];
      headers[name] =
        present === undefined ? value : [...(typeof present === 'string' ? [present] : present), value];
    }
    const stream = new Stream(
      this.#session.request(headers, { endStream: false }),
      sink,
      this.#options.maxMessageBytes ?? DEFAULT_MAX_MESSAGE_BYTES,
      () => {
        this.#streams.delete(stream);
      },
    );
    this.#streams.add(stream);
    return stream;
  }

  destroy(): void {
    this.isUsable = false;
    this.#session.destroy();
  }

  endGently(): void {
    this.isUsable = false;
    this.#session.close();
  }

  onTimer(): void {
    if (this.#phase !== 'idle') {
      this.#failure =
        this.#phase === 'connecting' ? 'the connection was not made in time' : 'no answer to a ping';
      this.destroy();
      return;
    }
    this.#phase = 'waiting for a pong';
    this.#options.timers.arm(this.#timer, this.#options.pingTimeoutMs ?? DEFAULT_PING_TIMEOUT_MS);
    this.#session.ping((error) => {
      if (error === null && this.isUsable) this.#rest();
    });
  }

  /** Nothing to wait for until the next ping. */
  #rest(): void {
    this.#phase = 'idle';
    const intervalMs = this.#options.pingIntervalMs ?? DEFAULT_PING_INTERVAL_MS;
    if (intervalMs > 0) this.#options.timers.arm(this.#timer, intervalMs);
    else this.#options.timers.disarm(this.#timer);
  }

  #closed(): void {
    this.isUsable = false;
    this.#options.timers.disarm(this.#timer);
    for (const stream of this.#streams) stream.fail(GrpcStatus.unavailable, this.#failure);
  }
}

function onTimer(node: TimerNode): void {
  (node.owner as Session).onTimer();
}

class Stream implements GrpcClientStream {
  readonly #stream: ClientHttp2Stream;
  readonly #sink: GrpcStreamSink;
  readonly #onOver: () => void;
  #httpStatus = 200;
  #trailers: IncomingHttpHeaders | null = null;
  #isOver = false;

  constructor(stream: ClientHttp2Stream, sink: GrpcStreamSink, maxMessageBytes: number, onOver: () => void) {
    this.#stream = stream;
    this.#sink = sink;
    this.#onOver = onOver;
    const decoder = new GrpcMessageDecoder(
      {
        onMessage: (message) => {
          if (!this.#isOver) sink.onMessage(message);
        },
        onFramingError: (code) => this.fail(GrpcStatus.internal, code),
      },
      maxMessageBytes,
    );
    stream.on('response', (headers) => {
      this.#httpStatus = Number(headers[':status'] ?? 200);
      // Trailers-only: the status comes with the head.
      if (headers['grpc-status'] !== undefined) this.#trailers = headers;
    });
    stream.on('data', (data: Buffer) => decoder.execute(data, 0, data.length));
    stream.on('trailers', (trailers) => {
      this.#trailers = trailers;
    });
    stream.on('drain', () => {
      if (!this.#isOver) sink.onDrain?.();
    });
    stream.on('error', (error: Error) => this.fail(GrpcStatus.unavailable, error.message));
    stream.on('end', () => this.#end());
    stream.on('close', () => this.#end());
  }

  send(message: Uint8Array): boolean {
    if (this.#isOver) return true;
    return this.#stream.write(frameGrpcMessage(message));
  }

  halfClose(): void {
    if (!this.#isOver) this.#stream.end();
  }

  cancel(): void {
    this.fail(GrpcStatus.cancelled, 'cancelled');
  }

  fail(code: number, message: string): void {
    if (this.#isOver) return;
    this.#over();
    this.#stream.close(constants.NGHTTP2_CANCEL);
    this.#sink.onStatus(code, message, []);
  }

  #end(): void {
    if (this.#isOver) return;
    this.#over();
    const trailers = this.#trailers;
    if (trailers === null) {
      const isHttpError = this.#httpStatus !== 200;
      this.#sink.onStatus(
        isHttpError ? grpcStatusOfHttp(this.#httpStatus) : GrpcStatus.unavailable,
        isHttpError ? `HTTP status ${this.#httpStatus}` : 'the stream ended without a status',
        [],
      );
      return;
    }
    const status = trailers['grpc-status'];
    const message = trailers['grpc-message'];
    this.#sink.onStatus(
      parseGrpcStatus(typeof status === 'string' ? status : undefined),
      decodeGrpcMessage(typeof message === 'string' ? message : ''),
      metadataOf(trailers),
    );
  }

  #over(): void {
    this.#isOver = true;
    this.#onOver();
  }
}

function metadataOf(headers: IncomingHttpHeaders): GrpcMetadata {
  const metadata: (readonly [string, string])[] = [];
  for (const [name, value] of Object.entries(headers)) {
    if (value === undefined || name.startsWith(':')) continue;
    for (const one of typeof value === 'string' ? [value] : value) metadata.push([name, one]);
  }
  return metadata;
}
