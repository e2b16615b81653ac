/**
 * HTTP/1 responses as a state machine: octets in, events out (RFC 9112).
 *
 *   head ──► interim (1xx) ──► head …
 *     ├────► content ──► end ──► head …   (one per request announced by expectResponseTo, in order)
 *     ├────► tunnel                       (101, or 2xx to CONNECT)
 *     └────► failed                       (after onParseError nothing is read any more)
 *
 * Invariants as of the request parser. A response that nobody asked for is a mistake of the upstream:
 * taking it for the answer to the next request is how a response is given to the wrong client.
 */
import type { WireErrorCode } from '../errors.ts';
import { CR, LF } from '../headers/bytes.ts';
import type { HeaderList } from '../headers/header-list.ts';
import { FAILED, FieldSection, NEED_MORE } from './field-section.ts';
import { Framing, OPTION_CLOSE, OPTION_KEEP_ALIVE } from './framing.ts';
import { HeadReader, type HeadGrammar } from './head-reader.ts';
import { defaultH1Limits, type H1Limits } from './limits.ts';
import { MessageBody } from './message-body.ts';
import { responseError, type H1ParseError } from './parse-error.ts';
import { ResponseHead } from './response-head.ts';
import { readStatusLine } from './status-line.ts';

/** Ownership of buffers as in H1RequestSink. */
export interface H1ResponseSink {
  /** A 1xx other than 101; the final head follows. */
  onInformationalHead(head: ResponseHead): void;
  /** With bodyKind 'tunnel' all that follows is the tunnel's octets, as body data. */
  onResponseHead(head: ResponseHead): void;
  /** Never an empty range. */
  onBodyData(buf: Uint8Array, start: number, end: number): void;
  /** Only for a trailer section with fields; the list is reused by the next message. */
  onTrailers(trailers: HeaderList): void;
  onMessageEnd(): void;
  onParseError(error: H1ParseError): void;
}

const HEAD = 0;
const BODY = 1;
const CLOSED = 2;
const FAILURE = 3;
const TUNNEL = 4;

/** What of a request decides how its response is framed. */
const EXPECTS_CONTENT = 0;
const EXPECTS_HEAD = 1;
const EXPECTS_TUNNEL = 2;
const EXPECTS_UPGRADE = 4;

export class H1ResponseParser {
  readonly head = new ResponseHead();
  #state = HEAD;
  #isPaused = false;
  /** As in the request parser: servers that send an empty line after a body exist, and one changes nothing. */
  #emptyLine = 0;
  /** One entry per request sent and not yet answered, oldest first. */
  readonly #expected: number[] = [];
  #informationalCount = 0;
  readonly #grammar: ResponseGrammar;
  readonly #reader: HeadReader;
  readonly #body: MessageBody;
  readonly #sink: H1ResponseSink;
  readonly #limits: H1Limits;

  constructor(sink: H1ResponseSink, limits: H1Limits = defaultH1Limits) {
    this.#sink = sink;
    this.#limits = limits;
    this.#grammar = new ResponseGrammar(this.head, limits);
    this.#reader = new HeadReader(this.#grammar);
    this.#body = new MessageBody(sink, limits);
  }

  /** True if no octet of an unfinished response has come. */
  get isIdle(): boolean {
    return this.#state === HEAD && !this.#reader.isPartial;
  }
  get hasFailed(): boolean {
    return this.#state === FAILURE;
  }
  /** Responses that are still owed. */
  get outstandingCount(): number {
    return this.#expected.length;
  }

  /** Announces that a request with this method was sent; `isUpgrade` if it asked for another protocol. */
  expectResponseTo(method: string, isUpgrade = false): void {
    const base = method === 'HEAD' ? EXPECTS_HEAD : method === 'CONNECT' ? EXPECTS_TUNNEL : EXPECTS_CONTENT;
    this.#expected.push(isUpgrade ? base | EXPECTS_UPGRADE : base);
  }

