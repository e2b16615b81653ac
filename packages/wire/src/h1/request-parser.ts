/**
 * HTTP/1 requests as a state machine: octets in, events out (RFC 9112).
 *
 *   head ──► content ──► end ──► head …        (keep-alive, pipelining)
 *     │                   ├──► held             (CONNECT, Upgrade: resume() or switchToTunnel())
 *     │                   └──► closed           (the client said close: what follows is not read)
 *     └──► failed                               (after onParseError nothing is read any more)
 *
 * Invariant: the events do not depend on how the octets were split; only body data comes in other ranges.
 * Invariant: after a mistake nothing of the message at fault has been reported but what preceded it.
 */
import type { WireErrorCode } from '../errors.ts';
import { CR, LF, tokenEquals } from '../headers/bytes.ts';
import type { HeaderList } from '../headers/header-list.ts';
import { H } from '../headers/names.ts';
import { isAuthority } from './authority.ts';
import { FAILED, FieldSection, NEED_MORE } from './field-section.ts';
import { Framing, OPTION_CLOSE, OPTION_KEEP_ALIVE, OPTION_UPGRADE } from './framing.ts';
import { HeadReader, type HeadGrammar } from './head-reader.ts';
import { defaultH1Limits, type H1Limits } from './limits.ts';
import { MessageBody } from './message-body.ts';
import { requestError, type H1ParseError } from './parse-error.ts';
import { RequestHead } from './request-head.ts';
import { readRequestLine } from './request-line.ts';

/** Buffers in events belong to the caller of `execute` (or to the parser, if a head was split) and are not rewritten by the parser. */
export interface H1RequestSink {
  onRequestHead(head: RequestHead): void;
  /** Never an empty range. In a tunnel: its octets. */
  onBodyData(buf: Uint8Array, start: number, end: number): void;
  /** Only for a trailer section with fields; the list is reused by the next message. */
  onTrailers(trailers: HeaderList): void;
  /** In a tunnel: the client sent its last octet. */
  onMessageEnd(): void;
  onParseError(error: H1ParseError): void;
}

const EXPECT = H.expect;

const BEFORE_HEAD = 0;
const HEAD = 1;
const BODY = 2;
const HELD = 3;
const CLOSED = 4;
const FAILURE = 5;
const TUNNEL = 6;

export class H1RequestParser {
  /** Of the current request; see RequestHead for how long it is valid. */
  readonly head = new RequestHead();
  #state = BEFORE_HEAD;
  #isPaused = false;
  /** 0: none seen, 1: CR, 2: the one empty line that may precede a request (RFC 9112 §2.2). */
  #emptyLine = 0;
  readonly #grammar: RequestGrammar;
  readonly #reader: HeadReader;
  readonly #body: MessageBody;
  #sink: H1RequestSink;

  constructor(sink: H1RequestSink, limits: H1Limits = defaultH1Limits) {
    this.#sink = sink;
    this.#grammar = new RequestGrammar(this.head, limits);
    this.#reader = new HeadReader(this.#grammar);
    this.#body = new MessageBody(sink, limits);
  }

  /** From now on `sink` is told; between messages only. */
  attach(sink: H1RequestSink): void {
    this.#sink = sink;
    this.#body.attach(sink);
  }

  /** True between messages: nothing of a request has been received since the last one ended. */
  get isIdle(): boolean {
    return this.#state === BEFORE_HEAD && !this.#reader.isPartial && this.#emptyLine !== 1;
  }
  /** True once a CONNECT or Upgrade request is complete: what follows is read after resume() or switchToTunnel(). */
  get isHeld(): boolean {
    return this.#state === HELD;
  }
  get hasFailed(): boolean {
    return this.#state === FAILURE;
  }

