/**
 * Connections over Bun's raw sockets: the implementation the proxy runs on.
 *
 * Bun's `write` is one `send` and buffers nothing, its handlers are per listener, its received buffers are
 * fresh each time. Undocumented members in use (`fd`, `listen({fd})`, `connect({fd})`) are pinned by
 * `bun-contract.test.ts`.
 */
import type { Socket, SocketHandler } from 'bun';
import { isIP } from 'node:net';
import { TimerNode } from '@sluice/runtime';
import { plainAddress } from './addresses.ts';
import { connectFailure } from './connect-failure.ts';
import type {
  AcceptTarget,
  ConnectFailure,
  ConnectHandler,
  ConnectTarget,
  Connection,
  SocketListener,
  SocketProvider,
} from './connection.ts';
import type { IoLoop } from './io-loop.ts';
import type { TlsHandshakeHandler, TlsServerContext } from './tls-context.ts';
import { setKeepalive } from './keepalive.ts';
import { nativeSockets } from './native-socket.ts';
import { QueuedConnection } from './queued-connection.ts';

type BunSocket = Socket<BunConnection>;

export function bunSockets(loop: IoLoop): SocketProvider {
  return {
    listen: (target, onAccept) => listen(loop, target, onAccept),
    connect: (target, handler) => connect(loop, target, handler),
  };
}

/** Never called: the owner sets a handler while the connection is handed over. */
const unowned = { onData() {}, onEnd() {}, onDrain() {}, onClose() {} };

class BunConnection extends QueuedConnection {
  #socket: BunSocket | null = null;
  #localAddress: string | null = null;
  #remoteAddress: string | null = null;
  #connecting: ConnectHandler | null = null;
  #connectTimer: TimerNode | null = null;

