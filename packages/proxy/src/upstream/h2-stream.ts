/**
 * One request on an HTTP/2 connection to an endpoint.
 *
 *   begun ──► (held: extended CONNECT before the peer's SETTINGS) ──► sent ──► answered ──► over
 *
 * An upgrade has HTTP/1.1's form in the exchange; here it becomes extended CONNECT (RFC 8441): the key of
 * the WebSocket handshake stays behind, and a 2xx is the 101.
 */
import { H, H2ErrorCode, HeaderList } from '@sluice/wire';
import type { H2Session, H2Stream } from '@sluice/wire';
import type { Endpoint } from '../cluster/cluster.ts';
import { agreeOnLength } from '../http/h2-content-length.ts';
import type {
  ResponseMessage,
  ResponseSink,
  UpstreamRequest,
  UpstreamReset,
  UpstreamStream,
} from '../http/streams.ts';
import type { TlsFacts } from '../io/tls-facts.ts';
import { webSocketAccept } from '../http/websocket-handshake.ts';

/** What a stream needs of its connection. */
export interface H2StreamHost {
  readonly endpoint: Endpoint;
  readonly tls: TlsFacts | null;
  readonly localAddress: string;
  readonly session: H2Session;
  /** The peer's SETTINGS have come: what it supports is known. */
  readonly hasPeerSettings: boolean;
  /** Until the peer's SETTINGS say whether it takes extended CONNECT (RFC 8441 §3): `sendHeld` follows. */
  hold(stream: H2UpstreamStream): void;
  /** The attempt is over: the stream is free once nobody can read its heads any more. */
  streamEnded(stream: H2UpstreamStream): void;
}

const NONE = new HeaderList();

interface MutableResponse {
  status: number;
  headers: HeaderList;
  contentLength: number;
}

export class H2UpstreamStream implements UpstreamStream {
  isReused = false;
  readonly #connection: H2StreamHost;
  readonly #response: MutableResponse & ResponseMessage = { status: 0, headers: NONE, contentLength: -1 };
  #h2: H2Stream | null = null;
  #sink: ResponseSink | null = null;
  #upgrade = '';
  /** Of a client that speaks HTTP/1: it waits for the answer to it. */
  #webSocketKey = '';
  /** An upgrade whose head waits; its end, if that came meanwhile. */
  #held: UpstreamRequest | null = null;
  #hasHeldEnd = false;

  constructor(connection: H2StreamHost) {
    this.#connection = connection;
  }

  get endpoint(): Endpoint {
    return this.#connection.endpoint;
  }
  get tls(): TlsFacts | null {
    return this.#connection.tls;
  }
  get localAddress(): string {
    return this.#connection.localAddress;
  }
  get isWritable(): boolean {
    return this.#held === null && this.#h2 !== null && this.#h2.isWritable;
  }

  get queuedBytes(): number {
    return this.#h2 === null ? 0 : this.#h2.queuedBytes;
  }

  begin(h2: H2Stream, sink: ResponseSink, isReused: boolean): void {
    this.#h2 = h2;
    this.#sink = sink;
    this.isReused = isReused;
    this.#upgrade = '';
    this.#webSocketKey = '';
    this.#held = null;
    this.#hasHeldEnd = false;
  }

  // --- from the attempt ---

