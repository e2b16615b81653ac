/**
 * A control plane for tests, over node:http2: serves whatever resources it is given (a type whole, in each
 * response) and records subscriptions, nodes and NACKs. Deliberately dumber than the real one.
 */
import {
  createSecureServer,
  createServer,
  type Http2SecureServer,
  type Http2Server,
  type IncomingHttpHeaders,
  type ServerHttp2Stream,
} from 'node:http2';
import type { TLSSocket } from 'node:tls';
import { GrpcMessageDecoder, frameGrpcMessage } from '@sluice/wire';
import {
  decodeMessage,
  DeltaDiscoveryRequestTable,
  DeltaDiscoveryResponseTable,
  DiscoveryRequestTable,
  DiscoveryResponseTable,
  encodeMessage,
} from '@sluice/xds';

export interface Nack {
  readonly typeUrl: string;
  readonly message: string;
}

export class AdsPeer {
  readonly nacks: Nack[] = [];
  readonly subscriptions = new Map<string, readonly string[]>();
  readonly nodes: object[] = [];
  readonly authorizations: string[] = [];
  /** URI names of each client certificate that was verified, with its serial: `uri#serial`. */
  readonly clients: string[] = [];
  readonly #server: Http2Server | Http2SecureServer;
  readonly #resources = new Map<string, Map<string, Uint8Array>>();
  readonly #streams = new Set<{ send(typeUrl: string): void; close(): void }>();
  readonly #waiters: { check: () => boolean; resolve: () => void }[] = [];
  #version = 0;
  port = 0;
  /** Names that are asked for and not there are told as removed (delta). */
  tellsAbsence = false;

  /** With `tls` only clients with a certificate of `ca` are served. */
  constructor(tls: { key: string; cert: string; ca: string } | null = null) {
    this.#server =
      tls === null
        ? createServer()
        : createSecureServer({ ...tls, requestCert: true, rejectUnauthorized: true });
    this.#server.on('stream', (stream: ServerHttp2Stream, headers: IncomingHttpHeaders) => {
      if (tls !== null) {
        const socket = stream.session?.socket as TLSSocket;
        const { subjectaltname, serialNumber } = socket.getPeerCertificate();
        this.clients.push(`${subjectaltname?.replace('URI:', '')}#${serialNumber.toLowerCase()}`);
      }
      this.authorizations.push(String(headers['authorization'] ?? ''));
      this.#serve(stream, String(headers[':path']).includes('Delta'));
    });
  }

  async listen(port = 0): Promise<void> {
    const { promise, resolve } = Promise.withResolvers<void>();
    this.#server.listen(port, '127.0.0.1', resolve);
    await promise;
    const address = this.#server.address();
    if (address !== null && typeof address === 'object') this.port = address.port;
  }

  /** Sets resources of a type (encoded Anys by name) and pushes the type to open streams. */
  put(typeUrl: string, resources: Readonly<Record<string, Uint8Array>>): void {
    this.#version++;
    this.#resources.set(typeUrl, new Map(Object.entries(resources)));
    for (const stream of this.#streams) stream.send(typeUrl);
  }

  /** Resolves when `check` holds, looked at after each request from the proxy. */
  until(check: () => boolean): Promise<void> {
    if (check()) return Promise.resolve();
    const { promise, resolve } = Promise.withResolvers<void>();
    this.#waiters.push({ check, resolve });
    return promise;
  }

  dropStreams(): void {
    for (const stream of this.#streams) stream.close();
  }

  close(): void {
    this.dropStreams();
    this.#server.close();
  }

  #serve(stream: ServerHttp2Stream, isDelta: boolean): void {
    stream.respond({ ':status': 200, 'content-type': 'application/grpc' }, { waitForTrailers: false });
    const asked = new Set<string>();
    const send = (typeUrl: string): void => {
      if (!asked.has(typeUrl) || stream.destroyed) return;
      stream.write(frameGrpcMessage(this.#response(typeUrl, isDelta)));
    };
    const entry = { send, close: () => stream.close() };
    this.#streams.add(entry);
    stream.on('close', () => this.#streams.delete(entry));
    stream.on('error', () => this.#streams.delete(entry));
    const decoder = new GrpcMessageDecoder({
      onMessage: (bytes) => this.#request(bytes, isDelta, asked, send),
      onFramingError: () => stream.close(),
    });
    stream.on('data', (chunk: Buffer) => decoder.execute(chunk, 0, chunk.length));
  }

  #request(bytes: Uint8Array, isDelta: boolean, asked: Set<string>, send: (typeUrl: string) => void): void {
    const request = isDelta
      ? decodeMessage(DeltaDiscoveryRequestTable, bytes)
      : decodeMessage(DiscoveryRequestTable, bytes);
    const { typeUrl, node, errorDetail, responseNonce } = request;
    if (node !== undefined) this.nodes.push(node);
    if (errorDetail !== undefined) this.nacks.push({ typeUrl, message: errorDetail.message });
    const names = 'resourceNames' in request ? request.resourceNames : request.resourceNamesSubscribe;
    const isNew =
      !asked.has(typeUrl) ||
      (isDelta ? names.length > 0 : names.join() !== (this.subscriptions.get(typeUrl) ?? []).join());
    if (!isDelta || names.length > 0) this.subscriptions.set(typeUrl, names);
    asked.add(typeUrl);
    if (responseNonce === '' || isNew) send(typeUrl);
    for (const waiter of this.#waiters.splice(0)) {
      if (waiter.check()) waiter.resolve();
      else this.#waiters.push(waiter);
    }
  }

  #response(typeUrl: string, isDelta: boolean): Uint8Array {
    const wanted = this.subscriptions.get(typeUrl) ?? [];
    const all = [...(this.#resources.get(typeUrl) ?? [])].filter(
      ([name]) =>
        wanted.length === 0 ||
        wanted.includes('*') ||
        wanted.includes(name) ||
        wanted.includes(name.split('/')[0] ?? ''),
    );
    const present = new Set(all.map(([name]) => name));
    const absent = wanted.filter((name) => name !== '*' && !present.has(name));
    const version = String(this.#version);
    const nonce = `n${this.#version}-${Math.random()}`;
    if (!isDelta) {
      const resources = all.map(([, bytes]) => bytes);
      return encodeMessage(DiscoveryResponseTable, { typeUrl, versionInfo: version, nonce, resources });
    }
    const resources = all.map(([name, bytes]) => ({ name, version, resource: bytes }));
    return encodeMessage(DeltaDiscoveryResponseTable, {
      typeUrl,
      nonce,
      systemVersionInfo: version,
      resources,
      removedResources: this.tellsAbsence ? absent : [],
    });
  }
}
