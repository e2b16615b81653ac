/**
 * Which fields decide how long a message is and what becomes of its connection (RFC 9112 §6, §9).
 *
 * Read in one pass over the list. Anything that two recipients could read differently is refused:
 * what is forwarded has exactly one meaning.
 */
import type { WireErrorCode } from '../errors.ts';
import { COMMA, HTAB, SP, tokenEquals } from '../headers/bytes.ts';
import type { HeaderList } from '../headers/header-list.ts';
import { H } from '../headers/names.ts';

/** Connection options that a parser acts on. */
export const OPTION_CLOSE = 1;
export const OPTION_KEEP_ALIVE = 2;
export const OPTION_UPGRADE = 4;

const CODING_CHUNKED = 1;
const CODING_OTHER = 2;
const CODING_INVALID = 4;

const HOST = H.host;
const CONTENT_LENGTH = H.contentLength;
const TRANSFER_ENCODING = H.transferEncoding;
const CONNECTION = H.connection;
const UPGRADE = H.upgrade;
const EXPECT = H.expect;
/** Names.ts interns the framing names first, so one comparison passes over all other fields. */
const LAST_FRAMING_NAME = H.expect;

export class Framing {
  hostIndex = -1;
  hostCount = 0;
  contentLength = -1;
  hasTransferEncoding = false;
  connectionOptions = 0;
  hasUpgrade = false;
  /** -1: none; else the first expectation, or one that is not 100-continue. */
  expectIndex = -1;
  #lengthCount = 0;
  #codings = 0;

  /** Reads the framing fields of a head; returns the code of the first mistake. */
  read(headers: HeaderList, version: 10 | 11): WireErrorCode | undefined {
    this.#clear();
    for (let i = 0, count = headers.count; i < count; i++) {
      const id = headers.nameIdAt(i);
      if (id === 0 || id > LAST_FRAMING_NAME) continue;
      this.#readField(headers, i, id);
    }
    if (this.#lengthCount > 1) return 'h1-content-length-repeated';
    if (this.contentLength === -2) return 'h1-content-length-invalid';
    if (!this.hasTransferEncoding) return undefined;
    if (this.#lengthCount > 0) return 'h1-length-and-coding';
    if (version === 10 || this.#codings & CODING_INVALID || (this.#codings & CODING_CHUNKED) === 0) {
      return 'h1-transfer-encoding-invalid';
    }
    return this.#codings & CODING_OTHER ? 'h1-transfer-coding-unsupported' : undefined;
  }

  #readField(headers: HeaderList, index: number, id: number): void {
    if (id === HOST) {
      this.hostIndex = index;
      this.hostCount++;
    } else if (id === CONTENT_LENGTH) {
      this.#lengthCount++;
      this.contentLength = readContentLength(
        headers.bufferAt(index),
        headers.valueStartAt(index),
        headers.valueEndAt(index),
      );
    } else if (id === TRANSFER_ENCODING) {
      this.hasTransferEncoding = true;
      this.#readCodings(headers.bufferAt(index), headers.valueStartAt(index), headers.valueEndAt(index));
    } else if (id === CONNECTION) {
      this.connectionOptions |= readConnection(
        headers.bufferAt(index),
        headers.valueStartAt(index),
        headers.valueEndAt(index),
      );
    } else if (id === UPGRADE) {
      this.hasUpgrade = true;
    } else if (id === EXPECT) {
      const isContinue = tokenEquals(
        headers.bufferAt(index),
        headers.valueStartAt(index),
        headers.valueEndAt(index),
        '100-continue',
      );
      if (this.expectIndex < 0 || !isContinue) this.expectIndex = index;
    }
  }

  #readCodings(buf: Uint8Array, start: number, end: number): void {
    for (let at = start; at <= end;) {
      const stop = elementEnd(buf, at, end);
      const first = skipSpace(buf, at, stop);
      const last = trimSpace(buf, first, stop);
      // Nothing may follow chunked, in this field or a later one; empty elements hide codings from other parsers.
      if (first === last || this.#codings & CODING_CHUNKED) this.#codings |= CODING_INVALID;
      else this.#codings |= tokenEquals(buf, first, last, 'chunked') ? CODING_CHUNKED : CODING_OTHER;
      at = stop + 1;
    }
  }

  #clear(): void {
    this.hostIndex = -1;
    this.hostCount = 0;
    this.contentLength = -1;
    this.hasTransferEncoding = false;
    this.connectionOptions = 0;
    this.hasUpgrade = false;
    this.expectIndex = -1;
    this.#lengthCount = 0;
    this.#codings = 0;
  }
}

/** A plain decimal number up to 2^53-1, or -2: no sign, space, hex, list or overflow (RFC 9110 §8.6). */
export function readContentLength(buf: Uint8Array, start: number, end: number): number {
  if (start >= end) return -2;
  let value = 0;
  for (let at = start; at < end; at++) {
    const digit = buf[at]! - 0x30;
    if (digit < 0 || digit > 9) return -2;
    value = value * 10 + digit;
    if (value > Number.MAX_SAFE_INTEGER) return -2;
  }
  return value;
}

/** The options of a Connection value that a parser acts on. */
export function readConnection(buf: Uint8Array, start: number, end: number): number {
  let options = 0;
  for (let at = start; at < end;) {
    const stop = elementEnd(buf, at, end);
    const first = skipSpace(buf, at, stop);
    const last = trimSpace(buf, first, stop);
    if (tokenEquals(buf, first, last, 'close')) options |= OPTION_CLOSE;
    else if (tokenEquals(buf, first, last, 'keep-alive')) options |= OPTION_KEEP_ALIVE;
    else if (tokenEquals(buf, first, last, 'upgrade')) options |= OPTION_UPGRADE;
    at = stop + 1;
  }
  return options;
}

/** Offset of the comma that ends the list element at `at`, or `end`. Elements with quoted commas are not for this. */
export function elementEnd(buf: Uint8Array, at: number, end: number): number {
  let stop = at;
  while (stop < end && buf[stop] !== COMMA) stop++;
  return stop;
}

export function skipSpace(buf: Uint8Array, at: number, end: number): number {
  let first = at;
  while (first < end && (buf[first] === SP || buf[first] === HTAB)) first++;
  return first;
}

export function trimSpace(buf: Uint8Array, start: number, end: number): number {
  let last = end;
  while (last > start && (buf[last - 1] === SP || buf[last - 1] === HTAB)) last--;
  return last;
}
