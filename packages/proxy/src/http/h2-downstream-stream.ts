/**
 * One request of a client's HTTP/2 connection: the codec's stream towards an exchange, the exchange's
 * answers towards the codec.
 *
 *   begun ──► served by an exchange ──exchange over──► free
 *                                     └─ the client still sends ──► discarding ──► free
 *
 * What differs from HTTP/1 is settled here, so that filters and routes see one form: extended CONNECT is an
 * Upgrade (RFC 8441), and what frames a message is made to agree with what it says. (The session joins cookie
 * crumbs, RFC 9113 §8.2.3.)
 */
import { H, H2ErrorCode, HeaderList } from '@sluice/wire';
import type { H2Stream } from '@sluice/wire';
import type { Clock, TimerWheel } from '@sluice/runtime';
import { Deadline } from './deadline.ts';
import type { Exchange } from './exchange.ts';
import { agreeOnLength } from './h2-content-length.ts';
import { TUNNEL, type DownstreamStream, type RequestMessage, type ResponseMessage } from './streams.ts';

/** What a stream needs of its connection. */
export interface H2StreamOwner {
  readonly timers: TimerWheel;
  readonly clock: Clock;
  /** How long a client may go on with a request that has been answered. */
  readonly discardTimeoutMs: number;
  takeExchange(stream: H2DownstreamStream, message: RequestMessage): Exchange;
  giveExchange(exchange: Exchange): void;
  /** Its last word: the object may serve another request. */
  streamOver(stream: H2DownstreamStream, h2: H2Stream): void;
}

const NONE = new HeaderList();
const CONTINUE = '100-continue';
/** For a :protocol that is our word for a tunnel, which only CONNECT itself may open: no token, so never allowed. */
const UNNAMEABLE = ':connect';

type MutableMessage = { -readonly [K in keyof RequestMessage]: RequestMessage[K] };

