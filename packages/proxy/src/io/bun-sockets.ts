/**
 * Connections over Bun's raw sockets: the implementation the proxy runs on.
 *
 * Bun's `write` is one `send` and buffers nothing, its handlers are per listener, its received buffers are
 * fresh each time. Undocumented members in use (`fd`, `listen({fd})`, `connect({fd})`) are pinned by
 * `bun-contract.test.ts`.
 */
import type { SocketHandler } from 'bun';
import { isIP } from 'node:net';
import { TimerNode } from '@sluice/runtime';
import { plainAddress } from './addresses.ts';
import {
  engineView,
  sharedEvents,
  upgradeSocket,
  type BunSocket,
  type EngineSocket,
  type SocketOwner,
} from './bun-socket-events.ts';
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
import type { TlsClientContext, TlsSettings } from './tls-context.ts';
import { setKeepalive } from './keepalive.ts';
import { nativeSockets, type NativeConnectFailure } from './native-socket.ts';
import { SecurableConnection, silent } from './securable-connection.ts';

export function bunSockets(loop: IoLoop): SocketProvider {
  return {
    listen: (target, onAccept) => listen(loop, target, onAccept),
    connect: (target, handler) => connect(loop, target, handler),
  };
}

class BunConnection extends SecurableConnection implements SocketOwner {
  #socket: BunSocket | null = null;
  #localAddress: string | null = null;
  #remoteAddress: string | null = null;
  #connecting: ConnectHandler | null = null;
  #connectTimer: TimerNode | null = null;
  #connectTls: TlsClientContext | null = null;
  /** What the engine had decrypted when the reader paused; null = nothing. */
  #held: Uint8Array[] | null = null;
  #isEndHeld = false;
  #session: Uint8Array | null = null;
  #preface: Uint8Array | null = null;

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

  pause(): void {
    if (this.isPaused || !this.isOpen) return;
    this.isPaused = true;
    this.#socket?.pause();
  }

