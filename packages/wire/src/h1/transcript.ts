/**
 * What a parser reports, as readable lines, for tests and fuzz targets: adjacent body ranges are joined,
 * so that transcripts of the same octets split differently can be compared.
 */
import { decodeLatin1 } from '../headers/bytes.ts';
import type { HeaderList } from '../headers/header-list.ts';
import type { H1Limits } from './limits.ts';
import type { H1ParseError } from './parse-error.ts';
import { H1RequestParser, type H1RequestSink } from './request-parser.ts';
import { H1ResponseParser, type H1ResponseSink } from './response-parser.ts';
import type { RequestHead } from './request-head.ts';
import type { ResponseHead } from './response-head.ts';

export class Transcript implements H1RequestSink, H1ResponseSink {
  readonly lines: string[] = [];
  #body: string | undefined = undefined;

  onRequestHead(head: RequestHead): void {
    this.#add(
      `request ${head.method} ${head.target} HTTP/${head.version / 10} form=${head.targetForm} path=${head.path} ` +
        `authority=${head.authority} body=${head.bodyKind}:${head.contentLength}` +
        `${head.isKeepAlive ? '' : ' close'}${head.isUpgrade ? ' upgrade' : ''}${head.expectsContinue ? ' expects-continue' : ''}`,
    );
    this.#addFields(head.headers);
  }
  onInformationalHead(head: ResponseHead): void {
    this.#add(`informational ${head.status} ${head.reason}`);
    this.#addFields(head.headers);
  }
  onResponseHead(head: ResponseHead): void {
    this.#add(
      `response ${head.status} "${head.reason}" HTTP/${head.version / 10} body=${head.bodyKind}:${head.contentLength}${head.isKeepAlive ? '' : ' close'}`,
    );
    this.#addFields(head.headers);
  }
  onBodyData(buf: Uint8Array, start: number, end: number): void {
    if (end <= start || end > buf.length) throw new Error(`empty or wild range ${start}..${end}`);
    this.#body = (this.#body ?? '') + decodeLatin1(buf, start, end);
  }
  onTrailers(trailers: HeaderList): void {
    this.#add('trailers');
    this.#addFields(trailers);
  }
  onMessageEnd(): void {
    this.#add('end');
  }
  onParseError(error: H1ParseError): void {
    this.#add(`error ${error.code} ${error.status}`);
  }
  /** All lines, an unfinished body included. */
  finish(): string[] {
    this.#flush();
    return this.lines;
  }

  #add(line: string): void {
    this.#flush();
    this.lines.push(line);
  }
  #flush(): void {
    if (this.#body !== undefined) this.lines.push(`body ${JSON.stringify(this.#body)}`);
    this.#body = undefined;
  }
  #addFields(headers: HeaderList): void {
    headers.forEach((name, value) => this.lines.push(`  ${name}: ${JSON.stringify(value)}`));
  }
}

export interface TranscribeOptions {
  /** Sizes of the pieces, used round and round; whole when absent. */
  readonly pieces?: readonly number[];
  readonly limits?: H1Limits;
  /** The connection ends after the octets. */
  readonly endsConnection?: boolean;
}

export function transcribeRequests(bytes: Uint8Array, options: TranscribeOptions = {}): string[] {
  const transcript = new Transcript();
  feed(new H1RequestParser(transcript, options.limits), bytes, options);
  return transcript.finish();
}

/** `methods` are those of the requests sent before. */
export function transcribeResponses(
  bytes: Uint8Array,
  methods: readonly string[],
  options: TranscribeOptions = {},
): string[] {
  const transcript = new Transcript();
  const parser = new H1ResponseParser(transcript, options.limits);
  for (const method of methods)
    parser.expectResponseTo(method.replace('+upgrade', ''), method.endsWith('+upgrade'));
  feed(parser, bytes, options);
  return transcript.finish();
}

/** Each piece is a buffer of its own that is overwritten afterwards: a parser that kept it is found out. */
function feed(
  parser: H1RequestParser | H1ResponseParser,
  bytes: Uint8Array,
  options: TranscribeOptions,
): void {
  const pieces = options.pieces ?? [Math.max(1, bytes.length)];
  let at = 0;
  for (let k = 0; at < bytes.length; k++) {
    const size = Math.min(bytes.length - at, Math.max(1, pieces[k % pieces.length] ?? 1));
    const piece = bytes.slice(at, at + size);
    const consumed = parser.execute(piece, 0, size);
    if (consumed < 0 || consumed > size) throw new Error(`consumed ${consumed} of ${size}`);
    piece.fill(0x21);
    at += size;
    if (consumed < size) break;
  }
  if (options.endsConnection === true) parser.finish();
}