  /**
   * Reads [start, end) of `buf`; returns the offset up to which it was consumed. Less than `end` only when
   * the parser is paused or held after a message: pass the rest again after resume() or switchToTunnel().
   */
  execute(buf: Uint8Array, start: number, end: number): number {
    let at = start;
    while (at < end) {
      switch (this.#state) {
        case BEFORE_HEAD:
          if (this.#isPaused) return at;
          at = this.#skipEmptyLine(buf, at);
          break;
        case HEAD:
          at = this.#readHead(buf, at, end);
          break;
        case BODY:
          at = this.#readBody(buf, at, end);
          break;
        case HELD:
          return at;
        case TUNNEL:
          this.#sink.onBodyData(buf, at, end);
          return end;
        default:
          // Closed or failed: the peer may go on sending, nobody reads it (RFC 9112 §9.6).
          return end;
      }
    }
    return at < end ? at : end;
  }

  /** The peer sent its last octet. Reports a message that was cut off. */
  finish(): void {
    if (this.#state === TUNNEL) {
      this.#state = CLOSED;
      this.#sink.onMessageEnd();
    } else if (this.#state === HEAD || this.#state === BODY || this.#emptyLine === 1) {
      this.#fail('h1-truncated');
    } else if (this.#state !== FAILURE) {
      this.#state = CLOSED;
    }
  }

  /** As new, for another connection. Lets go of all received octets. */
  reset(): void {
    this.#state = BEFORE_HEAD;
    this.#isPaused = false;
    this.#emptyLine = 0;
    this.#reader.reset();
    this.#body.reset();
    this.head.reset();
  }

  /** Stops after the end of the current message, before the next head; a message in progress is read on. */
  pause(): void {
    this.#isPaused = true;
  }

  /** Goes on after pause(), and after a held CONNECT or Upgrade that was refused. */
  resume(): void {
    this.#isPaused = false;
    if (this.#state === HELD) this.#state = this.head.isKeepAlive ? BEFORE_HEAD : CLOSED;
  }

  /** From here on all octets are the tunnel's. */
  switchToTunnel(): void {
    this.#state = TUNNEL;
    this.#isPaused = false;
  }

  #skipEmptyLine(buf: Uint8Array, at: number): number {
    const octet = buf[at];
    if (this.#emptyLine === 0 && octet === CR) {
      this.#emptyLine = 1;
      return at + 1;
    }
    if (this.#emptyLine === 1) {
      if (octet !== LF) return this.#fail('h1-request-line-invalid');
      this.#emptyLine = 2;
      return at + 1;
    }
    this.#emptyLine = 0;
    this.#state = HEAD;
    return at;
  }

  #readHead(buf: Uint8Array, at: number, end: number): number {
    const after = this.#reader.read(buf, at, end);
    if (after === NEED_MORE) return end;
    if (after === FAILED) return this.#fail(this.#grammar.failure);
    const head = this.head;
    this.#body.begin(head.bodyKind, head.contentLength);
    this.#state = BODY;
    this.#sink.onRequestHead(head);
    if (this.#state === BODY && this.#body.isDone) this.#endMessage();
    return after;
  }

  #readBody(buf: Uint8Array, at: number, end: number): number {
    const after = this.#body.read(buf, at, end);
    if (after === FAILED) return this.#fail(this.#body.failure);
    if (this.#state === BODY && this.#body.isDone) this.#endMessage();
    return after;
  }

  #endMessage(): void {
    const head = this.head;
    if (head.isUpgrade || head.targetForm === 'authority') this.#state = HELD;
    else this.#state = head.isKeepAlive ? BEFORE_HEAD : CLOSED;
    this.#sink.onMessageEnd();
  }

  /** Returns an offset beyond every chunk, so that the loop of `execute` ends. */
  #fail(code: WireErrorCode): number {
    this.#state = FAILURE;
    this.#reader.reset();
    this.#sink.onParseError(requestError(code));
    return Number.MAX_SAFE_INTEGER;
  }
}

const IN_LINE = 0;
const IN_FIELDS = 1;

/** A request's head, from its line to the empty one, and what its fields mean together. */
class RequestGrammar implements HeadGrammar {
  failure: WireErrorCode = 'h1-request-line-invalid';
  #part = IN_LINE;
  #lineStart = 0;
  readonly #head: RequestHead;
  readonly #limits: H1Limits;
  readonly #fields: FieldSection;
  readonly #framing = new Framing();