  resume(): void {
    if (!this.isPaused || !this.isOpen) return;
    this.isPaused = false;
    if (this.#held !== null || this.#isEndHeld) this.#giveHeld(false);
    if (!this.isPaused && this.isOpen) this.#socket?.resume();
  }

  startConnecting(handler: ConnectHandler, timeoutMs: number, tls: TlsClientContext | null): void {
    this.canSend = false;
    this.#connecting = handler;
    this.#connectTls = tls;
    if (timeoutMs <= 0) return;
    this.#connectTimer = new TimerNode(onConnectTimeout);
    this.#connectTimer.owner = this;
    this.loop.timers.arm(this.#connectTimer, timeoutMs);
  }

  startEngine(settings: TlsSettings, alpn: readonly string[], hello: Uint8Array | null): void {
    const plain = this.#socket;
    if (plain === null) throw new Error('the socket is gone');
    this.#session = this.sessionFor(settings);
    upgradeSocket(plain, this, settings, alpn, hello, this.clientServerName);
  }

  /** What goes before everything else, and in plaintext: a PROXY header. */
  begin(preface: Uint8Array, isSecured: boolean): void {
    if (isSecured) this.#preface = preface;
    else this.write(preface, 0, preface.length);
  }

  attachEngine(socket: BunSocket): void {
    this.#socket = socket;
    if (this.#session !== null) (socket as unknown as EngineSocket).setSession(this.#session);
    this.#session = null;
  }

  attach(socket: BunSocket): void {
    this.#socket = socket;
    if (!this.isOpen) socket.terminate();
  }

  /** The attempt failed. Bytes that were written meanwhile are dropped, as none was sent. */
  failConnecting(failure: ConnectFailure): void {
    const handler = this.#endConnecting();
    if (handler === null || !this.isOpen) return;
    this.cancelHandshake();
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
    this.cancelHandshake();
    this.isOpen = false;
    this.#socket?.terminate();
  }

  onSocketDrain(): void {
    if (this.#connecting !== null) this.#opened();
    else this.writable();
  }

  onSocketData(data: Uint8Array): void {
    if (this.#connecting !== null) this.#opened();
    // An engine gives what it has decrypted even when its reader has paused meanwhile.
    if (this.isPaused && this.tls !== null) (this.#held ??= []).push(data);
    else this.received(data);
  }

  onSocketEnd(): void {
    if (this.#connecting !== null) this.#opened();
    if (this.#held === null) this.readEnded();
    else this.#isEndHeld = true;
  }

  onSocketSecured(error: unknown): void {
    const socket = this.#socket as unknown as EngineSocket;
    this.engineDone(() => engineView(socket), error);
  }

  onSocketSession(session: Uint8Array): void {
    this.onSession(session);
  }

  onSocketClose(error: unknown): void {
    // Bun gives what a handler of its events has thrown like what the system reports, which has a code.
    if (error instanceof Error && !('code' in error)) this.loop.reportHandlerError(error);
    if (this.#held !== null && (error === undefined || error === null)) this.#giveHeld(true);
    if (this.isHandshaking) this.readEnded();
    else if (this.#connecting !== null) this.failConnecting(connectFailure(error));
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
    if (this.tls === null) {
      this.#socket?.end();
      return;
    }
    // With an engine `end` would leave the descriptor open until the peer closes too, and `close` alone would not
    // tell the peer that this is the end, and no cut (close_notify, RFC 8446 §6.1).
    this.#socket?.shutdown();
    this.#socket?.close();
  }
  protected terminateSocket(): void {
    this.#socket?.terminate();
  }

  protected settleConnect(failure: ConnectFailure | null): void {
    if (failure === null) this.#connected();
    else this.failConnecting(failure);
  }

  /** The TCP connection stands. */
  #opened(): void {
    if (this.#connectTls === null) this.#connected();
    else if (!this.isHandshaking) this.#secure(this.#connectTls);
  }

  #secure(tls: TlsClientContext): void {
    const preface = this.#preface;
    // A fresh socket takes what fits into a segment; one that does not is of no use.
    if (preface !== null && this.sendBytes(preface, 0, preface.length) < preface.length)
      this.failConnecting('failed');
    else this.startClientTls(tls);
  }

  /** `isLast`: the socket has closed, so that there is nothing to wait for. */
  #giveHeld(isLast: boolean): void {
    const held = this.#held ?? [];
    this.loop.enter();
    while (held.length > 0 && (isLast || !this.isPaused) && this.isOpen) this.received(held.shift()!);
    if (held.length === 0) {
      this.#held = null;
      if (this.#isEndHeld && (isLast || !this.isPaused)) {
        this.#isEndHeld = false;
        this.readEnded();
      }
    }
    this.loop.leave();
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

function listen(
  loop: IoLoop,
  target: AcceptTarget,
  onAccept: (connection: Connection) => void,
): SocketListener {
  const socket: SocketHandler<SocketOwner> = {
    ...sharedEvents,
    open(socket) {
      const connection = new BunConnection(loop, silent, target.highWaterBytes);
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
    const listener = Bun.listen<SocketOwner>({ unix: bind.unixPath, allowHalfOpen: true, socket });
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
  } as unknown as Bun.TCPSocketListenOptions<SocketOwner>;
  const listener = Bun.listen<SocketOwner>(options);
  return { port: 'fd' in bind ? -1 : listener.port, fd: listener.fd, stop: () => listener.stop(false) };
}

const connectEvents: SocketHandler<SocketOwner> = {
  ...sharedEvents,
  open(socket) {
    socket.data.attach(socket);
  },
  connectError(socket, error) {
    socket.data.failConnecting(connectFailure(error));
  },
};

/** Below an engine nobody reads: without a handler Bun makes no buffers of ciphertext. */
const { data: _ciphertext, ...securedConnectEvents } = connectEvents;

function connect(loop: IoLoop, target: ConnectTarget, handler: ConnectHandler): Connection {
  const connection = new BunConnection(loop, handler, target.highWaterBytes);
  connection.startConnecting(handler, target.connectTimeoutMs, target.tls);
  if (target.preface != null) connection.begin(target.preface, target.tls !== null);
  const native = isIP(target.address) === 0 ? null : nativeSockets();
  if (native !== null)
    connectNatively(
      connection,
      native.startConnect(
        target.address,
        target.port,
        target.sourceAddress,
        target.keepalive,
        target.clientSource,
      ),
      target.tls === null ? connectEvents : securedConnectEvents,
    );
  else connectByBun(connection, target);
  return connection;
}

function connectNatively(
  connection: BunConnection,
  started: number | NativeConnectFailure,
  socket: SocketHandler<SocketOwner>,
): void {
  if (started === 'no-client-source') {
    connection.failureDetail = 'the address of the client cannot be dialled from';
    queueMicrotask(() => connection.failConnecting('failed'));
    return;
  }
  if (typeof started !== 'number') {
    // Callers set up their state first, so the outcome never comes from within `connect`.
    queueMicrotask(() => connection.failConnecting(started));
    return;
  }
  const options = { fd: started, allowHalfOpen: true, data: connection, socket };
  open(connection, options as unknown as Bun.TCPSocketConnectOptions<SocketOwner>);
}

/** Unix sockets, and TCP where the native calls are missing: a cancelled attempt is closed when it opens. */
function connectByBun(connection: BunConnection, target: ConnectTarget): void {
  const socket: SocketHandler<SocketOwner> = {
    ...connectEvents,
    open(socket) {
      socket.data.attach(socket);
      if (target.keepalive !== null && target.port !== 0) setKeepalive(socket.fd, target.keepalive);
      socket.data.onSocketDrain();
    },
  };
  const common = { allowHalfOpen: true, data: connection, socket };
  if (target.port === 0) open(connection, { ...common, unix: target.address });
  else open(connection, { ...common, hostname: target.address, port: target.port });
}

function open(
  connection: BunConnection,
  options: Bun.TCPSocketConnectOptions<SocketOwner> | Bun.UnixSocketOptions<SocketOwner>,
): void {
  const opened = 'unix' in options ? Bun.connect<SocketOwner>(options) : Bun.connect<SocketOwner>(options);
  opened.then(ignoreSocket, (error: unknown) => connection.failConnecting(connectFailure(error)));
}

function ignoreSocket(): void {
  // `open` has told already.
}
