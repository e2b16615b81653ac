/**
 * A reused, growing byte buffer that log lines are written into, with the escaping that keeps a peer's
 * bytes from forging a line or breaking JSON.
 *
 * Peers send octets: printable ASCII is copied, valid UTF-8 is kept, everything else (controls, quotes,
 * backslashes, invalid UTF-8, the Unicode line separators and C1 controls that viewers treat as line
 * ends) is written as an escape. Text uses `\xHH` per octet; JSON uses its own escapes, and `\\xHH` for
 * octets that are not UTF-8. Because the backslash itself is escaped, each output has one reading.
 */

export interface EscapeStyle {
  /** 1 for ASCII octets that are copied as they are. */
  readonly isPlain: Uint8Array;
  readonly isJson: boolean;
}

const QUOTE = 0x22;
const BACKSLASH = 0x5c;

function plainTable(): Uint8Array {
  return Uint8Array.from({ length: 256 }, (_, c) =>
    c >= 0x20 && c < 0x7f && c !== QUOTE && c !== BACKSLASH ? 1 : 0,
  );
}

export const TEXT_STYLE: EscapeStyle = { isPlain: plainTable(), isJson: false };
export const JSON_STYLE: EscapeStyle = { isPlain: plainTable(), isJson: true };

const HEX_DIGITS = '0123456789ABCDEF';
const INITIAL_BYTES = 4096;
/** The longest escape of one octet: `\u00HH` or `\\xHH`. */
const MAX_ESCAPE_BYTES = 6;

export class ByteWriter {
  bytes: Uint8Array<ArrayBuffer>;
  length = 0;

  constructor(initialBytes = INITIAL_BYTES) {
    this.bytes = new Uint8Array(new ArrayBuffer(initialBytes));
  }

  /** Room for `count` more bytes. */
  reserve(count: number): void {
    const needed = this.length + count;
    if (needed <= this.bytes.length) return;
    const grown = new Uint8Array(new ArrayBuffer(Math.max(needed, this.bytes.length * 2)));
    grown.set(this.bytes.subarray(0, this.length));
    this.bytes = grown;
  }

  byte(value: number): void {
    this.reserve(1);
    this.bytes[this.length] = value;
    this.length += 1;
  }

  /** Bytes of the configuration, copied as they are. */
  literal(source: Uint8Array): void {
    const count = source.length;
    this.reserve(count);
    const { bytes } = this;
    let at = this.length;
    // Most literals are a space or a quote: a loop beats the call into `set`.
    if (count > 32) bytes.set(source, at);
    else for (let i = 0; i < count; i += 1) bytes[at++] = source[i] ?? 0;
    this.length += count;
  }

  /** A non-negative safe integer; others (a clock that jumped) are written as 0. */
  decimal(value: number): void {
    this.reserve(16);
    const { bytes } = this;
    if (!(value >= 1)) {
      bytes[this.length] = 0x30;
      this.length += 1;
      return;
    }
    let rest = Math.floor(Math.min(value, Number.MAX_SAFE_INTEGER));
    let digits = 1;
    for (let bound = 10; bound <= rest; bound *= 10) digits += 1;
    for (let i = this.length + digits - 1; i >= this.length; i -= 1) {
      const next = Math.floor(rest / 10);
      bytes[i] = 0x30 + (rest - next * 10);
      rest = next;
    }
    this.length += digits;
  }

  /** Octets of a peer, escaped. */
  octets(source: Uint8Array, start: number, end: number, style: EscapeStyle): void {
    this.reserve((end - start) * MAX_ESCAPE_BYTES);
    const { bytes } = this;
    const { isPlain } = style;
    let at = this.length;
    let i = start;
    while (i < end) {
      const c = source[i] ?? 0;
      if (isPlain[c] === 1) {
        bytes[at] = c;
        at += 1;
        i += 1;
        continue;
      }
      this.length = at;
      i = this.#special(source, i, end, c, style);
      at = this.length;
    }
    this.length = at;
  }

  /** A byte string (one char per octet, as header values are read), escaped. */
  byteString(text: string, style: EscapeStyle): void {
    if (!this.#plain(text, style)) {
      const octets = Buffer.from(text, 'latin1');
      this.octets(octets, 0, octets.length, style);
    }
  }

