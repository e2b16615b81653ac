/**
 * The content of a message (RFC 9112 §6, §7): by length, chunked with trailers, or until the end of the
 * connection. One per parser, reused. Content is handed on as ranges of the received chunk, never copied.
 */
import type { WireErrorCode } from '../errors.ts';
import { CR, LF } from '../headers/bytes.ts';
import { HeaderList } from '../headers/header-list.ts';
import { H } from '../headers/names.ts';
import { ChunkLine } from './chunk-line.ts';
import { FAILED, FieldSection, NEED_MORE } from './field-section.ts';
import { HeadReader, type HeadGrammar } from './head-reader.ts';
import type { H1Limits } from './limits.ts';

export interface BodySink {
  onBodyData(buf: Uint8Array, start: number, end: number): void;
  onTrailers(trailers: HeaderList): void;
}

export type BodyKind = 'none' | 'length' | 'chunked' | 'until-close';

const DONE = 0;
const LENGTH = 1;
const CHUNK_LINE = 2;
const CHUNK_DATA = 3;
const CHUNK_CR = 4;
const CHUNK_LF = 5;
const TRAILERS = 6;
const UNTIL_CLOSE = 7;

/** Fields that may not come late: framing, routing, credentials, and what is judged before content (RFC 9110 §6.5.1). */
export const forbiddenInTrailers: ReadonlySet<number> = new Set([
  H.host,
  H.contentLength,
  H.transferEncoding,
  H.connection,
  H.te,
  H.trailer,
  H.upgrade,
  H.expect,
  H.keepAlive,
  H.proxyConnection,
  H.authorization,
  H.proxyAuthorization,
  H.proxyAuthenticate,
  H.wwwAuthenticate,
  H.cookie,
  H.setCookie,
  H.contentType,
  H.contentEncoding,
  H.cacheControl,
  H.maxForwards,
  H.range,
  H.location,
  H.retryAfter,
  H.date,
  H.vary,
  H.xForwardedFor,
  H.xForwardedProto,
  H.xForwardedHost,
  H.xForwardedClientCert,
]);

export class MessageBody {
  failure: WireErrorCode = 'h1-chunk-size-invalid';
  #state = DONE;
  #remaining = 0;
  #trailers: TrailerSection | undefined = undefined;
  readonly #chunkLine: ChunkLine;
  #sink: BodySink;
  readonly #limits: H1Limits;

  constructor(sink: BodySink, limits: H1Limits) {
    this.#sink = sink;
    this.#limits = limits;
    this.#chunkLine = new ChunkLine(limits);
  }

  attach(sink: BodySink): void {
    this.#sink = sink;
  }

  get isDone(): boolean {
    return this.#state === DONE;
  }
  get isUntilClose(): boolean {
    return this.#state === UNTIL_CLOSE;
  }

  begin(kind: BodyKind, contentLength: number): void {
    this.#remaining = contentLength;
    if (kind === 'none' || (kind === 'length' && contentLength === 0)) this.#state = DONE;
    else if (kind === 'length') this.#state = LENGTH;
    else if (kind === 'until-close') this.#state = UNTIL_CLOSE;
    else {
      this.#state = CHUNK_LINE;
      this.#chunkLine.beginBody();
    }
  }

  reset(): void {
    this.#state = DONE;
    this.#trailers = undefined;
  }

  /** Consumes content up to the message's end; returns the offset reached, or FAILED. */
  read(buf: Uint8Array, start: number, end: number): number {
    let at = start;
    while (at < end && this.#state !== DONE) {
      switch (this.#state) {
        case LENGTH:
          at = this.#readData(buf, at, end, DONE);
          break;
        case CHUNK_DATA:
          at = this.#readData(buf, at, end, CHUNK_CR);
          break;
        case CHUNK_LINE:
          at = this.#chunkLine.read(buf, at, end);
          if (at === NEED_MORE) return end;
          if (at === FAILED) return this.#fail(this.#chunkLine.failure);
          this.#remaining = this.#chunkLine.size;
          this.#state = this.#remaining === 0 ? TRAILERS : CHUNK_DATA;
          break;
        case CHUNK_CR:
          if (buf[at++] !== CR) return this.#fail('h1-chunk-unterminated');
          this.#state = CHUNK_LF;
          break;
        case CHUNK_LF:
          if (buf[at++] !== LF) return this.#fail('h1-chunk-unterminated');
          this.#state = CHUNK_LINE;
          break;
        case TRAILERS:
          at = this.#readTrailers(buf, at, end);
          break;
        default:
          this.#sink.onBodyData(buf, at, end);
          return end;
      }
      if (at < 0) return at;
    }
    return at;
  }

  /** The connection ended; true if that is a proper end of this content. */
  finish(): boolean {
    if (this.#state === UNTIL_CLOSE) this.#state = DONE;
    return this.#state === DONE;
  }

  #readData(buf: Uint8Array, at: number, end: number, after: number): number {
    const available = end - at;
    const taken = available < this.#remaining ? available : this.#remaining;
    this.#remaining -= taken;
    if (this.#remaining === 0) this.#state = after;
    this.#sink.onBodyData(buf, at, at + taken);
    return at + taken;
  }

  #readTrailers(buf: Uint8Array, at: number, end: number): number {
    const trailers = (this.#trailers ??= new TrailerSection(this.#limits));
    const after = trailers.reader.read(buf, at, end);
    if (after === NEED_MORE) return end;
    if (after === FAILED) return this.#fail(trailers.failure);
    this.#state = DONE;
    if (trailers.list.count > 0) this.#sink.onTrailers(trailers.list);
    return after;
  }

  #fail(code: WireErrorCode): number {
    this.failure = code;
    return FAILED;
  }
}

class TrailerSection implements HeadGrammar {
  readonly list = new HeaderList();
  readonly reader = new HeadReader(this);
  failure: WireErrorCode = 'h1-trailers-too-large';
  readonly #section: FieldSection;

  constructor(limits: H1Limits) {
    this.#section = new FieldSection(this.list, {
      maxBytes: limits.maxTrailerBytes,
      maxCount: limits.maxTrailerCount,
      tooLarge: 'h1-trailers-too-large',
      tooMany: 'h1-trailers-too-large',
      unfolds: false,
    });
  }

  get limitOffset(): number {
    return this.#section.limitOffset;
  }
  beginHead(at: number): void {
    this.list.reset();
    this.#section.begin(at);
  }
  rebaseHead(buf: Uint8Array, delta: number): void {
    this.#section.rebase(buf, delta);
  }
  readHead(buf: Uint8Array, end: number): number {
    const after = this.#section.read(buf, end);
    if (after === FAILED) this.failure = this.#section.failure;
    if (after < 0) return after;
    for (let i = 0; i < this.list.count; i++) {
      if (!forbiddenInTrailers.has(this.list.nameIdAt(i))) continue;
      this.failure = 'h1-trailer-forbidden';
      return FAILED;
    }
    return after;
  }
}
