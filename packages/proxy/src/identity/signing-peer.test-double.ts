/** A signing service for tests, over node:http2: one token, client certificates of its own, any lifetime. */
import { createSecureServer, type Http2SecureServer, type ServerHttp2Stream } from 'node:http2';
import type { TLSSocket } from 'node:tls';
import {
  certificatePem,
  chainPem,
  isProblem,
  issueCertificate,
  parseCertificate,
  parseCsr,
  spiffeId,
} from '@sluice/identity';
import { TestAuthority, type TestLeaf } from '@sluice/testkit';
import { frameGrpcMessage, GrpcMessageDecoder, GrpcStatus } from '@sluice/wire';
import {
  decodeMessage,
  encodeMessage,
  IstioCertificateRequestTable,
  IstioCertificateResponseTable,
} from '@sluice/xds';

export interface AskedBy {
  readonly token: string;
  /** SPIFFE ID of a verified client certificate; empty without. */
  readonly peerId: string;
  readonly isPeerExpired: boolean;
}

export class SigningPeer {
  readonly authority: TestAuthority;
  readonly asked: AskedBy[] = [];
  readonly #server: Http2SecureServer;
  readonly #sockets = new Set<TLSSocket>();
  refusesAll = false;
  token = 't0ken';
  /** Further tokens, and whom each is for. */
  readonly tokens = new Map<string, string>();
  identity = spiffeId('cluster.local', 'default', 'a');
  lifetimeMs = 3_600_000;
  /** Of what is issued, against the peer's clock. */
  backdatingMs = 60_000;
  port = 0;

  constructor(authority = new TestAuthority(), leaf: TestLeaf = serverLeaf(authority)) {
    this.authority = authority;
    this.#server = createSecureServer({
      key: leaf.keyPem,
      cert: leaf.chainPem + authority.rootPem,
      ca: authority.rootPem,
      requestCert: true,
      rejectUnauthorized: false,
    });
    this.#server.on('secureConnection', (socket) => {
      this.#sockets.add(socket);
      socket.on('close', () => this.#sockets.delete(socket));
    });
    this.#server.on('stream', (stream, headers) =>
      this.#serve(stream as ServerHttp2Stream, String(headers['authorization'] ?? '')),
    );
  }

  get target(): string {
    return `127.0.0.1:${this.port}`;
  }

  async listen(port = this.port): Promise<void> {
    const { promise, resolve } = Promise.withResolvers<void>();
    this.#server.listen(port, '127.0.0.1', resolve);
    await promise;
    const address = this.#server.address();
    if (address !== null && typeof address === 'object') this.port = address.port;
  }

  close(): void {
    for (const socket of this.#sockets) socket.destroy();
    this.#server.close();
  }

  #serve(stream: ServerHttp2Stream, authorization: string): void {
    const socket = stream.session?.socket as TLSSocket;
    const shown = (socket.getPeerCertificate() as { raw?: Uint8Array }).raw;
    const peer = shown === undefined ? null : parseCertificate(shown);
    const isPeerExpired = peer !== null && !isProblem(peer) && peer.notAfterMs < Date.now();
    const isVerified = socket.authorized || isPeerExpired;
    const by: AskedBy = {
      token: authorization.replace(/^Bearer /, ''),
      peerId: isVerified && peer !== null && !isProblem(peer) ? (peer.uriSans[0] ?? '') : '',
      isPeerExpired,
    };
    this.asked.push(by);
    const decoder = new GrpcMessageDecoder({
      onMessage: (bytes) => this.#answer(stream, by, decodeMessage(IstioCertificateRequestTable, bytes).csr),
      onFramingError: () => stream.close(),
    });
    stream.on('error', () => undefined);
    stream.on('data', (chunk: Buffer) => decoder.execute(chunk, 0, chunk.length));
  }

  #answer(stream: ServerHttp2Stream, by: AskedBy, csrText: string): void {
    const csr = parseCsr(csrText);
    if (this.refusesAll) return end(stream, GrpcStatus.unavailable, 'down');
    if (isProblem(csr)) return end(stream, GrpcStatus.invalidArgument, csr.message);
    const named = by.peerId || this.tokens.get(by.token) || (by.token === this.token ? this.identity : '');
    if (named === '') return end(stream, GrpcStatus.unauthenticated, 'nobody said who asks');
    const certificate = issueCertificate(this.authority.signing, {
      spki: csr.spki,
      notBeforeMs: Date.now() - this.backdatingMs,
      notAfterMs: Date.now() + this.lifetimeMs,
      uriSans: [named],
    });
    const chain = [certificate, this.authority.signing.certificate.der, this.authority.root.certificate.der];
    respond(stream, GrpcStatus.ok, '');
    const certChain = chain.map((der) => chainPem([{ der }]));
    stream.end(frameGrpcMessage(encodeMessage(IstioCertificateResponseTable, { certChain })));
  }
}

/** With the names by which a loopback server is dialled. */
export function serverLeaf(authority: TestAuthority, names: object = {}): TestLeaf {
  return authority.leaf({ account: 'istiod', dnsSans: ['localhost'], ipSans: ['127.0.0.1'], ...names });
}

export function pinOf(authority: TestAuthority): string {
  return authority.root.certificate.sha256;
}

export function rootOf(authority: TestAuthority): string {
  return certificatePem(authority.root.certificate);
}

function end(stream: ServerHttp2Stream, code: number, message: string): void {
  respond(stream, code, message);
  stream.end();
}

function respond(stream: ServerHttp2Stream, code: number, message: string): void {
  stream.respond({ ':status': 200, 'content-type': 'application/grpc' }, { waitForTrailers: true });
  stream.on('wantTrailers', () =>
    stream.sendTrailers({ 'grpc-status': String(code), 'grpc-message': message }),
  );
}