  sendHead(request: UpstreamRequest, isEnd: boolean): void {
    this.#upgrade = request.upgrade;
    reduceTe(request.headers);
    // Of a tunnel no length is true, and one that is not makes the request malformed (RFC 9113 §8.1.1).
    if (request.upgrade !== '') request.headers.remove(H.contentLength);
    if (request.upgrade === '') {
      const { method, scheme, path, headers } = request;
      const authority = authorityOf(request);
      agreeOnLength(headers, request.contentLength, isEnd);
      this.#h2!.sendRequestHead(method, scheme, authority, path, '', headers, isEnd);
    } else if (request.upgrade === 'connect') {
      this.#h2!.sendRequestHead('CONNECT', '', request.authority, '', '', request.headers, false);
    } else if (this.#connection.hasPeerSettings) this.#sendUpgrade(request);
    else {
      this.#held = request;
      this.#connection.hold(this);
    }
  }

  sendData(data: Uint8Array, start: number, end: number): void {
    this.#h2!.sendData(data, start, end);
  }

  sendEnd(trailers: HeaderList | null): void {
    if (this.#held === null) this.#h2!.sendEnd(trailers);
    else this.#hasHeldEnd = true;
  }

  consumed(byteCount: number): void {
    this.#h2?.consumed(byteCount);
  }

  release(): void {
    const h2 = this.#h2;
    if (this.#sink === null || h2 === null) return;
    this.#sink = null;
    this.#held = null;
    // A complete answer to a request that is not needed any more is no failure (RFC 9113 §8.1).
    if (!h2.isRemoteEnded) h2.reset(H2ErrorCode.CANCEL);
    else if (!h2.isLocalEnded) h2.reset(H2ErrorCode.NO_ERROR);
    this.#connection.streamEnded(this);
  }

  // --- from the session ---

  /** The peer's SETTINGS have come. */
  sendHeld(): void {
    const request = this.#held;
    const sink = this.#sink;
    if (request === null || sink === null) return;
    this.#held = null;
    if (!this.#sendUpgrade(request)) return;
    if (this.#hasHeldEnd) this.#h2!.sendEnd(null);
    else sink.onUpstreamWritable();
  }

  onHead(isEnd: boolean): void {
    const response = this.#fill();
    response.contentLength = isEnd ? 0 : this.#h2!.contentLength;
    if (
      this.#upgrade !== '' &&
      this.#upgrade !== 'connect' &&
      response.status >= 200 &&
      response.status < 300
    ) {
      response.status = 101;
      response.contentLength = -1;
      response.headers.remove(H.contentLength);
      response.headers.append(H.upgrade, this.#upgrade);
      if (this.#webSocketKey !== '')
        response.headers.append(H.secWebSocketAccept, webSocketAccept(this.#webSocketKey));
    }
    this.#sink?.onResponseHead(response, isEnd);
    if (isEnd) this.#sink?.onResponseEnd(null);
  }

  onInformational(): void {
    this.#sink?.onInformational(this.#fill());
  }

  onData(data: Uint8Array, start: number, end: number): void {
    if (this.#sink === null) this.#h2!.consumed(end - start);
    else this.#sink.onResponseData(data, start, end);
  }

  onEnd(trailers: HeaderList | null): void {
    this.#sink?.onResponseEnd(trailers);
  }

  onWritable(): void {
    this.#sink?.onUpstreamWritable();
  }

  onReset(reset: UpstreamReset, detail: string): void {
    const sink = this.#sink;
    if (sink === null) return;
    this.#sink = null;
    this.#held = null;
    this.#connection.streamEnded(this);
    sink.onUpstreamReset(reset, detail);
  }

  /** Nobody reads its heads any more: the session may use its stream again. */
  forget(): void {
    const h2 = this.#h2;
    this.#h2 = null;
    if (h2 === null) return;
    h2.user = null;
    h2.release();
  }

  #fill(): MutableResponse & ResponseMessage {
    const response = this.#response;
    response.status = this.#h2!.pseudo.status;
    response.headers = this.#h2!.headers;
    return response;
  }

  /** False when the peer does not take it. */
  #sendUpgrade(request: UpstreamRequest): boolean {
    if (!this.#connection.session.peerEnablesConnectProtocol) {
      this.#h2!.reset(H2ErrorCode.CANCEL);
      this.onReset('protocol-error', 'the endpoint takes no extended CONNECT');
      return false;
    }
    const { scheme, path, upgrade, headers } = request;
    const authority = authorityOf(request);
    const key = headers.get(H.secWebSocketKey) ?? '';
    headers.remove(H.secWebSocketKey);
    this.#h2!.sendRequestHead('CONNECT', scheme, authority, path, upgrade, headers, false);
    // The list is the request's: another attempt may go over HTTP/1.
    if (key !== '') headers.append(H.secWebSocketKey, key);
    this.#webSocketKey = key;
    return true;
  }
}

/** Makes a string only where an edit has changed the host. */
function authorityOf({ authority, headers }: UpstreamRequest): string {
  return headers.valueEquals(H.host, authority) ? authority : (headers.get(H.host) ?? '');
}

/** Of TE only `trailers` goes on, and in HTTP/2 nothing else may stand there (RFC 9113 §8.2.2). */
function reduceTe(headers: HeaderList): void {
  if (!headers.has(H.te) || headers.valueEquals(H.te, 'trailers')) return;
  if (/(^|,)[ \t]*trailers[ \t]*(,|$)/i.test(headers.joined(H.te) ?? '')) headers.set(H.te, 'trailers');
  else headers.remove(H.te);
}
