/**
 * gRPC client streams over our own HTTP/2 on node's sockets: xDS, secrets and signing, not traffic. What the
 * streams mean is wire's (GrpcClientConnection); here are the socket, its handshake and its timers.
 *
 * One connection per transport, made when a stream is opened and made anew after it was lost; when to try
 * again is the caller's decision. What streams say waits until the connection is there and, over TLS, judged.
 * A peer that has vanished without a FIN is found by pings: without an answer within the timeout the
 * connection is dropped and every stream on it ends UNAVAILABLE.
 */
import { connect as connectSocket, type Socket } from 'node:net';
import { GrpcClientConnection } from '@sluice/wire';
import type {
  GrpcClientOwner,
  GrpcClientStream,
  GrpcMetadata,
  GrpcStreamSink,
  GrpcStreamTransport,
} from '@sluice/wire';
import { TimerNode, type TimerWheel } from '@sluice/runtime';
import { addressOf, connectTls } from './grpc-tls.ts';
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
  let connection: Connected | null = null;
  return {
    open(path, metadata, sink) {
      if (connection === null || !connection.isUsable) connection = new Connected(options);
      return connection.open(path, metadata, sink);
    },
    close() {
      connection?.destroy('the connection was closed');
      connection = null;
    },
    retire() {
      connection?.endGently();
      connection = null;
    },
  };
}

/** A socket, from the attempt to connect to its end, and the gRPC connection on it. */
class Connected implements GrpcClientOwner {
  readonly #options: Http2TransportOptions;
  readonly #grpc: GrpcClientConnection;
  readonly #timer: TimerNode;
  #socket: Socket | null = null;
  /** Over TLS, while the handshake is under way. */
  #giveUp: (() => void) | null = null;
  #phase: 'connecting' | 'idle' | 'waiting for a pong' | 'over' = 'connecting';
  #failure = 'the connection was closed';
  /** What is answered to the octets of one event leaves in one write. */
  #isReceiving = false;

  constructor(options: Http2TransportOptions) {
    const { target, timers, tls = null } = options;
    this.#options = options;
    const isTls = tls !== null;
    this.#grpc = new GrpcClientConnection(
      {
        authority: target.startsWith('unix:') ? 'localhost' : target,
        scheme: isTls ? 'https' : 'http',
        maxMessageBytes: options.maxMessageBytes ?? DEFAULT_MAX_MESSAGE_BYTES,
      },
      this,
      performance.now(),
    );
    this.#timer = new TimerNode(onTimer);
    this.#timer.owner = this;
    timers.arm(this.#timer, options.connectTimeoutMs ?? DEFAULT_CONNECT_TIMEOUT_MS);
    if (isTls) this.#connectTls(tls);
    else this.#connectPlain();
  }

  get isUsable(): boolean {
    return this.#phase !== 'over' && this.#grpc.isUsable;
  }

  open(path: string, metadata: GrpcMetadata, sink: GrpcStreamSink): GrpcClientStream {
    return this.#grpc.open(path, metadata, sink);
  }

  destroy(reason: string): void {
    this.#failure = reason;
    this.#giveUp?.();
    this.#socket?.destroy();
    this.#over();
  }

  endGently(): void {
    this.#grpc.session.beginDrain();
  }

  onTimer(): void {
    if (this.#phase === 'idle') {
      this.#phase = 'waiting for a pong';
      this.#options.timers.arm(this.#timer, this.#options.pingTimeoutMs ?? DEFAULT_PING_TIMEOUT_MS);
      this.#grpc.session.ping(0);
      this.wantsFlush();
    } else if (this.#phase !== 'over') {
      this.destroy(
        this.#phase === 'connecting' ? 'the connection was not made in time' : 'no answer to a ping',
      );
    }
  }

  wantsFlush(): void {
    if (this.#phase === 'connecting' || this.#phase === 'over' || this.#isReceiving) return;
    const { output } = this.#grpc;
    for (let taken = output.take(); taken !== null; taken = output.take()) {
      if (this.#socket?.write(taken) === false) output.isWritable = false;
    }
  }

  onPong(): void {
    if (this.#phase === 'waiting for a pong') this.#rest();
  }

  onUnusable(): void {
    // The next stream makes a new connection: `isUsable` says so.
  }

  onFinished(): void {
    if (this.#phase === 'connecting') return this.destroy('the connection was closed');
    this.#isReceiving = false;
    this.wantsFlush();
    this.#socket?.end();
  }

  #connectPlain(): void {
    const socket = connectSocket(addressOf(this.#options.target));
    this.#listen(socket);
    socket.on('connect', () => this.#connected());
  }

  #connectTls(tls: TlsClientContext): void {
    this.#giveUp = connectTls(this.#options.target, tls, (result) => {
      this.#giveUp = null;
      if (this.#phase === 'over') {
        if (!('reason' in result)) result.destroy();
      } else if ('reason' in result) {
        this.destroy(result.reason);
      } else {
        this.#listen(result);
        this.#connected();
      }
    });
  }

  #listen(socket: Socket): void {
    this.#socket = socket;
    socket.setNoDelay(true);
    socket.on('error', (error: Error) => {
      this.#failure = error.message;
    });
    socket.on('data', (data: Buffer) => this.#receive(data));
    socket.on('drain', () => this.#grpc.drained());
    socket.on('close', () => this.#over());
  }

  #receive(data: Buffer): void {
    this.#isReceiving = true;
    try {
      this.#grpc.receive(data, performance.now());
    } finally {
      this.#isReceiving = false;
      this.wantsFlush();
    }
  }

  #connected(): void {
    this.#rest();
    this.wantsFlush();
  }

  /** Nothing to wait for until the next ping. */
  #rest(): void {
    this.#phase = 'idle';
    const intervalMs = this.#options.pingIntervalMs ?? DEFAULT_PING_INTERVAL_MS;
    if (intervalMs > 0) this.#options.timers.arm(this.#timer, intervalMs);
    else this.#options.timers.disarm(this.#timer);
  }

  #over(): void {
    if (this.#phase === 'over') return;
    this.#phase = 'over';
    this.#options.timers.disarm(this.#timer);
    this.#grpc.closed(this.#failure);
  }
}

function onTimer(node: TimerNode): void {
  (node.owner as Connected).onTimer();
}
