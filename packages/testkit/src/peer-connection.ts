/**
 * One raw TCP connection as a script sees it: read when you like, write and wait until it is taken, end or
 * reset at any byte. Used on both sides: what an origin accepted, and what `connectPeer` opened.
 *
 * Reading is by demand: beyond 64 KiB unread the socket is paused, so a script that does not read is a slow
 * reader to the other side. (A paused socket also reports no end of the stream.)
 */
import type { Socket } from 'bun';
import { ByteQueue } from './byte-queue.ts';
import { onCleanUp } from './cleanup.ts';

const pauseAboveBytes = 65_536;
const crlfCrlf = Buffer.from('\r\n\r\n');

/** How a connection ended, as seen from here. */
export type PeerEnd = 'closed' | 'reset';

export class PeerConnection {
  /** Resolves when the connection is gone; 'reset' if by an error such as the peer's RST. */
  readonly closed: Promise<PeerEnd>;
  readonly #received = new ByteQueue();
  readonly #resolveClosed: (end: PeerEnd) => void;
  #socket: Socket<PeerConnection> | undefined;
  #isPaused = false;
  #isOpen = true;
  #drained: (() => void) | undefined;
  #totalReceived = 0;

  constructor() {
    const { promise, resolve } = Promise.withResolvers<PeerEnd>();
    this.closed = promise;
    this.#resolveClosed = resolve;
  }

  get isOpen(): boolean {
    return this.#isOpen;
  }

  /** All bytes that arrived so far, read or not. */
  get totalReceived(): number {
    return this.#totalReceived;
  }

  get remotePort(): number {
    return this.#socket?.remotePort ?? 0;
  }

  /** Tells this connection from others in a log of the peer's. */
  get localPort(): number {
    return this.#socket?.localPort ?? 0;
  }

  /** The next bytes, at least one; undefined once the peer has ended and all was read. */
  async read(): Promise<Uint8Array | undefined> {
    await this.#waitUntil(() => this.#received.size > 0);
    return this.#take(this.#received.size);
  }

  /** Exactly `count` bytes; undefined if the peer ended before them. */
  async readExactly(count: number): Promise<Uint8Array | undefined> {
    await this.#waitUntil(() => this.#received.size >= count);
    return this.#received.size >= count ? this.#take(count, true) : undefined;
  }

  /** Bytes up to and including `delimiter`, as Latin-1 text; undefined if the peer ended before it. */
  async readThrough(delimiter: string | Uint8Array): Promise<string | undefined> {
    const wanted = Buffer.from(delimiter as string);
    let end = -1;
    await this.#waitUntil(() => {
      const index = Buffer.from(this.#received.peek()).indexOf(wanted);
      end = index < 0 ? -1 : index + wanted.length;
      return end >= 0;
    });
    return end < 0 ? undefined : Buffer.from(this.#received.take(end)).toString('latin1');
  }

  /** An HTTP/1 head, its empty line included. */
  readHead(): Promise<string | undefined> {
    return this.readThrough(crlfCrlf);
  }

  /** Everything until the peer ends. */
  async readToEnd(): Promise<Uint8Array> {
    const chunks: Uint8Array[] = [];
    for (let chunk = await this.read(); chunk !== undefined; chunk = await this.read()) chunks.push(chunk);
    return Buffer.concat(chunks);
  }

  /** Writes all of it, waiting while the other side does not read; false if the connection is gone. */
  async write(bytes: Uint8Array | string): Promise<boolean> {
    let rest = typeof bytes === 'string' ? Buffer.from(bytes, 'latin1') : bytes;
    while (this.#isOpen && this.#socket !== undefined) {
      const written = this.#socket.write(rest);
      if (written < 0) return false;
      rest = rest.subarray(written);
      if (rest.length === 0) return true;
      await new Promise<void>((resolve) => {
        this.#drained = resolve;
      });
    }
    return false;
  }

  /** Sends FIN; reading goes on until the peer ends too. */
  end(): void {
    if (!this.#isOpen) return;
    this.#socket?.shutdown();
    if (this.#received.hasEnded) this.#socket?.end();
  }

  /** Sends RST at once. */
  reset(): void {
    this.#socket?.terminate();
  }

  /** @internal The socket's callbacks, for `Bun.listen` and `Bun.connect`. */
  attach(socket: Socket<PeerConnection>): void {
    this.#socket = socket;
    socket.setNoDelay(true);
  }

  /** @internal */
  receive(chunk: Uint8Array): void {
    this.#totalReceived += chunk.length;
    this.#received.push(chunk);
    if (this.#received.size > pauseAboveBytes && !this.#isPaused) {
      this.#isPaused = true;
      this.#socket?.pause();
    }
  }

  /** @internal */
  peerEnded(): void {
    this.#received.end();
  }

  /** @internal */
  drained(): void {
    this.#drained?.();
    this.#drained = undefined;
  }

  /** @internal */
  gone(error: unknown): void {
    if (!this.#isOpen) return;
    this.#isOpen = false;
    this.#received.end();
    this.drained();
    this.#resolveClosed(error === undefined || error === null ? 'closed' : 'reset');
  }

  #take(count: number, allowEmpty = false): Uint8Array | undefined {
    return count === 0 && !allowEmpty ? undefined : this.#received.take(count);
  }

  async #waitUntil(isReady: () => boolean): Promise<void> {
    while (!isReady() && !this.#received.hasEnded) {
      if (this.#isPaused) {
        this.#isPaused = false;
        this.#socket?.resume();
      }
      await this.#received.changed();
    }
  }
}

/** The handlers that tie a Bun socket to its PeerConnection. */
export const peerSocketHandlers = {
  data: (socket: Socket<PeerConnection>, chunk: Uint8Array) => socket.data.receive(chunk),
  drain: (socket: Socket<PeerConnection>) => socket.data.drained(),
  end: (socket: Socket<PeerConnection>) => socket.data.peerEnded(),
  close: (socket: Socket<PeerConnection>, error?: Error) => socket.data.gone(error),
  error: (socket: Socket<PeerConnection>, error: Error) => socket.data.gone(error),
};

/** Opens a raw connection to 127.0.0.1; rejects if it is refused. */
export async function connectPeer(port: number, hostname = '127.0.0.1'): Promise<PeerConnection> {
  const connection = new PeerConnection();
  await Bun.connect<PeerConnection>({
    hostname,
    port,
    allowHalfOpen: true,
    data: connection,
    socket: { ...peerSocketHandlers, open: (socket) => connection.attach(socket) },
  });
  const forget = onCleanUp(() => connection.reset());
  void connection.closed.then(forget);
  return connection;
}