export class H2DownstreamStream implements DownstreamStream {
  readonly #message: MutableMessage = {
    method: '',
    scheme: 'http',
    authority: '',
    path: '',
    protocol: 'HTTP/2',
    headers: NONE,
    upgrade: '',
    expectsContinue: false,
    contentLength: -1,
  };
  #owner: H2StreamOwner | null = null;
  #h2: H2Stream | null = null;
  #exchange: Exchange | null = null;
  /** Of the request's body; then of the rest of it that nobody wants. */
  #deadline: Deadline | null = null;
  #isHead = false;

  begin(owner: H2StreamOwner, h2: H2Stream): void {
    this.#owner = owner;
    this.#h2 = h2;
    h2.user = this;
  }

  /** Fills the message from the received head, and has it served. */
  serve(isEnd: boolean, passesExpect: boolean, requestTimeoutMs: number): void {
    const message = this.#message;
    const h2 = this.#h2!;
    const { pseudo, headers } = h2;
    message.method = pseudo.method;
    message.headers = headers;
    message.authority = pseudo.authority === '' ? (headers.get(H.host) ?? '') : pseudo.authority;
    message.path = pseudo.path;
    message.upgrade = '';
    // A length cannot stand beside trailers in HTTP/1: what announces them is sent in chunks.
    message.contentLength = headers.has(H.trailer) ? -1 : h2.contentLength;
    this.#isHead = pseudo.method === 'HEAD';
    if (pseudo.method === 'CONNECT') this.#beUpgrade(pseudo.protocol);
    message.expectsContinue = !isEnd && headers.has(H.expect) && this.#readExpect(passesExpect);
    const isUpgrade = message.upgrade !== '';
    if (!isEnd && !isUpgrade && requestTimeoutMs > 0) this.#armDeadline(requestTimeoutMs);
    this.#take().onRequestHead(message, isEnd && !isUpgrade);
    if (isEnd && isUpgrade) this.#exchange?.onRequestEnd(null);
  }

  /** The request that came as HTTP/1.1 before the connection was upgraded to h2c. */
  serveUpgraded(message: RequestMessage): void {
    Object.assign(this.#message, message, { protocol: 'HTTP/2' });
    this.#isHead = message.method === 'HEAD';
    this.#take().onRequestHead(this.#message, true);
  }

  /** There is a head, but none that can be served. */
  refuse(status: number, code: string, detail: string): void {
    this.#message.headers = this.#h2!.headers;
    this.#isHead = false;
    this.#take().onHeadInvalid(status, code, detail);
  }

  // --- from the session ---

  onData(data: Uint8Array, start: number, end: number): void {
    if (this.#exchange === null) {
      this.#h2!.consumed(end - start);
      this.#stopDiscarding();
    } else this.#exchange.onRequestData(data, start, end);
  }

  onEnd(trailers: HeaderList | null): void {
    this.#deadline?.clear();
    if (this.#exchange === null) this.#over();
    else this.#exchange.onRequestEnd(trailers);
  }

  onWritable(): void {
    this.#exchange?.onWritable();
  }

  onReset(cause: 'disconnected' | 'remote-reset' | 'protocol-error', detail: string): void {
    if (this.#exchange === null) this.#over();
    else this.#exchange.onDownstreamReset(cause, detail);
  }

  onDeadline(): void {
    if (this.#exchange !== null) this.#exchange.onRequestTimeout();
    else if (this.#h2 !== null) {
      this.#h2.reset(H2ErrorCode.NO_ERROR);
      this.#over();
    }
  }

  // --- from the exchange ---

  get isWritable(): boolean {
    return this.#h2 !== null && this.#h2.isWritable;
  }

  sendInformational(response: ResponseMessage): void {
    this.#h2!.sendResponseHead(response.status, response.headers, false);
  }

  sendHead(response: ResponseMessage, isEnd: boolean, isTunnel: boolean): void {
    const { headers } = response;
    let { status } = response;
    if (isTunnel) {
      // RFC 8441 §5: 101 does not exist here, nor do the fields of the HTTP/1 handshake.
      if (status === 101) status = 200;
      headers.remove(H.secWebSocketAccept);
      headers.remove(H.contentLength);
    } else if (!this.#isHead && status !== 304)
      agreeOnLength(headers, isEnd ? 0 : response.contentLength, isEnd);
    this.#h2!.sendResponseHead(status, headers, isEnd);
  }

  sendData(data: Uint8Array, start: number, end: number): void {
    this.#h2!.sendData(data, start, end);
  }

  sendEnd(trailers: HeaderList | null): void {
    this.#h2!.sendEnd(trailers);
  }

  consumed(byteCount: number): void {
    this.#h2!.consumed(byteCount);
  }

  abort(): void {
    this.#h2!.reset(H2ErrorCode.INTERNAL_ERROR);
  }

  /** The connection's output leaves when the turn ends, with that of the other streams. */
  flush(): void {}

  exchangeEnded(): void {
    const exchange = this.#exchange;
    this.#exchange = null;
    this.#deadline?.clear();
    if (exchange !== null) this.#owner!.giveExchange(exchange);
    const h2 = this.#h2!;
    if (h2.isRemoteEnded || h2.isClosed) this.#over();
    else if (!this.#stopDiscarding()) this.#armDeadline(this.#owner!.discardTimeoutMs);
  }

  /** The whole answer has left: the client need not finish (RFC 9113 §8.1). True when it was told so. */
  #stopDiscarding(): boolean {
    const h2 = this.#h2!;
    if (h2.queuedBytes > 0 || h2.isRemoteEnded) return false;
    if (!h2.isClosed) h2.reset(H2ErrorCode.NO_ERROR);
    this.#over();
    return true;
  }

  #over(): void {
    const h2 = this.#h2;
    const owner = this.#owner;
    if (h2 === null || owner === null) return;
    this.#h2 = null;
    this.#owner = null;
    this.#message.headers = NONE;
    h2.user = null;
    owner.streamOver(this, h2);
  }

  #take(): Exchange {
    return (this.#exchange = this.#owner!.takeExchange(this, this.#message));
  }

  /** In the form of HTTP/1.1, which filters, routes and HTTP/1 upstreams know. */
  #beUpgrade(protocol: string): void {
    const message = this.#message;
    if (protocol === '') {
      message.upgrade = TUNNEL;
      message.path = '';
      return;
    }
    message.method = 'GET';
    const name = protocol.toLowerCase();
    message.upgrade = name === TUNNEL ? UNNAMEABLE : name;
    message.headers.append(H.upgrade, protocol);
  }

  #readExpect(passesExpect: boolean): boolean {
    const { headers } = this.#message;
    const expects = headers.get(H.expect)?.toLowerCase() === CONTINUE;
    if (expects && !passesExpect) headers.remove(H.expect);
    return expects;
  }

  #armDeadline(timeoutMs: number): void {
    const { timers, clock } = this.#owner!;
    this.#deadline ??= new Deadline(timers, this, onDeadline);
    this.#deadline.setIn(timeoutMs, clock.nowMs());
  }
}

function onDeadline(owner: unknown): void {
  (owner as H2DownstreamStream).onDeadline();
}
