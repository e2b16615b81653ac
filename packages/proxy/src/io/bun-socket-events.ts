/**
 * Bun's raw sockets as the connection sees them: whose the events are, plain or above an engine, and how an
 * engine is put above a socket. Undocumented members in use are pinned by `bun-contract.test.ts` and
 * `bun-tls-contract.test.ts`.
 */
import type { Socket } from 'bun';
import type { ConnectFailure } from './connection.ts';
import { nativeSockets } from './native-socket.ts';
import type { TlsSettings } from './tls-context.ts';
import { alpnWire, chainOf, engineContext, type EngineCertificate, type EngineView } from './tls-engine.ts';

export type BunSocket = Socket<SocketOwner>;

/** Who hears of a socket's events. */
export interface SocketOwner {
  attach(socket: BunSocket): void;
  /** The engine's socket stands above the plain one from here on. */
  attachEngine(socket: BunSocket): void;
  onSocketData(data: Uint8Array): void;
  onSocketDrain(): void;
  onSocketEnd(): void;
  onSocketClose(error: unknown): void;
  onSocketSecured(error: unknown): void;
  onSocketSession(session: Uint8Array): void;
  failConnecting(failure: ConnectFailure): void;
}

/**
 * Owns the plain socket below an engine: Bun goes on reporting its events, ciphertext included, which the
 * connection hears of through the engine.
 */
const unplugged: SocketOwner = {
  attach() {},
  attachEngine() {},
  onSocketData() {},
  onSocketDrain() {},
  onSocketEnd() {},
  onSocketClose() {},
  onSocketSecured() {},
  onSocketSession() {},
  failConnecting() {},
};

/**
 * Puts the engine above a socket. `hello`: what a server has read of its client; null = we are the client.
 * Throws when the peer is gone.
 */
export function upgradeSocket(
  plain: BunSocket,
  owner: SocketOwner,
  settings: TlsSettings,
  alpn: readonly string[],
  hello: Uint8Array | null,
  serverName: string,
): void {
  // First, since it may throw: what stands between the two sockets afterwards has no owner yet.
  const secureContext = engineContext(settings).context;
  plain.data = unplugged;
  const unread = hello === null ? plain : withoutReader(plain);
  const options = {
    isServer: hello !== null,
    ...(hello === null ? {} : { initialData: hello }),
    tls: {
      secureContext,
      requestCert: hello === null || settings.asksForCertificate,
      rejectUnauthorized: false,
      ...(hello === null ? { serverName } : {}),
      ...(alpn.length === 0 ? {} : { ALPNProtocols: alpnWire(alpn) }),
    },
    socket: engineEvents,
    data: owner,
  };
  try {
    const [below] = unread.upgradeTLS<SocketOwner>(options as unknown as Bun.TLSUpgradeOptions<SocketOwner>);
    below.data = unplugged;
  } catch (error) {
    // Nobody else knows of it.
    if (unread !== plain) unread.terminate();
    throw error;
  }
}

/** Set within a call of `withoutReader`: a closure for each connection would stay as long as it does. */
let adopted: BunSocket | null = null;

/** Handlers of a plain socket below an engine: without `data` Bun makes no buffers of ciphertext for nobody. */
const unreadEvents = {
  open: (socket: BunSocket): void => void (adopted = socket),
  drain() {},
  end() {},
  close() {},
  error() {},
};

/**
 * Hands an accepted socket's connection to one that nobody reads, since the handlers of an accepted socket are
 * its listener's. The same socket where descriptors cannot be duplicated: correct as well, but dearer.
 */
function withoutReader(accepted: BunSocket): BunSocket {
  const native = nativeSockets();
  const fd = native === null ? -1 : native.duplicateDescriptor(accepted.fd);
  if (fd < 0) return accepted;
  adopted = null;
  // `open` is called from within, so that no octet can come between the two sockets.
  const options = { fd, allowHalfOpen: true, data: unplugged, socket: unreadEvents };
  Bun.connect<SocketOwner>(options as unknown as Bun.TCPSocketConnectOptions<SocketOwner>).catch(ignore);
  const unread = adopted as BunSocket | null;
  adopted = null;
  if (unread === null) return accepted;
  accepted.close();
  return unread;
}

function ignore(): void {
  // The attempt is judged by whether its socket opened.
}

/** What Bun's types leave out of a socket with an engine. */
export interface EngineSocket {
  readonly alpnProtocol: string | false | null;
  getTLSVersion(): string;
  getCipher(): { readonly name: string } | undefined;
  isSessionReused(): boolean;
  getPeerX509Certificate(): { readonly raw: Uint8Array } | undefined;
  getPeerCertificate(isAbbreviated: boolean): EngineCertificate | undefined;
  setSession(session: Uint8Array): void;
}

export function engineView(socket: EngineSocket): EngineView {
  return {
    protocol: socket.getTLSVersion(),
    cipher: socket.getCipher()?.name ?? '',
    alpn: typeof socket.alpnProtocol === 'string' ? socket.alpnProtocol : '',
    isResumed: socket.isSessionReused(),
    leaf: socket.getPeerX509Certificate()?.raw ?? null,
    chain: () => chainOf(socket.getPeerCertificate(false)),
  };
}

/** Events of any connection, accepted or opened. The unclosed ones of `open` differ. */
export const sharedEvents = {
  data: (socket: BunSocket, data: Buffer): void => socket.data.onSocketData(data),
  drain: (socket: BunSocket): void => socket.data.onSocketDrain(),
  end: (socket: BunSocket): void => socket.data.onSocketEnd(),
  close: (socket: BunSocket, error?: Error): void => socket.data?.onSocketClose(error),
  error: (socket: BunSocket, error: Error): void => socket.data?.onSocketClose(error),
};

const engineEvents = {
  ...sharedEvents,
  open: (socket: BunSocket): void => socket.data.attachEngine(socket),
  handshake: (socket: BunSocket, _ok: boolean, error: Error | null): void =>
    socket.data.onSocketSecured(error),
  session: (socket: BunSocket, session: Buffer): void => socket.data.onSocketSession(session),
};
