/**
 * gRPC on one address, in the clear or over TLS, on our own HTTP/2: what ADS and the signing service need of a
 * server and no more. What it means is wire's (GrpcServerConnection); here are the sockets.
 *
 * Over TLS a client may show a certificate and is let in either way: who it is, the handlers judge
 * (GrpcPeer.spiffeId and certificateChain), since a first contact has nothing but a token.
 */
import { createServer, type AddressInfo, type Server, type Socket } from 'node:net';
import { createServer as createTlsServer, type Server as TlsServer } from 'node:tls';
import { GrpcServerConnection, H2ErrorCode } from '@sluice/wire';
import type { GrpcHandlers, GrpcPeer, GrpcServerLimits, GrpcServerOwner } from '@sluice/wire';
import type { Logger } from '@sluice/runtime';
import { presentedChain } from './peer-chain.ts';

export interface GrpcServerOptions extends GrpcServerLimits {
  readonly handlers: GrpcHandlers;
  readonly log: Logger;
  /** Undefined for plaintext. */
  readonly tls?: GrpcServerTls;
  /** A stranger that never finishes a handshake, of TLS or of HTTP/2, is let go after this; 10 s if absent. */
  readonly handshakeTimeoutMs?: number;
  /** A connection that has no stream open is let go after this; 60 s if absent. */
  readonly idleTimeoutMs?: number;
  /** Connections at once, of clients that nobody has judged yet too; more are closed as they come. */
  readonly maxConnections?: number;
}

export interface GrpcServerTls {
  /** What the server shows and whose clients it asks for certificates; read at the start and by `renewCredential`. */
  readonly credential: () => GrpcServerCredential;
  /** The SPIFFE ID of a client's chain (DER, leaf first) when it is trusted, else null. Never throws. */
  readonly identify: (chain: readonly Uint8Array[]) => string | null;
}

export interface GrpcServerCredential {
  /** Leaf first, root last: a client that pins the root needs all of it. */
  readonly chainPem: string;
  readonly keyPem: string;
  readonly trustedPem: string;
}

const defaultHandshakeTimeoutMs = 10_000;
/** Proxies have a stream as long as they live; who has none has had its answer, or never asked. */
const defaultIdleTimeoutMs = 60_000;
/** One for each of the largest mesh's proxies, and below what descriptors a process usually may have. */
const defaultMaxConnections = 8192;
/** How long a silent client's machine is left in peace before the kernel asks whether it is still there. */
const keepaliveMs = 30_000;
/** A connection that was told to go away is cut if it has not taken that by then. */
const closeTimeoutMs = 5_000;

export class GrpcServer {
  readonly #options: GrpcServerOptions;
  readonly #server: Server | TlsServer;
  readonly #connections = new Set<ServedConnection>();

  constructor(options: GrpcServerOptions) {
    this.#options = options;
    const serve = (socket: Socket): void => {
      const connection = new ServedConnection(socket, options, () => this.#connections.delete(connection));
      this.#connections.add(connection);
    };
    if (options.tls === undefined) {
      this.#server = createServer(serve);
    } else {
      const settings = { ALPNProtocols: ['h2'], handshakeTimeout: handshakeTimeoutOf(options) };
      this.#server = createTlsServer({ ...secureOptions(options.tls.credential()), ...settings }, serve);
      this.#server.on('tlsClientError', (error: Error) =>
        options.log.debug('handshake failed', { error: error.message }),
      );
    }
    this.#server.maxConnections = options.maxConnections ?? defaultMaxConnections;
    this.#server.on('drop', () => options.log.warning('connection refused: there are too many', {}));
  }

