/**
 * gRPC over node:http2 on one address, in the clear or over TLS: what ADS and the signing service need of a server
 * and no more. Our own HTTP/2 takes its place behind the same handlers (wire/grpc/transport.ts).
 *
 * Over TLS a client may show a certificate and is let in either way: who it is, the handlers judge
 * (GrpcPeer.spiffeId and certificateChain), since a first contact has nothing but a token.
 *
 * Limits stand where node:http2 has none: streams per session, at once and in all (rapid reset,
 * CVE-2023-44487), message size, and bytes queued for a client that does not read.
 */
import { constants, createSecureServer, createServer } from 'node:http2';
import type {
  Http2SecureServer,
  Http2Server,
  IncomingHttpHeaders,
  ServerHttp2Session,
  ServerHttp2Stream,
} from 'node:http2';
import type { AddressInfo, Socket } from 'node:net';
import { encodeGrpcMessage, frameGrpcMessage, GrpcMessageDecoder, GrpcStatus } from '@sluice/wire';
import type { GrpcHandlers, GrpcMetadata, GrpcPeer, GrpcServerStream } from '@sluice/wire';
import type { Logger } from '@sluice/runtime';
import { presentedChain } from './peer-chain.ts';

export interface GrpcServerOptions {
  readonly handlers: GrpcHandlers;
  readonly log: Logger;
  /** Streams a session may have open at once. */
  readonly maxStreams: number;
  /** Streams a session may begin in all before it is closed: ADS needs one, a rapid reset thousands. */
  readonly maxStreamsInAll: number;
  /** Largest message taken from a client, bytes. */
  readonly maxMessageBytes: number;
  /** Bytes that may wait for a client before its stream is ended. */
  readonly maxQueuedBytes: number;
  /** Undefined for plaintext. */
  readonly tls?: GrpcServerTls;
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

/** A stranger that opens connections and never finishes a handshake is let go after this. */
const handshakeTimeoutMs = 10_000;

export class GrpcServer {
  readonly #options: GrpcServerOptions;
  readonly #server: Http2Server | Http2SecureServer;
  readonly #peers = new WeakMap<ServerHttp2Session, GrpcPeer>();
  readonly #sessions = new Set<ServerHttp2Session>();
  readonly #streams = new WeakMap<ServerHttp2Session, number>();

  constructor(options: GrpcServerOptions) {
    this.#options = options;
    const settings = { maxConcurrentStreams: options.maxStreams, enablePush: false };
    this.#server =
      options.tls === undefined
        ? createServer({ settings })
        : createSecureServer({
            settings,
            ...secureOptions(options.tls.credential()),
            handshakeTimeout: handshakeTimeoutMs,
          });
    this.#server.on('tlsClientError', (error: Error) =>
      options.log.debug('handshake failed', { error: error.message }),
    );
    this.#server.on('session', (session) => this.#onSession(session));
    // @types/bun widens the stream of a server to the client's kind.
    this.#server.on('stream', (stream, headers) => this.#onStream(stream as ServerHttp2Stream, headers));
    this.#server.on('sessionError', (error) => options.log.debug('session failed', { error: error.message }));
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
      for (const session of this.#sessions) session.destroy();
    });
  }

  #onSession(session: ServerHttp2Session): void {
    this.#sessions.add(session);
    session.on('close', () => this.#sessions.delete(session));
    session.on('error', (error) => this.#options.log.debug('session failed', { error: error.message }));
  }

  /**
   * Streams are counted as they begin and not as they are reset: a reset that comes while we answer looks like the
   * client's end of sending here, and what begins stream after stream is of no use however they end.
   */
  #countStream(session: ServerHttp2Session): void {
    const streams = (this.#streams.get(session) ?? 0) + 1;
    this.#streams.set(session, streams);
    if (streams !== this.#options.maxStreamsInAll + 1) return;
    this.#options.log.warning('session closed: too many streams, one after the other', { streams });
    setImmediate(() => session.destroy(undefined, constants.NGHTTP2_ENHANCE_YOUR_CALM));
  }

  #onStream(stream: ServerHttp2Stream, headers: IncomingHttpHeaders): void {
    stream.on('error', (error: Error) => this.#options.log.debug('stream failed', { error: error.message }));
    // @types/bun again: a server's stream has a server's session.
    if (stream.session) this.#countStream(stream.session as ServerHttp2Session);
    const isGrpc = headers['content-type']?.startsWith('application/grpc') === true;
    if (headers[':method'] !== 'POST' || !isGrpc) {
      stream.respond({ ':status': isGrpc ? 405 : 415 }, { endStream: true });
      return;
    }
    const path = headers[':path'] ?? '';
    const server = new ServerStream(stream, path, headers, {
      peer: this.#peerOf(stream),
      maxQueuedBytes: this.#options.maxQueuedBytes,
    });
    const handler = this.#options.handlers.get(path);
    if (!handler) {
      server.end(GrpcStatus.unimplemented, 'no such method');
      return;
    }
    const sink = handler(server);
    const decoder = new GrpcMessageDecoder(
      {
        onMessage: (message) => this.#guard(server, () => sink.onMessage(message)),
        onFramingError: (code) => server.fail(GrpcStatus.resourceExhausted, code),
      },
      this.#options.maxMessageBytes,
    );
    stream.on('data', (chunk: Buffer) => {
      if (!server.isOver) decoder.execute(chunk, 0, chunk.length);
    });
    stream.on('end', () => {
      if (!server.isOver) this.#guard(server, () => sink.onHalfClose());
    });
    stream.on('close', () => {
      if (server.closed()) this.#guard(server, () => sink.onCancelled());
    });
    stream.on('drain', () => sink.onDrain?.());
  }

  /** Judged once for each connection. */
  #peerOf(stream: ServerHttp2Stream): GrpcPeer {
    const session = stream.session as ServerHttp2Session | undefined;
    const known = session === undefined ? undefined : this.#peers.get(session);
    if (known !== undefined) return known;
    const socket: Socket | undefined = session?.socket;
    const address = `${socket?.remoteAddress ?? ''}:${socket?.remotePort ?? 0}`;
    const { tls } = this.#options;
    const certificateChain = tls === undefined || socket === undefined ? [] : presentedChain(socket);
    const spiffeId = certificateChain.length === 0 ? null : (tls?.identify(certificateChain) ?? null);
    const peer: GrpcPeer = {
      address,
      ...(certificateChain.length === 0 ? {} : { certificateChain }),
      ...(spiffeId === null ? {} : { spiffeId }),
    };
    if (session !== undefined) this.#peers.set(session, peer);
    return peer;
  }

  /** A fault in serving one stream ends that stream, with the others and the process untouched. */
  #guard(server: ServerStream, serve: () => void): void {
    try {
      serve();
    } catch (error) {
      this.#options.log.error('a stream could not be served', {
        path: server.path,
        error: error instanceof Error ? (error.stack ?? error.message) : String(error),
      });
      server.fail(GrpcStatus.internal, 'internal error');
    }
  }
}

