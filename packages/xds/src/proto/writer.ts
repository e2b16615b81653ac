/**
 * Protobuf's wire format, written into one growing buffer.
 *
 * A nested message is written where it stands, one byte kept free for its length; the rare message of 128
 * bytes or more is then moved to make room. That saves computing every size beforehand.
 */

const two32 = 4294967296;
const initialBytes = 256;
const encoder = new TextEncoder();

export class WireWriter {
  #bytes: Uint8Array<ArrayBuffer>;
  #view: DataView;
  #pos = 0;

  /** `capacity`: the expected size, if known; the buffer grows as needed. */
  constructor(capacity: number = initialBytes) {
    this.#bytes = new Uint8Array(capacity);
    this.#view = new DataView(this.#bytes.buffer);
  }

  /** The bytes written so far. A buffer that is mostly filled is handed out, else a copy of the right size. */
  finish(): Uint8Array {
    const isMostlyFilled = this.#pos * 2 > this.#bytes.length && this.#pos > initialBytes;
    return isMostlyFilled ? this.#bytes.subarray(0, this.#pos) : this.#bytes.slice(0, this.#pos);
  }

  get position(): number {
    return this.#pos;
  }

  /** Forgets what was written from `position` on. */
  truncate(position: number): void {
    this.#pos = position;
  }

  tag(number: number, wireType: number): void {
    this.uint32(((number << 3) | wireType) >>> 0);
  }

  uint32(value: number): void {
    this.#reserve(5);
    let rest = value >>> 0;
    while (rest > 0x7f) {
      this.#bytes[this.#pos++] = (rest & 0x7f) | 0x80;
      rest >>>= 7;
    }
    this.#bytes[this.#pos++] = rest;
  }

  /** A negative number takes ten bytes, as Protobuf wants. */
  int32(value: number): void {
    if (value >= 0) this.uint32(value);
    else this.#varint64(value >>> 0, 0xffffffff);
  }

  uint64(value: number): void {
    const whole = clamp(value, 0, two32 * two32);
    if (whole === two32 * two32) this.#varint64(0xffffffff, 0xffffffff);
    else this.#varint64((whole % two32) >>> 0, Math.floor(whole / two32) >>> 0);
  }

  int64(value: number): void {
    const limit = two32 * (two32 / 2);
    const whole = clamp(value, -limit, limit);
    if (whole === limit) this.#varint64(0xffffffff, 0x7fffffff);
    else this.#varint64(low32(whole), Math.floor(whole / two32) >>> 0);
  }

  sint32(value: number): void {
    this.uint32(((value << 1) ^ (value >> 31)) >>> 0);
  }

  sint64(value: number): void {
    this.uint64(value >= 0 ? value * 2 : -value * 2 - 1);
  }

  float64(value: number): void {
    this.#reserve(8);
    this.#view.setFloat64(this.#pos, value, true);
    this.#pos += 8;
  }

  float32(value: number): void {
    this.#reserve(4);
    this.#view.setFloat32(this.#pos, value, true);
    this.#pos += 4;
  }

  fixed32(value: number): void {
    this.#reserve(4);
    this.#view.setUint32(this.#pos, value >>> 0, true);
    this.#pos += 4;
  }

  fixed64(value: number): void {
    this.fixed32(low32(value));
    this.fixed32(Math.floor(value / two32) >>> 0);
  }

  string(value: string): void {
    // UTF-8 takes at most three bytes for each UTF-16 unit.
    this.#reserve(5 + value.length * 3);
    const mark = this.startLength();
    const { written } = encoder.encodeInto(value, this.#bytes.subarray(this.#pos));
    this.#pos += written;
    this.endLength(mark);
  }

  bytes(value: Uint8Array): void {
    this.uint32(value.length);
    this.raw(value);
  }

  /** Bytes that already have their tags and lengths. */
  raw(value: Uint8Array): void {
    this.#reserve(value.length);
    this.#bytes.set(value, this.#pos);
    this.#pos += value.length;
  }

  /** Begins something preceded by its length; give the result to `endLength`. */
  startLength(): number {
    this.#reserve(5);
    return ++this.#pos;
  }

  endLength(start: number): void {
    const length = this.#pos - start;
    const extra = varintSize(length) - 1;
    if (extra > 0) {
      this.#reserve(extra);
      this.#bytes.copyWithin(start + extra, start, this.#pos);
    }
    this.#pos = start - 1;
    this.uint32(length);
    this.#pos += length;
  }

  #varint64(lo: number, hi: number): void {
    this.#reserve(10);
    let low = lo;
    let high = hi;
    while (high !== 0 || low > 0x7f) {
      this.#bytes[this.#pos++] = (low & 0x7f) | 0x80;
      low = ((low >>> 7) | (high << 25)) >>> 0;
      high >>>= 7;
    }
    this.#bytes[this.#pos++] = low;
  }

  #reserve(bytes: number): void {
    const needed = this.#pos + bytes;
    if (needed <= this.#bytes.length) return;
    const grown = new Uint8Array(Math.max(needed, this.#bytes.length * 2));
    grown.set(this.#bytes);
    this.#bytes = grown;
    this.#view = new DataView(grown.buffer);
  }
}

export function varintSize(value: number): number {
  return value < 0x80 ? 1 : value < 0x4000 ? 2 : value < 0x200000 ? 3 : value < 0x10000000 ? 4 : 5;
}

function low32(value: number): number {
  return (value - Math.floor(value / two32) * two32) >>> 0;
}

function clamp(value: number, least: number, most: number): number {
  return Number.isNaN(value) ? 0 : Math.min(most, Math.max(least, Math.trunc(value)));
}