  constructor(head: RequestHead, limits: H1Limits) {
    this.#head = head;
    this.#limits = limits;
    this.#fields = new FieldSection(head.headers, {
      maxBytes: limits.maxHeaderBytes,
      maxCount: limits.maxHeaderCount,
      tooLarge: 'h1-headers-too-large',
      tooMany: 'h1-too-many-headers',
      unfolds: false,
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
    const head = this.#head;
    head.buf = buf;
    head.targetStart += delta;
    head.targetEnd += delta;
    head.pathStart += delta;
    head.pathEnd += delta;
    head.authorityStart += delta;
    head.authorityEnd += delta;
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
    const outcome = readRequestLine(this.#head, buf, this.#lineStart, end);
    if (typeof outcome === 'number' && outcome > this.limitOffset)
      return this.#refuse('h1-request-line-too-long');
    if (typeof outcome === 'number' && outcome !== NEED_MORE) return outcome;
    // As for fields: an error counts when its line is complete, the limit when it is passed.
    const lf = buf.indexOf(LF, this.#lineStart);
    const isComplete = lf >= 0 && lf < end;
    if ((isComplete ? lf + 1 : end) > this.limitOffset) return this.#refuse('h1-request-line-too-long');
    if (!isComplete) return NEED_MORE;
    return this.#refuse(typeof outcome === 'string' ? outcome : 'h1-version-invalid');
  }

  #judge(): WireErrorCode | undefined {
    const head = this.#head;
    const framing = this.#framing;
    const code = framing.read(head.headers, head.version) ?? this.#judgeHost() ?? this.#judgeExpect();
    if (code !== undefined) return code;
    if (framing.hasTransferEncoding) head.bodyKind = 'chunked';
    else if (framing.contentLength >= 0) {
      head.bodyKind = 'length';
      head.contentLength = framing.contentLength;
    }
    if (head.targetForm === 'authority' && (head.bodyKind === 'chunked' || head.contentLength > 0))
      return 'h1-connect-with-content';
    const options = framing.connectionOptions;
    head.isKeepAlive =
      (options & OPTION_CLOSE) === 0 && (head.version === 11 || (options & OPTION_KEEP_ALIVE) !== 0);
    head.isUpgrade = head.version === 11 && framing.hasUpgrade && (options & OPTION_UPGRADE) !== 0;
    return undefined;
  }

  #judgeHost(): WireErrorCode | undefined {
    const head = this.#head;
    const { hostCount, hostIndex } = this.#framing;
    if (hostCount > 1) return 'h1-host-repeated';
    if (hostCount === 0) {
      if (head.version === 11) return 'h1-host-missing';
      if (head.targetForm === 'absolute') head.headers.append(H.host, head.authority);
      return undefined;
    }
    const headers = head.headers;
    if (
      !isAuthority(
        headers.bufferAt(hostIndex),
        headers.valueStartAt(hostIndex),
        headers.valueEndAt(hostIndex),
        false,
      )
    )
      return 'h1-host-invalid';
    // RFC 9112 §3.2.2: a proxy replaces Host by the authority of an absolute-form target.
    if (head.targetForm === 'absolute' && !headers.valueEquals(H.host, head.authority))
      headers.setAt(hostIndex, head.authority);
    return undefined;
  }

  #judgeExpect(): WireErrorCode | undefined {
    const head = this.#head;
    const index = this.#framing.expectIndex;
    if (index < 0) return undefined;
    if (head.version === 10) {
      // RFC 9110 §10.1.1: ignored; and removed, since as HTTP/1.1 the next hop would obey it.
      head.headers.remove(EXPECT);
      return undefined;
    }
    const headers = head.headers;
    const isContinue = tokenEquals(
      headers.bufferAt(index),
      headers.valueStartAt(index),
      headers.valueEndAt(index),
      '100-continue',
    );
    if (!isContinue) return 'h1-expectation-unsupported';
    head.expectsContinue = this.#framing.hasTransferEncoding || this.#framing.contentLength > 0;
    return undefined;
  }

  #refuse(code: WireErrorCode): number {
    this.failure = code;
    return FAILED;
  }
}