  /** Reads [start, end) of `buf`; returns the offset up to which it was consumed: less than `end` only while paused. */
  execute(buf: Uint8Array, start: number, end: number): number {
    let at = start;
    while (at < end) {
      if (this.#state === HEAD) {
        if (this.#isPaused && !this.#reader.isPartial) return at;
        at = this.#readHead(buf, at, end);
      } else if (this.#state === BODY) {
        const after = this.#body.read(buf, at, end);
        at = after === FAILED ? this.#fail(this.#body.failure) : after;
        if (this.#state === BODY && this.#body.isDone) this.#endMessage();
      } else if (this.#state === TUNNEL) {
        this.#sink.onBodyData(buf, at, end);
        return end;
      } else {
        return end;
      }
    }
    return at < end ? at : end;
  }

  /** The peer sent its last octet: ends content that lasts until then, reports what was cut off. */
  finish(): void {
    if (this.#state === TUNNEL) {
      this.#state = CLOSED;
      this.#sink.onMessageEnd();
    } else if (this.#state === BODY && this.#body.finish()) {
      this.#endMessage();
    } else if (this.#state === BODY || (this.#state === HEAD && this.#expected.length > 0)) {
      this.#fail('h1-truncated');
    } else if (this.#state === HEAD) {
      this.#state = CLOSED;
    }
  }

  /** As new, for another connection. Lets go of all received octets. */
  reset(): void {
    this.#state = HEAD;
    this.#isPaused = false;
    this.#emptyLine = 0;
    this.#expected.length = 0;
    this.#informationalCount = 0;
    this.#reader.reset();
    this.#body.reset();
    this.head.reset();
  }

  /** Stops before the next head. */
  pause(): void {
    this.#isPaused = true;
  }
  resume(): void {
    this.#isPaused = false;
  }

  /** From here on all octets are the tunnel's. Happens by itself after a head with bodyKind 'tunnel'. */
  switchToTunnel(): void {
    this.#state = TUNNEL;
    this.#isPaused = false;
  }

  #readHead(buf: Uint8Array, at: number, end: number): number {
    if (this.#expected.length === 0) return this.#fail('h1-response-unexpected');
    if (!this.#reader.isPartial && (this.#emptyLine === 1 || (this.#emptyLine === 0 && buf[at] === CR))) {
      return this.#skipEmptyLine(buf, at);
    }
    this.#emptyLine = 0;
    this.#grammar.expectation = this.#expected[0]!;
    const after = this.#reader.read(buf, at, end);
    if (after === NEED_MORE) return end;
    if (after === FAILED) return this.#fail(this.#grammar.failure);
    const head = this.head;
    if (head.status < 200 && head.bodyKind !== 'tunnel') {
      if (++this.#informationalCount > this.#limits.maxInformationalResponses)
        return this.#fail('h1-too-many-informational');
      this.#sink.onInformationalHead(head);
      return after;
    }
    this.#expected.shift();
    this.#informationalCount = 0;
    if (head.bodyKind === 'tunnel') {
      this.#state = TUNNEL;
    } else {
      this.#state = BODY;
      this.#body.begin(head.bodyKind, head.contentLength);
    }
    this.#sink.onResponseHead(head);
    if (this.#state === BODY && this.#body.isDone) this.#endMessage();
    return after;
  }

  #skipEmptyLine(buf: Uint8Array, at: number): number {
    if (this.#emptyLine === 1 && buf[at] !== LF) return this.#fail('h1-status-line-invalid');
    this.#emptyLine++;
    return at + 1;
  }

  #endMessage(): void {
    this.#state = this.head.isKeepAlive ? HEAD : CLOSED;
    this.#sink.onMessageEnd();
  }

  /** Returns an offset beyond every chunk, so that the loop of `execute` ends. */
  #fail(code: WireErrorCode): number {
    this.#state = FAILURE;
    this.#reader.reset();
    this.#sink.onParseError(responseError(code));
    return Number.MAX_SAFE_INTEGER;
  }
}

const IN_LINE = 0;
const IN_FIELDS = 1;

/** A response's head, from its line to the empty one, and what it means after the request it answers. */
class ResponseGrammar implements HeadGrammar {
  failure: WireErrorCode = 'h1-status-line-invalid';
  /** Set before each head. */
  expectation = EXPECTS_CONTENT;
  #part = IN_LINE;
  #lineStart = 0;
  readonly #head: ResponseHead;
  readonly #limits: H1Limits;
  readonly #fields: FieldSection;
  readonly #framing = new Framing();

  constructor(head: ResponseHead, limits: H1Limits) {
    this.#head = head;
    this.#limits = limits;
    this.#fields = new FieldSection(head.headers, {
      maxBytes: limits.maxHeaderBytes,
      maxCount: limits.maxHeaderCount,
      tooLarge: 'h1-headers-too-large',
      tooMany: 'h1-too-many-headers',
      unfolds: true,
    });
  }

