/**
 * Byte classes and byte-string conversions that all codecs of this package share.
 *
 * Field values are octets, not text (RFC 9110 §5.5): a `string` here is a byte string, one char per
 * octet (latin1), so that what is read and written back is unchanged.
 * The classes are 256-entry tables because one load per byte decides validity and lower case at once.
 */

/** Lower-case octet for each `tchar` of RFC 9110 §5.6.2, 0 for every other octet. */
export const TOKEN_LOWER: Uint8Array = tokenTable();

/** 1 for octets a field value may hold: HTAB, SP, VCHAR and obs-text (RFC 9110 §5.5). */
export const FIELD_VALUE: Uint8Array = Uint8Array.from({ length: 256 }, (_, c) =>
  c === 0x09 || (c >= 0x20 && c !== 0x7f) ? 1 : 0,
);

/** 1 for visible ASCII except `#`: what a request target may be made of (RFC 9112 §3.2; fragments are never sent). */
export const TARGET_BYTE: Uint8Array = Uint8Array.from({ length: 256 }, (_, c) =>
  c > 0x20 && c < 0x7f && c !== 0x23 ? 1 : 0,
);

/** Value of a hexadecimal digit, 255 for every other octet. */
export const HEX_VALUE: Uint8Array = hexTable();

export const CR = 0x0d;
export const LF = 0x0a;
export const SP = 0x20;
export const HTAB = 0x09;
export const COLON = 0x3a;
export const COMMA = 0x2c;
export const SEMICOLON = 0x3b;
export const EMPTY_BYTES: Uint8Array = new Uint8Array(0);

/** A range of octets in a buffer; the holder does not own the buffer. */
export interface ByteRange {
  buf: Uint8Array;
  start: number;
  end: number;
}

interface ByteMethods {
  latin1Slice(this: Uint8Array, start: number, end: number): string;
  latin1Write(this: Uint8Array, text: string, at: number, length: number): number;
  copy(this: Uint8Array, out: Uint8Array, at: number, start: number, end: number): number;
}
// Called on plain Uint8Arrays too: both runtimes accept any byte view as receiver.
const bytes = Buffer.prototype as unknown as ByteMethods;

/** Up to this many octets a loop is as cheap as a call. */
const LOOP_COPY_OCTETS = 24;

/** The octets [start, end) as a byte string. */
export function decodeLatin1(buf: Uint8Array, start: number, end: number): string {
  return start >= end ? '' : bytes.latin1Slice.call(buf, start, end);
}

/** Longer strings are seldom the same twice in a row. */
const MOST_COMPARED = 128;

/**
 * The octets [start, end) as a byte string: `last` itself where it says the same, as with what a client asks for
 * again and again. The string then knows its hash, too, which looking it up takes.
 */
export function decodeLatin1Again(buf: Uint8Array, start: number, end: number, last: string): string {
  if (last.length <= MOST_COMPARED && bytesEqual(buf, start, end, last)) return last;
  return decodeLatin1(buf, start, end);
}

/** Writes a byte string; the caller has made sure that it fits. Returns the offset after it. */
export function writeLatin1(buf: Uint8Array, at: number, text: string): number {
  const length = text.length;
  if (length > 24) return at + bytes.latin1Write.call(buf, text, at, length);
  for (let i = 0; i < length; i++) buf[at + i] = text.charCodeAt(i);
  return at + length;
}

/** The octets of a byte string. */
export function latin1Bytes(text: string): Uint8Array {
  const out = new Uint8Array(text.length);
  writeLatin1(out, 0, text);
  return out;
}

/** UTF-8 text as the byte string that carries it in a field value. */
export function toByteString(text: string): string {
  const utf8 = new TextEncoder().encode(text);
  return decodeLatin1(utf8, 0, utf8.length);
}

/** Copies [start, end) to `at`; returns the offset after it. */
export function copyOctets(
  from: Uint8Array,
  start: number,
  end: number,
  out: Uint8Array,
  at: number,
): number {
  const length = end - start;
  if (length > LOOP_COPY_OCTETS) bytes.copy.call(from, out, at, start, end);
  else for (let i = 0; i < length; i++) out[at + i] = from[start + i]!;
  return at + length;
}

/** True if [start, end) equals `ascii` octet by octet. */
export function bytesEqual(buf: Uint8Array, start: number, end: number, ascii: string): boolean {
  if (end - start !== ascii.length) return false;
  for (let i = 0; i < ascii.length; i++) if (buf[start + i] !== ascii.charCodeAt(i)) return false;
  return true;
}

/** True if the token [start, end) equals `lower` (lower-case ASCII) ignoring case. */
export function tokenEquals(buf: Uint8Array, start: number, end: number, lower: string): boolean {
  if (end - start !== lower.length) return false;
  for (let i = 0; i < lower.length; i++) {
    if (TOKEN_LOWER[buf[start + i]!] !== lower.charCodeAt(i)) return false;
  }
  return true;
}

/** True if `text` is a byte string that may stand as a field value: no CR, LF, NUL, other controls, or char > 0xFF. */
export function isFieldValue(text: string): boolean {
  for (let i = 0; i < text.length; i++) {
    const c = text.charCodeAt(i);
    if (c > 0xff || FIELD_VALUE[c] === 0) return false;
  }
  return true;
}

/** True if `text` is a token (RFC 9110 §5.6.2), as field names and methods must be. */
export function isToken(text: string): boolean {
  if (text.length === 0) return false;
  for (let i = 0; i < text.length; i++) {
    const c = text.charCodeAt(i);
    if (c > 0x7f || TOKEN_LOWER[c] === 0) return false;
  }
  return true;
}

/** Decimal digits of `value` (a safe non-negative integer) at `at`; returns the offset after them. */
export function writeDecimal(out: Uint8Array, at: number, value: number): number {
  let digits = 1;
  for (let rest = value; rest >= 10; rest = Math.floor(rest / 10)) digits++;
  let rest = value;
  for (let i = at + digits - 1; i >= at; i--) {
    const next = Math.floor(rest / 10);
    out[i] = 0x30 + (rest - next * 10);
    rest = next;
  }
  return at + digits;
}

function tokenTable(): Uint8Array {
  const table = new Uint8Array(256);
  for (const c of "!#$%&'*+-.^_`|~0123456789abcdefghijklmnopqrstuvwxyz")
    table[c.charCodeAt(0)] = c.charCodeAt(0);
  for (let c = 0x41; c <= 0x5a; c++) table[c] = c + 0x20;
  return table;
}

function hexTable(): Uint8Array {
  const table = new Uint8Array(256).fill(255);
  for (let i = 0; i < 10; i++) table[0x30 + i] = i;
  for (let i = 0; i < 6; i++) {
    table[0x41 + i] = 10 + i;
    table[0x61 + i] = 10 + i;
  }
  return table;
}