  get fd(): number {
    return this.#socket === null ? -1 : this.#socket.fd;
  }
  get localAddress(): string {
    return (this.#localAddress ??= plainAddress(this.#socket?.localAddress ?? ''));
  }
  get localPort(): number {
    return this.#socket?.localPort ?? 0;
  }
  get remoteAddress(): string {
    return (this.#remoteAddress ??= plainAddress(this.#socket?.remoteAddress ?? ''));
  }
  get remotePort(): number {
    return this.#socket?.remotePort ?? 0;
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
    this.#socket?.pause();
  }

  resume(): void {
    if (!this.isPaused || !this.isOpen) return;
    this.isPaused = false;
    this.#socket?.resume();
  }

  startConnecting(handler: ConnectHandler, timeoutMs: number): void {
    this.canSend = false;
    this.#connecting = handler;
    if (timeoutMs <= 0) return;
    this.#connectTimer = new TimerNode(onConnectTimeout);
    this.#connectTimer.owner = this;
    this.loop.timers.arm(this.#connectTimer, timeoutMs);
  }

  attach(socket: BunSocket): void {
    this.#socket = socket;
    if (!this.isOpen) socket.terminate();
  }

  /** The attempt failed. Bytes that were written meanwhile are dropped, as none was sent. */
  failConnecting(failure: ConnectFailure): void {
    const handler = this.#endConnecting();
    if (handler === null || !this.isOpen) return;
    this.isOpen = false;
    this.#socket?.terminate();
    this.loop.enter();
    try {
      handler.onConnectError(this, failure);
    } catch (error) {
      this.loop.reportHandlerError(error);
    }
    this.loop.leave();
  }

  override terminate(): void {
    if (this.#endConnecting() === null) {
      super.terminate();
      return;
    }
    this.isOpen = false;
    this.#socket?.terminate();
  }

  onSocketDrain(): void {
    if (this.#connecting !== null) this.#connected();
    else this.writable();
  }

  onSocketData(data: Uint8Array): void {
    if (this.#connecting !== null) this.#connected();
    this.received(data);
  }

  onSocketEnd(): void {
    if (this.#connecting !== null) this.#connected();
    this.readEnded();
  }

  onSocketClose(error: unknown): void {
    if (this.#connecting !== null) this.failConnecting(connectFailure(error));
    else if (error === undefined || error === null) this.closedInOrder();
    else this.closed('reset');
  }

  protected sendBytes(data: Uint8Array, start: number, length: number): number {
    return this.#socket === null ? -1 : this.#socket.write(data, start, length);
  }
  protected unsentBytes(): number {
    return 0;
  }
  protected shutdownSocket(): void {
    this.#socket?.shutdown();
  }
  protected closeSocket(): void {
    this.#socket?.end();
  }
  protected terminateSocket(): void {
    this.#socket?.terminate();
  }

  #connected(): void {
    const handler = this.#endConnecting();
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

  #endConnecting(): ConnectHandler | null {
    const handler = this.#connecting;
    this.#connecting = null;
    if (this.#connectTimer !== null) this.loop.timers.disarm(this.#connectTimer);
    return handler;
  }
}

function onConnectTimeout(timer: TimerNode): void {
  (timer.owner as BunConnection).failConnecting('timeout');
}

/** Events of any connection, accepted or opened. The unclosed ones of `open` differ. */
const sharedEvents = {
  data: (socket: BunSocket, data: Buffer): void => socket.data.onSocketData(data),
  drain: (socket: BunSocket): void => socket.data.onSocketDrain(),
  end: (socket: BunSocket): void => socket.data.onSocketEnd(),
  close: (socket: BunSocket, error?: Error): void => socket.data?.onSocketClose(error),
  error: (socket: BunSocket, error: Error): void => socket.data?.onSocketClose(error),
};

function listen(
  loop: IoLoop,
  target: AcceptTarget,
  onAccept: (connection: Connection) => void,
): SocketListener {
  const socket: SocketHandler<BunConnection> = {
    ...sharedEvents,
    open(socket) {
      const connection = new BunConnection(loop, unowned, target.highWaterBytes);
      socket.data = connection;
      connection.attach(socket);
      loop.enter();
      try {
        onAccept(connection);
      } catch (error) {
        loop.reportHandlerError(error);
        connection.terminate();
      }
      loop.leave();
    },
  };
  const bind = target.bind;
  if ('unixPath' in bind) {
    const listener = Bun.listen<BunConnection>({ unix: bind.unixPath, allowHalfOpen: true, socket });
    return { port: -1, fd: -1, stop: () => listener.stop(false) };
  }
  const where =
    'fd' in bind
      ? { fd: bind.fd }
      : { hostname: bind.address, port: bind.port, ipv6Only: bind.ipv6Only ?? false };
  // `fd` is missing from Bun's types; the other members are as typed.
  const options = {
    ...where,
    allowHalfOpen: true,
    socket,
  } as unknown as Bun.TCPSocketListenOptions<BunConnection>;
  const listener = Bun.listen<BunConnection>(options);
  return { port: 'fd' in bind ? -1 : listener.port, fd: listener.fd, stop: () => listener.stop(false) };
}

const connectEvents: SocketHandler<BunConnection> = {
  ...sharedEvents,
  open(socket) {
    socket.data.attach(socket);
  },
  connectError(socket, error) {
    socket.data.failConnecting(connectFailure(error));
  },
};

function connect(loop: IoLoop, target: ConnectTarget, handler: ConnectHandler): Connection {
  const connection = new BunConnection(loop, handler, target.highWaterBytes);
  connection.startConnecting(handler, target.connectTimeoutMs);
  if (target.preface != null) connection.write(target.preface, 0, target.preface.length);
  const native = isIP(target.address) === 0 ? null : nativeSockets();
  if (native !== null)
    connectNatively(
      connection,
      native.startConnect(target.address, target.port, target.sourceAddress, target.keepalive),
    );
  else connectByBun(connection, target);
  return connection;
}

function connectNatively(connection: BunConnection, started: number | ConnectFailure): void {
  if (typeof started !== 'number') {
    // Callers set up their state first, so the outcome never comes from within `connect`.
    queueMicrotask(() => connection.failConnecting(started));
    return;
  }
  const options = { fd: started, allowHalfOpen: true, data: connection, socket: connectEvents };
  open(connection, options as unknown as Bun.TCPSocketConnectOptions<BunConnection>);
}

/** Unix sockets, and TCP where the native calls are missing: a cancelled attempt is closed when it opens. */
function connectByBun(connection: BunConnection, target: ConnectTarget): void {
  const socket: SocketHandler<BunConnection> = {
    ...connectEvents,
    open(socket) {
      socket.data.attach(socket);
      if (target.keepalive !== null && target.port !== 0) setKeepalive(socket.data.fd, target.keepalive);
      socket.data.onSocketDrain();
    },
  };
  const common = { allowHalfOpen: true, data: connection, socket };
  if (target.port === 0) open(connection, { ...common, unix: target.address });
  else open(connection, { ...common, hostname: target.address, port: target.port });
}

function open(
  connection: BunConnection,
  options: Bun.TCPSocketConnectOptions<BunConnection> | Bun.UnixSocketOptions<BunConnection>,
): void {
  const opened =
    'unix' in options ? Bun.connect<BunConnection>(options) : Bun.connect<BunConnection>(options);
  opened.then(ignoreSocket, (error: unknown) => connection.failConnecting(connectFailure(error)));
}

function ignoreSocket(): void {
  // `open` has told already.
}