  get limitOffset(): number {
    return this.#part === IN_LINE
      ? this.#lineStart + this.#limits.maxStartLineBytes + 2
      : this.#fields.limitOffset;
  }

  beginHead(at: number): void {
    this.#head.reset();
    this.#part = IN_LINE;
    this.#lineStart = at;
  }

  rebaseHead(buf: Uint8Array, delta: number): void {
    this.#lineStart += delta;
    if (this.#part === IN_LINE) return;
    this.#head.buf = buf;
    this.#head.reasonStart += delta;
    this.#head.reasonEnd += delta;
    this.#fields.rebase(buf, delta);
  }

  readHead(buf: Uint8Array, end: number): number {
    if (this.#part === IN_LINE) {
      const after = this.#readLine(buf, end);
      if (after < 0) return after;
      this.#part = IN_FIELDS;
      this.#fields.begin(after);
    }
    const after = this.#fields.read(buf, end);
    if (after === FAILED) return this.#refuse(this.#fields.failure);
    if (after === NEED_MORE) return NEED_MORE;
    this.#head.rawHeadStart = this.#lineStart;
    this.#head.rawHeadEnd = after;
    const code = this.#judge();
    return code === undefined ? after : this.#refuse(code);
  }

  #readLine(buf: Uint8Array, end: number): number {
    const outcome = readStatusLine(this.#head, buf, this.#lineStart, end);
    if (typeof outcome === 'number' && outcome > this.limitOffset)
      return this.#refuse('h1-status-line-too-long');
    if (typeof outcome === 'number' && outcome !== NEED_MORE) return outcome;
    const lf = buf.indexOf(LF, this.#lineStart);
    const isComplete = lf >= 0 && lf < end;
    if ((isComplete ? lf + 1 : end) > this.limitOffset) return this.#refuse('h1-status-line-too-long');
    if (!isComplete) return NEED_MORE;
    if (typeof outcome === 'string') return this.#refuse(outcome);
    // Too short a line: cut off inside the version, or after it.
    return this.#refuse(lf - this.#lineStart < 8 ? 'h1-version-invalid' : 'h1-status-line-invalid');
  }

  /** RFC 9112 §6.3: the length of a response, in the order given there. */
  #judge(): WireErrorCode | undefined {
    const head = this.#head;
    const framing = this.#framing;
    const code = framing.read(head.headers, head.version);
    const { status } = head;
    const isConnected = (this.expectation & EXPECTS_TUNNEL) !== 0 && status >= 200 && status < 300;
    // Whatever length it announces is to be ignored, so that no length is wrong (RFC 9110 §9.3.6).
    if (code !== undefined && !isConnected) return code;
    const options = framing.connectionOptions;
    head.isKeepAlive =
      (options & OPTION_CLOSE) === 0 && (head.version === 11 || (options & OPTION_KEEP_ALIVE) !== 0);
    if (isConnected || status === 101) {
      if (status === 101 && (this.expectation & EXPECTS_UPGRADE) === 0) return 'h1-upgrade-unexpected';
      head.bodyKind = 'tunnel';
      head.isKeepAlive = false;
    } else if (status < 200 || status === 204 || status === 304 || (this.expectation & EXPECTS_HEAD) !== 0) {
      head.bodyKind = 'none';
      head.contentLength = framing.contentLength;
    } else if (framing.hasTransferEncoding) {
      head.bodyKind = 'chunked';
    } else if (framing.contentLength >= 0) {
      head.bodyKind = 'length';
      head.contentLength = framing.contentLength;
    } else {
      head.bodyKind = 'until-close';
      head.isKeepAlive = false;
    }
    return undefined;
  }

  #refuse(code: WireErrorCode): number {
    this.failure = code;
    return FAILED;
  }
}
