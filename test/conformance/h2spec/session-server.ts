/**
 * A server of nothing but our HTTP/2 session over a socket: answers every request with a short body, after the
 * request has ended. It shows the codec alone to h2spec, without the proxy around it.
 */
import type { Socket } from 'bun';
import {
  H2Session,
  HeaderList,
  defaultH2Limits,
  type H2Output,
  type H2SessionSink,
  type H2Stream,
} from '@sluice/wire';

const BUFFER_BYTES = 65_536;
/** A list of one protocol as ALPN writes it: lengths before names. */
const ALPN_H2 = '\x02h2';
const BODY = new TextEncoder().encode('a body of a few octets, so that windows matter\n');

export interface SessionServer {
  readonly port: number;
  stop(): void;
}

/** `tls`: PEM of certificate and key; h2 by ALPN then. */
export function serveSessions(tls?: { cert: string; key: string }): SessionServer {
  const listener = Bun.listen<Peer>({
    hostname: '127.0.0.1',
    port: 0,
    ...(tls === undefined ? {} : { tls: { ...tls, ALPNProtocols: ALPN_H2 } }),
    socket: {
      open(socket) {
        socket.data = new Peer(socket);
      },
      data(socket, octets) {
        socket.data.receive(octets);
      },
      drain(socket) {
        socket.data.drain();
      },
      close(socket) {
        socket.data.session.onTransportClosed();
      },
    },
  });
  return { port: listener.port, stop: () => listener.stop(true) };
}

/** One connection: output that joins what a piece of input caused, and the sink that answers. */
class Peer implements H2Output, H2SessionSink {
  readonly session: H2Session;
  writeOffset = 0;
  readonly #socket: Socket<Peer>;
  readonly #headers = new HeaderList();
  #buffer = new Uint8Array(BUFFER_BYTES);
  #waiting: Uint8Array = new Uint8Array(0);

  constructor(socket: Socket<Peer>) {
    this.#socket = socket;
    this.#headers.append('server', 'sluice-h2');
    this.session = new H2Session(
      {
        role: 'server',
        localSettings: {
          headerTableSize: 4096,
          maxConcurrentStreams: 100,
          initialWindowBytes: 65_535,
          maxFrameBytes: 16_384,
          maxHeaderListBytes: 60 * 1024,
          enableConnectProtocol: false,
        },
        connectionWindowBytes: 1024 * 1024,
        limits: defaultH2Limits,
      },
      this,
      this,
      performance.now(),
    );
    this.session.start();
    this.#flush();
  }

  receive(octets: Uint8Array): void {
    this.session.receive(octets, 0, octets.length, performance.now());
    this.#flush();
  }

  drain(): void {
    const wasWritable = this.isWritable;
    this.#flush();
    if (!wasWritable && this.isWritable) this.session.onOutputDrain();
    this.#flush();
  }

  get isWritable(): boolean {
    return this.#waiting.length === 0;
  }

  reserve(byteCount: number): Uint8Array {
    if (this.writeOffset + byteCount > this.#buffer.length) {
      const grown = new Uint8Array((this.writeOffset + byteCount) * 2);
      grown.set(this.#buffer.subarray(0, this.writeOffset));
      this.#buffer = grown;
    }
    return this.#buffer;
  }

  commit(end: number): void {
    this.writeOffset = end;
  }

  write(data: Uint8Array, start: number, end: number): void {
    this.reserve(end - start).set(data.subarray(start, end), this.writeOffset);
    this.writeOffset += end - start;
  }

  onHead(stream: H2Stream, isEnd: boolean): void {
    if (isEnd) this.#answer(stream, 200);
  }
  onHeadTooLarge(stream: H2Stream): void {
    this.#answer(stream, 431);
  }
  onInformational(): void {
    throw new Error('a server got a 1xx response');
  }
  onData(stream: H2Stream, _buf: Uint8Array, start: number, end: number): void {
    stream.consumed(end - start);
  }
  onEnd(stream: H2Stream): void {
    this.#answer(stream, 200);
  }
  onWritable(): void {}
  onReset(stream: H2Stream): void {
    stream.release();
  }
  onGoAway(): void {}
  onSettings(): void {}
  onPong(): void {}
  onFailure(): void {
    this.#flush();
    this.#socket.end();
  }
  onDrained(): void {
    this.#flush();
    this.#socket.end();
  }

  #answer(stream: H2Stream, status: number): void {
    stream.sendResponseHead(status, this.#headers, false);
    stream.sendData(BODY, 0, BODY.length, true);
    stream.release();
  }

  #flush(): void {
    const pending = this.writeOffset;
    if (this.#waiting.length > 0) {
      const sent = Math.max(0, this.#socket.write(this.#waiting));
      this.#waiting = this.#waiting.slice(sent);
      if (this.#waiting.length > 0) return;
    }
    if (pending === 0) return;
    const sent = Math.max(0, this.#socket.write(this.#buffer.subarray(0, pending)));
    if (sent < pending) this.#waiting = this.#buffer.slice(sent, pending);
    this.writeOffset = 0;
  }
}