  /** Resolves with the address bound; rejects with the system's error. */
  listen(host: string, port: number): Promise<string> {
    return new Promise((resolve, reject) => {
      this.#server.once('error', reject);
      this.#server.listen({ host, port }, () => {
        this.#server.off('error', reject);
        this.#server.on('error', (error) =>
          this.#options.log.error('server failed', { error: String(error) }),
        );
        const bound = this.#server.address() as AddressInfo;
        resolve(
          bound.family === 'IPv6' ? `[${bound.address}]:${bound.port}` : `${bound.address}:${bound.port}`,
        );
      });
    });
  }

  /** The credential has changed: new connections get the new one, those that are open go on. */
  renewCredential(): void {
    const { tls } = this.#options;
    if (tls !== undefined && 'setSecureContext' in this.#server)
      this.#server.setSecureContext(secureOptions(tls.credential()));
  }

  /** Stops accepting and ends what is open: clients reconnect elsewhere, or later. */
  close(): Promise<void> {
    return new Promise((resolve) => {
      this.#server.close(() => resolve());
      for (const connection of this.#connections) connection.destroy();
    });
  }
}

/** One client's socket and its gRPC connection. */
class ServedConnection implements GrpcServerOwner {
  readonly handlers: GrpcHandlers;
  readonly limits: GrpcServerLimits;
  readonly #options: GrpcServerOptions;
  readonly #socket: Socket;
  readonly #connection: GrpcServerConnection;
  #peer: GrpcPeer | null = null;
  #isFinished = false;
  /** Runs while no stream is open. PINGs do not stop it: a stranger could stay for ever by them. */
  #idle: ReturnType<typeof setTimeout> | undefined;
  /** What is answered to the octets of one event leaves in one write. */
  #isReceiving = false;

  constructor(socket: Socket, options: GrpcServerOptions, onClosed: () => void) {
    this.#socket = socket;
    this.#options = options;
    this.handlers = options.handlers;
    this.limits = options;
    this.#connection = new GrpcServerConnection(this, performance.now());
    socket.setNoDelay(true);
    socket.setKeepAlive(true, keepaliveMs);
    socket.setTimeout(handshakeTimeoutOf(options), () => socket.destroy());
    socket.on('data', (data: Buffer) => this.#receive(data));
    socket.on('drain', () => this.#connection.drained());
    socket.on('error', (error) => options.log.debug('connection failed', { error: error.message }));
    socket.on('close', () => {
      this.#isFinished = true;
      clearTimeout(this.#idle);
      this.#connection.closed();
      onClosed();
    });
    this.wantsFlush();
  }

  destroy(): void {
    this.#socket.destroy();
  }

  /** Judged once, when the first stream asks. */
  peer(): GrpcPeer {
    clearTimeout(this.#idle);
    this.#idle = undefined;
    this.#peer ??= this.#readPeer();
    return this.#peer;
  }

  wantsFlush(): void {
    if (this.#isReceiving) return;
    const { output } = this.#connection;
    for (let taken = output.take(); taken !== null; taken = output.take()) {
      if (!this.#socket.write(taken)) output.isWritable = false;
    }
    this.#watchIdle();
  }

  onFinished(reason: string): void {
    if (this.#isFinished) return;
    this.#isFinished = true;
    if (reason !== '') this.#options.log.warning('session closed', { reason });
    this.#isReceiving = false;
    this.wantsFlush();
    this.#socket.end();
    // One that does not read its GOAWAY must not hold its streams for that.
    this.#socket.setTimeout(closeTimeoutMs);
    this.#connection.closed();
  }

  onFault(path: string, error: unknown): void {
    this.#options.log.error('a stream could not be served', {
      path,
      error: error instanceof Error ? (error.stack ?? error.message) : String(error),
    });
  }

  #receive(data: Buffer): void {
    const { session } = this.#connection;
    const isGreeting = session.awaitsSettingsAck;
    this.#isReceiving = true;
    try {
      this.#connection.receive(data, performance.now());
    } finally {
      this.#isReceiving = false;
      this.wantsFlush();
    }
    // RFC 9113 §6.5.3: both sides know each other's settings; from here on silence is what ADS mostly is.
    if (isGreeting && !session.awaitsSettingsAck && !this.#isFinished) this.#socket.setTimeout(0);
  }

  /** To be called whenever a stream may have ended. */
  #watchIdle(): void {
    if (this.#isFinished || this.#idle !== undefined || this.#connection.session.openStreamCount > 0) return;
    this.#idle = setTimeout(() => this.#idledOut(), this.#options.idleTimeoutMs ?? defaultIdleTimeoutMs);
  }

  #idledOut(): void {
    const { session } = this.#connection;
    this.#idle = undefined;
    if (this.#isFinished || session.openStreamCount > 0) return;
    // A request that crosses this is told to be unprocessed: its client sends it again elsewhere.
    session.goAway(H2ErrorCode.NO_ERROR);
    this.onFinished('');
  }

  #readPeer(): GrpcPeer {
    const { tls } = this.#options;
    const certificateChain = tls === undefined ? [] : presentedChain(this.#socket);
    const spiffeId = certificateChain.length === 0 ? null : (tls?.identify(certificateChain) ?? null);
    return {
      address: `${this.#socket.remoteAddress ?? ''}:${this.#socket.remotePort ?? 0}`,
      ...(certificateChain.length === 0 ? {} : { certificateChain }),
      ...(spiffeId === null ? {} : { spiffeId }),
    };
  }
}

function handshakeTimeoutOf(options: GrpcServerOptions): number {
  return options.handshakeTimeoutMs ?? defaultHandshakeTimeoutMs;
}

/** Clients are asked for a certificate and not turned away without one: handlers judge (see above). */
function secureOptions({ chainPem, keyPem, trustedPem }: GrpcServerCredential) {
  return {
    cert: chainPem,
    key: keyPem,
    ca: trustedPem,
    requestCert: true,
    rejectUnauthorized: false,
    minVersion: 'TLSv1.2' as const,
  };
}