  /** Text in Unicode (names from configuration), escaped. */
  text(text: string, style: EscapeStyle): void {
    if (!this.#plain(text, style)) {
      const octets = Buffer.from(text, 'utf8');
      this.octets(octets, 0, octets.length, style);
    }
  }

  /** Copies text that needs no escape; otherwise writes nothing and says so. */
  #plain(text: string, style: EscapeStyle): boolean {
    const count = text.length;
    this.reserve(count);
    const { bytes } = this;
    const { isPlain } = style;
    const at = this.length;
    for (let i = 0; i < count; i += 1) {
      const c = text.charCodeAt(i);
      if (c > 0x7f || isPlain[c] === 0) return false;
      bytes[at + i] = c;
    }
    this.length = at + count;
    return true;
  }

  /** Writes one character that is not plain; returns the offset after it. Room is reserved. */
  #special(source: Uint8Array, i: number, end: number, c: number, style: EscapeStyle): number {
    if (c < 0x80) {
      if (style.isJson) this.#jsonEscape(c);
      else this.#hexEscape(c, 1);
      return i + 1;
    }
    const count = utf8Length(source, i, end);
    if (count === 0) {
      this.#hexEscape(c, style.isJson ? 2 : 1);
      return i + 1;
    }
    if (isLineBreaking(source, i, count)) {
      for (let k = 0; k < count; k += 1) this.#hexEscape(source[i + k] ?? 0, style.isJson ? 2 : 1);
      return i + count;
    }
    for (let k = 0; k < count; k += 1) this.bytes[this.length + k] = source[i + k] ?? 0;
    this.length += count;
    return i + count;
  }

  #jsonEscape(c: number): void {
    const { bytes } = this;
    let at = this.length;
    bytes[at++] = BACKSLASH;
    if (c === QUOTE || c === BACKSLASH) {
      bytes[at++] = c;
    } else {
      bytes[at++] = 0x75;
      bytes[at++] = 0x30;
      bytes[at++] = 0x30;
      bytes[at++] = HEX_DIGITS.charCodeAt(c >> 4);
      bytes[at++] = HEX_DIGITS.charCodeAt(c & 15);
    }
    this.length = at;
  }

  /** `\xHH`, its backslash doubled in JSON. */
  #hexEscape(c: number, backslashes: 1 | 2): void {
    const { bytes } = this;
    let at = this.length;
    bytes[at++] = BACKSLASH;
    if (backslashes === 2) bytes[at++] = BACKSLASH;
    bytes[at++] = 0x78;
    bytes[at++] = HEX_DIGITS.charCodeAt(c >> 4);
    bytes[at++] = HEX_DIGITS.charCodeAt(c & 15);
    this.length = at;
  }
}

/** Length of the well-formed UTF-8 sequence at `i` (Unicode §3.9, table 3-7), 0 when there is none. */
function utf8Length(source: Uint8Array, i: number, end: number): number {
  const first = source[i] ?? 0;
  if (first < 0xc2 || first > 0xf4) return 0;
  const count = first < 0xe0 ? 2 : first < 0xf0 ? 3 : 4;
  if (i + count > end) return 0;
  const second = source[i + 1] ?? 0;
  const low = first === 0xe0 ? 0xa0 : first === 0xf0 ? 0x90 : 0x80;
  const high = first === 0xed ? 0x9f : first === 0xf4 ? 0x8f : 0xbf;
  if (second < low || second > high) return 0;
  for (let k = 2; k < count; k += 1) {
    const next = source[i + k] ?? 0;
    if (next < 0x80 || next > 0xbf) return 0;
  }
  return count;
}

/** C1 controls (U+0080–U+009F, NEL among them) and U+2028, U+2029. */
function isLineBreaking(source: Uint8Array, i: number, count: number): boolean {
  if (count === 2) return source[i] === 0xc2 && (source[i + 1] ?? 0) < 0xa0;
  if (count !== 3 || source[i] !== 0xe2 || source[i + 1] !== 0x80) return false;
  return source[i + 2] === 0xa8 || source[i + 2] === 0xa9;
}
