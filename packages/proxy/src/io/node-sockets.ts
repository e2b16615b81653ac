/**
 * Connections over node:net: the way back, should Bun's raw sockets ever fail us. Same interface, same
 * suite. node:net buffers by itself, so what the kernel has not taken shows as `unsentBytes`.
 */
import { connect as netConnect, createServer, isIP, type NetConnectOpts, type Socket } from 'node:net';
import { connect as tlsConnect, TLSSocket } from 'node:tls';
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
import { SecurableConnection, silent } from './securable-connection.ts';
import type { TlsClientContext, TlsSettings } from './tls-context.ts';
import { chainOf, engineContext, type EngineCertificate, type EngineView } from './tls-engine.ts';

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

class NodeConnection extends SecurableConnection {
  /** The plain socket, later the engine above it. */
  #socket: Socket;
  readonly #plain: Socket;
  readonly #localAddress: () => string;
  #error: Error | null = null;
  #preface: Uint8Array | null = null;
  #connecting: ConnectHandler | null;
  #listeners: [string, (...values: never[]) => void][] = [];
  /** Called once the attempt has ended, either way. */
  onSettled: () => void = ignore;

  constructor(
    loop: IoLoop,
    socket: Socket,
    highWaterBytes: number,
    connecting: ConnectHandler | null,
    tls: TlsClientContext | null,
  ) {
    super(loop, connecting ?? silent, highWaterBytes);
    this.#socket = this.#plain = socket;
    this.#localAddress = () => plainAddress(socket.localAddress ?? '');
    this.canSend = connecting === null;
    this.#connecting = connecting;
    socket.setNoDelay(true);
    this.#listen(socket);
    socket.on('connect', () => {
      if (!this.isOpen) return;
      if (tls === null) this.settleConnect(null);
      else {
        if (this.#preface !== null) socket.write(this.#preface);
        this.startClientTls(tls);
      }
    });
  }

  /** What goes before everything else, and in plaintext: a PROXY header. */
  begin(preface: Uint8Array, isSecured: boolean): void {
    if (isSecured) this.#preface = preface;
    else this.write(preface, 0, preface.length);
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

  timedOut(): void {
    this.cancelHandshake();
    this.settleConnect('timeout');
  }

  startEngine(settings: TlsSettings, alpn: readonly string[], hello: Uint8Array | null): void {
    const plain = this.#plain;
    for (const [event, listener] of this.#listeners.splice(0))
      plain.off(event, listener as (...values: unknown[]) => void);
    plain.on('error', ignore);
    plain.pause();
    const common = {
      secureContext: engineContext(settings),
      rejectUnauthorized: false,
      ALPNProtocols: [...alpn],
    };
    const session = this.sessionFor(settings);
    let engine: TLSSocket;
    if (hello === null) {
      const serverName = this.clientServerName;
      engine = tlsConnect({
        ...common,
        socket: plain,
        ...(serverName === '' ? {} : { servername: serverName }),
        ...(session === null ? {} : { session: Buffer.from(session) }),
        checkServerIdentity: () => undefined,
      });
      engine.on('secureConnect', () => this.engineDone(() => viewOf(engine), verdictOf(engine)));
      engine.on('session', (bytes: Buffer) => this.onSession(bytes));
    } else {
      plain.unshift(hello);
      engine = new TLSSocket(plain, { ...common, isServer: true, requestCert: settings.asksForCertificate });
      engine.on('secure', () => this.engineDone(() => viewOf(engine), verdictOf(engine)));
    }
    this.#socket = engine;
    this.#listen(engine);
  }

  protected settleConnect(failure: ConnectFailure | null): void {
    const handler = this.#connecting;
    this.#connecting = null;
    this.onSettled();
    if (handler === null || !this.isOpen) return;
    if (failure === null) this.#onConnected(handler);
    else {
      this.#onConnectFailed(handler, failure);
      this.#socket.destroy();
    }
  }

  #listen(socket: Socket): void {
    const listeners: [string, (...values: never[]) => void][] = [
      ['data', (data: Buffer) => this.received(data)],
      ['end', () => this.readEnded()],
      ['drain', () => this.writable()],
      [
        'error',
        (error: Error) => {
          this.#error = error;
          if (this.isHandshaking) this.engineDone(() => viewOf(socket as TLSSocket), error);
        },
      ],
      ['close', () => this.#onClose()],
    ];
    for (const [event, listener] of listeners) socket.on(event, listener as (...values: unknown[]) => void);
    this.#listeners = listeners;
  }

  #onClose(): void {
    if (this.isHandshaking) this.readEnded();
    else if (this.#connecting !== null) this.settleConnect(connectFailure(this.#error));
    else if (this.#error === null) this.closedInOrder();
    else this.closed('reset');
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
    this.#plain.resetAndDestroy();
  }

  #onConnected(handler: ConnectHandler): void {
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

  #onConnectFailed(handler: ConnectHandler, failure: ConnectFailure): void {
    this.isOpen = false;
    this.loop.enter();
    try {
      handler.onConnectError(this, failure);
    } catch (error) {
      this.loop.reportHandlerError(error);
    }
    this.loop.leave();
  }

  override terminate(): void {
    if (this.#connecting === null) {
      super.terminate();
      return;
    }
    this.#connecting = null;
    this.onSettled();
    this.cancelHandshake();
    this.isOpen = false;
    this.#socket.destroy();
  }
}

function viewOf(socket: TLSSocket): EngineView {
  return {
    protocol: socket.getProtocol() ?? '',
    cipher: socket.getCipher()?.name ?? '',
    alpn: typeof socket.alpnProtocol === 'string' ? socket.alpnProtocol : '',
    isResumed: socket.isSessionReused(),
    leaf: socket.getPeerX509Certificate()?.raw ?? null,
    chain: () => chainOf(socket.getPeerCertificate(true) as EngineCertificate),
  };
}

/** node:tls hangs a server's verdict on an inner object, a client's on the socket; as an error or its code. */
function verdictOf(socket: TLSSocket): unknown {
  const { ssl } = socket as unknown as { ssl?: { verifyError?(): unknown } };
  const verdict = ssl?.verifyError?.() ?? socket.authorizationError;
  return typeof verdict === 'string' ? { code: verdict } : verdict;
}

function listen(
  loop: IoLoop,
  target: AcceptTarget,
  onAccept: (connection: Connection) => void,
): [SocketListener, Promise<void>] {
  const server = createServer({ allowHalfOpen: true, pauseOnConnect: false }, (socket) => {
    const connection = new NodeConnection(loop, socket, target.highWaterBytes, null, null);
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
  // A client's address that is not this machine's fails here: transparent sockets take the native calls.
  const localAddress = target.clientSource?.address ?? target.sourceAddress;
  const options: NetConnectOpts =
    target.port === 0 && isIP(target.address) === 0
      ? { path: target.address, allowHalfOpen: true }
      : {
          host: target.address,
          port: target.port,
          allowHalfOpen: true,
          ...(localAddress === null ? {} : { localAddress }),
          // Node's interface knows no interval and no count.
          keepAlive: target.keepalive !== null,
          keepAliveInitialDelay: target.keepalive?.timeMs ?? 0,
        };
  const connection = new NodeConnection(
    loop,
    netConnect(options),
    target.highWaterBytes,
    handler,
    target.tls,
  );
  if (target.preface != null) connection.begin(target.preface, target.tls !== null);
  if (target.connectTimeoutMs > 0) {
    const timer = loop.timers.schedule(target.connectTimeoutMs, () => {
      if (connection.isOpen && !connection.isConnected) connection.timedOut();
    });
    connection.onSettled = () => loop.timers.disarm(timer);
  }
  return connection;
}
