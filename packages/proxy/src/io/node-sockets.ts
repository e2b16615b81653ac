/**
 * Connections over node:net: the way back, should Bun's raw sockets ever fail us. Same interface, same
 * suite. node:net buffers by itself, so what the kernel has not taken shows as `unsentBytes`.
 */
import { connect as netConnect, createServer, isIP, type NetConnectOpts, type Socket } from 'node:net';
import { plainAddress } from './addresses.ts';
import { connectFailure } from './connect-failure.ts';
import type {
  AcceptTarget,
  ConnectHandler,
  ConnectTarget,
  Connection,
  SocketListener,
  SocketProvider,
} from './connection.ts';
import type { IoLoop } from './io-loop.ts';
import type { TlsHandshakeHandler, TlsServerContext } from './tls-context.ts';
import { QueuedConnection } from './queued-connection.ts';

export function nodeSockets(
  loop: IoLoop,
): SocketProvider & { ready(listener: SocketListener): Promise<void> } {
  const opening = new WeakMap<SocketListener, Promise<void>>();
  return {
    listen(target, onAccept) {
      const [listener, isOpen] = listen(loop, target, onAccept);
      opening.set(listener, isOpen);
      return listener;
    },
    connect: (target, handler) => connect(loop, target, handler),
    /** node:net binds asynchronously: the port is known, and an address in use reported, only then. */
    ready: (listener) => opening.get(listener) ?? Promise.resolve(),
  };
}

function ignore(): void {}

const unowned = { onData() {}, onEnd() {}, onDrain() {}, onClose() {} };

class NodeConnection extends QueuedConnection {
  readonly #socket: Socket;
  readonly #localAddress: () => string;
  #error: Error | null = null;
  /** Called once the attempt has ended, either way. */
  onSettled: () => void = ignore;

  constructor(loop: IoLoop, socket: Socket, highWaterBytes: number, connecting: ConnectHandler | null) {
    super(loop, connecting ?? unowned, highWaterBytes);
    this.#socket = socket;
    this.#localAddress = () => plainAddress(socket.localAddress ?? '');
    this.canSend = connecting === null;
    let pending = connecting;
    socket.setNoDelay(true);
    socket.on('data', (data: Buffer) => this.received(data));
    socket.on('end', () => this.readEnded());
    socket.on('drain', () => this.writable());
    socket.on('error', (error: Error) => {
      this.#error = error;
    });
    socket.on('connect', () => {
      pending = null;
      this.onSettled();
      this.#onConnected(connecting);
    });
    socket.on('close', () => {
      const handler = pending;
      pending = null;
      this.onSettled();
      if (handler !== null) this.#onConnectFailed(handler);
      else if (this.#error === null) this.closedInOrder();
      else this.closed('reset');
    });
  }

  get isConnected(): boolean {
    return this.canSend;
  }
  get fd(): number {
    return (this.#socket as unknown as { _handle?: { fd?: number } | null })._handle?.fd ?? -1;
  }
  get localAddress(): string {
    return this.#localAddress();
  }
  get localPort(): number {
    return this.#socket.localPort ?? 0;
  }
  get remoteAddress(): string {
    return plainAddress(this.#socket.remoteAddress ?? '');
  }
  get remotePort(): number {
    return this.#socket.remotePort ?? 0;
  }

  startTls(
    _context: TlsServerContext,
    _peeked: Uint8Array | null,
    _timeoutMs: number,
    handler: TlsHandshakeHandler,
  ): void {
    super.terminate();
    handler.onTlsFailed(this, { kind: 'protocol', reason: 'no TLS engine' });
  }

  pause(): void {
    if (this.isPaused || !this.isOpen) return;
    this.isPaused = true;
    this.#socket.pause();
  }

  resume(): void {
    if (!this.isPaused || !this.isOpen) return;
    this.isPaused = false;
    this.#socket.resume();
  }

  fail(code: string): void {
    if (this.#error === null) this.#error = Object.assign(new Error(code), { code });
    this.#socket.destroy();
  }

  protected sendBytes(data: Uint8Array, start: number, length: number): number {
    // Join buffers are used again at once, and node:net keeps what it could not send.
    this.#socket.write(Buffer.from(data.subarray(start, start + length)));
    return length;
  }
  protected unsentBytes(): number {
    return this.#socket.writableLength;
  }
  protected shutdownSocket(): void {
    this.#socket.end();
  }
  protected closeSocket(): void {
    this.#socket.end(() => this.#socket.destroy());
  }
  protected terminateSocket(): void {
    this.#socket.resetAndDestroy();
  }

  #onConnected(handler: ConnectHandler | null): void {
    if (handler === null || !this.isOpen) return;
    this.canSend = true;
    this.loop.enter();
    try {
      handler.onConnect(this);
    } catch (error) {
      this.loop.reportHandlerError(error);
      this.terminate();
    }
    this.writable();
    this.loop.leave();
  }

  #onConnectFailed(handler: ConnectHandler): void {
    if (!this.isOpen) return;
    this.isOpen = false;
    this.loop.enter();
    try {
      handler.onConnectError(this, connectFailure(this.#error));
    } catch (error) {
      this.loop.reportHandlerError(error);
    }
    this.loop.leave();
  }

  override terminate(): void {
    if (this.canSend) {
      super.terminate();
      return;
    }
    this.isOpen = false;
    this.#socket.destroy();
  }
}

function listen(
  loop: IoLoop,
  target: AcceptTarget,
  onAccept: (connection: Connection) => void,
): [SocketListener, Promise<void>] {
  const server = createServer({ allowHalfOpen: true, pauseOnConnect: false }, (socket) => {
    const connection = new NodeConnection(loop, socket, target.highWaterBytes, null);
    loop.enter();
    try {
      onAccept(connection);
    } catch (error) {
      loop.reportHandlerError(error);
      connection.terminate();
    }
    loop.leave();
  });
  const bind = target.bind;
  const isOpen = new Promise<void>((resolve, reject) => {
    server.once('listening', resolve);
    server.once('error', reject);
  });
  if ('fd' in bind) server.listen({ fd: bind.fd });
  else if ('unixPath' in bind) server.listen({ path: bind.unixPath });
  else server.listen({ host: bind.address, port: bind.port, ipv6Only: bind.ipv6Only ?? false });
  const listener: SocketListener = {
    get port() {
      const address = server.address();
      return address === null || typeof address === 'string' ? -1 : address.port;
    },
    fd: -1,
    stop: () => void server.close(),
  };
  return [listener, isOpen];
}

function connect(loop: IoLoop, target: ConnectTarget, handler: ConnectHandler): Connection {
  const options: NetConnectOpts =
    target.port === 0 && isIP(target.address) === 0
      ? { path: target.address, allowHalfOpen: true }
      : {
          host: target.address,
          port: target.port,
          allowHalfOpen: true,
          ...(target.sourceAddress === null ? {} : { localAddress: target.sourceAddress }),
          // Node's interface knows no interval and no count.
          keepAlive: target.keepalive !== null,
          keepAliveInitialDelay: target.keepalive?.timeMs ?? 0,
        };
  const connection = new NodeConnection(loop, netConnect(options), target.highWaterBytes, handler);
  if (target.preface != null) connection.write(target.preface, 0, target.preface.length);
  if (target.connectTimeoutMs > 0) {
    const timer = loop.timers.schedule(target.connectTimeoutMs, () => {
      if (connection.isOpen && !connection.isConnected) connection.fail('ETIMEDOUT');
    });
    connection.onSettled = () => loop.timers.disarm(timer);
  }
  return connection;
}