class ServerStream implements GrpcServerStream {
  readonly path: string;
  readonly metadata: GrpcMetadata;
  readonly peer: GrpcPeer;
  readonly #stream: ServerHttp2Stream;
  readonly #maxQueuedBytes: number;
  #hasHead = false;
  #isOver = false;
  #isEndedByHandler = false;

  constructor(
    stream: ServerHttp2Stream,
    path: string,
    headers: IncomingHttpHeaders,
    { peer, maxQueuedBytes }: { readonly peer: GrpcPeer; readonly maxQueuedBytes: number },
  ) {
    this.#stream = stream;
    this.#maxQueuedBytes = maxQueuedBytes;
    this.path = path;
    this.metadata = metadataOf(headers);
    this.peer = peer;
  }

  get isOver(): boolean {
    return this.#isOver;
  }

  send(message: Uint8Array): boolean {
    if (this.#isOver) return false;
    this.#sendHead();
    const hasRoom = this.#stream.write(frameGrpcMessage(message));
    if (!hasRoom && this.#stream.writableLength > this.#maxQueuedBytes) {
      this.fail(GrpcStatus.resourceExhausted, 'the client does not read');
      return false;
    }
    return hasRoom;
  }

  end(code: number, message = '', trailers: GrpcMetadata = []): void {
    this.#isEndedByHandler = true;
    this.#finish(code, message, trailers);
  }

  /** Ends the stream without the handler's doing: it is told by onCancelled when the transport closes. */
  fail(code: number, message: string): void {
    this.#finish(code, message, []);
  }

  #finish(code: number, message: string, trailers: GrpcMetadata): void {
    if (this.#isOver) return;
    this.#isOver = true;
    const status = {
      'grpc-status': String(code),
      ...(message === '' ? {} : { 'grpc-message': encodeGrpcMessage(message) }),
      ...Object.fromEntries(trailers),
    };
    if (this.#stream.destroyed) return;
    if (this.#hasHead) {
      this.#stream.once('wantTrailers', () => this.#stream.sendTrailers(status));
      this.#stream.end();
    } else {
      this.#stream.respond(
        { ':status': 200, 'content-type': 'application/grpc', ...status },
        { endStream: true },
      );
    }
  }

  /** The transport is gone. True when the handler does not know yet. */
  closed(): boolean {
    this.#isOver = true;
    return !this.#isEndedByHandler;
  }

  #sendHead(): void {
    if (this.#hasHead) return;
    this.#hasHead = true;
    this.#stream.respond({ ':status': 200, 'content-type': 'application/grpc' }, { waitForTrailers: true });
  }
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

function metadataOf(headers: IncomingHttpHeaders): GrpcMetadata {
  return Object.entries(headers).flatMap(([name, value]) => {
    if (name.startsWith(':') || value === undefined) return [];
    return Array.isArray(value) ? value.map((one) => [name, one] as const) : [[name, value] as const];
  });
}
