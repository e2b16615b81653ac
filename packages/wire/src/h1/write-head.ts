/**
 * Heads written into a caller's buffer, no octet allocated. What is written re-parses to the same
 * message: framing comes from the options alone, never from what was received.
 * Date and Server are the caller's business.
 */
import { CR, LF, SP, copyOctets, writeLatin1, type ByteRange } from '../headers/bytes.ts';
import type { HeaderList } from '../headers/header-list.ts';
import { H } from '../headers/names.ts';
import type { RequestBodyKind } from './request-head.ts';
import type { ResponseBodyKind } from './response-head.ts';
import { writeFields, type WriteConnection, type WriteFraming } from './write-fields.ts';

/** Reuse one object: writers only read it. */
export interface RequestWriteOptions {
  bodyKind: RequestBodyKind;
  /** With bodyKind 'length'. */
  contentLength: number;
  connection: WriteConnection;
  /** Passes Upgrade on, with `Connection: upgrade`. */
  passesUpgrade: boolean;
}

/** Reuse one object: writers only read it. */
export interface ResponseWriteOptions {
  /** Of what follows on the wire; 'until-close' always says `Connection: close`. */
  bodyKind: ResponseBodyKind;
  /** With bodyKind 'length'. */
  contentLength: number;
  connection: WriteConnection;
  /** Passes Upgrade on, with `Connection: upgrade`: for 101 and 426. */
  passesUpgrade: boolean;
  /** Answers HEAD: Content-Length is metadata and stays as received. */
  isAnswerToHead: boolean;
}

/**
 * Writes request line and fields at `at`; returns the offset after the empty line, or -1 if it does not
 * fit. Method and target have been validated: they come from a parser, or are tokens and visible ASCII.
 */
export function writeRequestHead(
  out: Uint8Array,
  at: number,
  method: string,
  target: string | ByteRange,
  headers: HeaderList,
  options: RequestWriteOptions,
): number {
  const targetLength = typeof target === 'string' ? target.length : target.end - target.start;
  if (at + method.length + 2 * targetLength + 24 > out.length) return -1;
  let to = writeLatin1(out, at, method);
  out[to++] = SP;
  to = writeTarget(out, to, target);
  to = writeLatin1(out, to, ' HTTP/1.1\r\n');
  if (!headers.has(H.host)) to = writeHost(out, to, method, target);
  return writeFields(
    out,
    to,
    headers,
    options.bodyKind,
    options.contentLength,
    options.connection,
    options.passesUpgrade,
  );
}

/**
 * Writes status line and fields at `at`; returns the offset after the empty line, or -1 if it does not fit.
 * `reason` as a string, as received octets, or undefined for the registered phrase.
 */
export function writeResponseHead(
  out: Uint8Array,
  at: number,
  status: number,
  reason: string | ByteRange | undefined,
  headers: HeaderList,
  options: ResponseWriteOptions,
): number {
  const phrase = reason ?? reasonPhrase(status);
  const phraseLength = typeof phrase === 'string' ? phrase.length : phrase.end - phrase.start;
  if (at + phraseLength + 15 > out.length) return -1;
  let to = writeLatin1(out, at, 'HTTP/1.1 ');
  const hundreds = Math.floor(status / 100);
  const tens = Math.floor((status - hundreds * 100) / 10);
  out[to++] = 0x30 + hundreds;
  out[to++] = 0x30 + tens;
  out[to++] = 0x30 + (status - hundreds * 100 - tens * 10);
  out[to++] = SP;
  to =
    typeof phrase === 'string'
      ? writeLatin1(out, to, phrase)
      : copyOctets(phrase.buf, phrase.start, phrase.end, out, to);
  out[to] = CR;
  out[to + 1] = LF;
  const { bodyKind } = options;
  const framing = responseFraming(status, bodyKind, options.isAnswerToHead);
  // A response without content that is neither 204 nor 1xx nor metadata says so: its length is 0 (RFC 9112 §6.3).
  const contentLength = bodyKind === 'length' ? options.contentLength : 0;
  const connection = bodyKind === 'until-close' ? 'close' : options.connection;
  return writeFields(out, to + 2, headers, framing, contentLength, connection, options.passesUpgrade);
}

/** A request of HTTP/1.0 may have come without Host; HTTP/1.1 has one, be it empty (RFC 9112 §3.2). */
function writeHost(out: Uint8Array, at: number, method: string, target: string | ByteRange): number {
  let to = writeLatin1(out, at, 'host: ');
  if (method === 'CONNECT') to = writeTarget(out, to, target);
  out[to] = CR;
  out[to + 1] = LF;
  return to + 2;
}

function writeTarget(out: Uint8Array, at: number, target: string | ByteRange): number {
  return typeof target === 'string'
    ? writeLatin1(out, at, target)
    : copyOctets(target.buf, target.start, target.end, out, at);
}

function responseFraming(status: number, bodyKind: ResponseBodyKind, isAnswerToHead: boolean): WriteFraming {
  if (status < 200 || status === 204 || bodyKind === 'tunnel') return 'none';
  if (status === 304 || isAnswerToHead) return 'metadata';
  if (bodyKind === 'until-close') return 'none';
  return bodyKind === 'chunked' ? 'chunked' : 'length';
}

/** The registered phrase of a status (RFC 9110 §15), '' for others: the reason may be empty, its space not. */
export function reasonPhrase(status: number): string {
  return phrases.get(status) ?? '';
}

const phrases: ReadonlyMap<number, string> = new Map([
  [100, 'Continue'],
  [101, 'Switching Protocols'],
  [102, 'Processing'],
  [103, 'Early Hints'],
  [200, 'OK'],
  [201, 'Created'],
  [202, 'Accepted'],
  [203, 'Non-Authoritative Information'],
  [204, 'No Content'],
  [205, 'Reset Content'],
  [206, 'Partial Content'],
  [207, 'Multi-Status'],
  [300, 'Multiple Choices'],
  [301, 'Moved Permanently'],
  [302, 'Found'],
  [303, 'See Other'],
  [304, 'Not Modified'],
  [307, 'Temporary Redirect'],
  [308, 'Permanent Redirect'],
  [400, 'Bad Request'],
  [401, 'Unauthorized'],
  [402, 'Payment Required'],
  [403, 'Forbidden'],
  [404, 'Not Found'],
  [405, 'Method Not Allowed'],
  [406, 'Not Acceptable'],
  [407, 'Proxy Authentication Required'],
  [408, 'Request Timeout'],
  [409, 'Conflict'],
  [410, 'Gone'],
  [411, 'Length Required'],
  [412, 'Precondition Failed'],
  [413, 'Content Too Large'],
  [414, 'URI Too Long'],
  [415, 'Unsupported Media Type'],
  [416, 'Range Not Satisfiable'],
  [417, 'Expectation Failed'],
  [421, 'Misdirected Request'],
  [422, 'Unprocessable Content'],
  [425, 'Too Early'],
  [426, 'Upgrade Required'],
  [428, 'Precondition Required'],
  [429, 'Too Many Requests'],
  [431, 'Request Header Fields Too Large'],
  [500, 'Internal Server Error'],
  [501, 'Not Implemented'],
  [502, 'Bad Gateway'],
  [503, 'Service Unavailable'],
  [504, 'Gateway Timeout'],
  [505, 'HTTP Version Not Supported'],
  [507, 'Insufficient Storage'],
  [511, 'Network Authentication Required'],
]);
