/**
 * Protobuf's wire format, read: tags, varints, fixed-width numbers and lengths, each checked against the
 * end of the message that contains it.
 *
 * A varint is left in `lo` and `hi` (32 bits each) rather than returned as a bigint, which would allocate.
 */
import { XdsDecodeError, type XdsDecodeCode } from './error.ts';
import { formatPath, type PathSegment } from './path.ts';

export const wireVarint = 0;
export const wireFixed64 = 1;
export const wireBytes = 2;
export const wireFixed32 = 5;

const two32 = 4294967296;
const strictUtf8 = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true });

export class WireReader {
  readonly bytes: Uint8Array;
  readonly path: PathSegment[] = [];
  readonly #buffer: Buffer;
  readonly #view: DataView;
  /** Next byte to read. */
  pos = 0;
  lo = 0;
  hi = 0;

  constructor(bytes: Uint8Array) {
    this.bytes = bytes;
    this.#buffer = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
    this.#view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  }

  fail(code: XdsDecodeCode, detail: string): never {
    throw new XdsDecodeError(code, formatPath(this.path), detail);
  }

  /** Reads into `lo` and `hi`. At most ten bytes, all before `end`. */
  varint(end: number): void {
    const bytes = this.bytes;
    let pos = this.pos;
    let lo = 0;
    let hi = 0;
    for (let shift = 0; shift < 70; shift += 7) {
      if (pos >= end) this.fail('truncated', 'the message ends inside a number');
      const byte = bytes[pos++] as number;
      const bits = byte & 0x7f;
      if (shift < 28) lo |= bits << shift;
      else if (shift === 28) {
        lo |= bits << 28;
        hi = bits >>> 4;
      } else hi |= bits << (shift - 32);
      if (byte < 0x80) {
        this.pos = pos;
        this.lo = lo;
        this.hi = hi;
        return;
      }
    }
    this.fail('malformed', 'a number of more than ten bytes');
  }

  uint32(end: number): number {
    this.varint(end);
    return this.lo >>> 0;
  }

  int32(end: number): number {
    this.varint(end);
    return this.lo | 0;
  }

  uint64(end: number): number {
    this.varint(end);
    return (this.hi >>> 0) * two32 + (this.lo >>> 0);
  }

  int64(end: number): number {
    this.varint(end);
    return (this.hi | 0) * two32 + (this.lo >>> 0);
  }

  sint32(end: number): number {
    const value = this.uint32(end);
    return (value >>> 1) ^ -(value & 1);
  }

  sint64(end: number): number {
    this.varint(end);
    const isNegative = (this.lo & 1) === 1;
    const magnitude = (this.hi >>> 1) * two32 + (((this.lo >>> 1) | (this.hi << 31)) >>> 0);
    return isNegative ? -magnitude - 1 : magnitude;
  }

  bool(end: number): boolean {
    this.varint(end);
    return (this.lo | this.hi) !== 0;
  }

  /** Offset of `width` bytes, which are consumed. */
  fixed(width: number, end: number): number {
    const start = this.pos;
    if (start + width > end) this.fail('truncated', 'the message ends inside a number');
    this.pos = start + width;
    return start;
  }

  float64(end: number): number {
    return this.#view.getFloat64(this.fixed(8, end), true);
  }

  float32(end: number): number {
    return this.#view.getFloat32(this.fixed(4, end), true);
  }

  fixed32(end: number): number {
    return this.#view.getUint32(this.fixed(4, end), true);
  }

  sfixed32(end: number): number {
    return this.#view.getInt32(this.fixed(4, end), true);
  }

  fixed64(end: number): number {
    const at = this.fixed(8, end);
    return this.#view.getUint32(at + 4, true) * two32 + this.#view.getUint32(at, true);
  }

  sfixed64(end: number): number {
    const at = this.fixed(8, end);
    return this.#view.getInt32(at + 4, true) * two32 + this.#view.getUint32(at, true);
  }

  /** Reads a length and returns where the bytes of that length end. */
  lengthEnd(end: number): number {
    this.varint(end);
    const length = this.lo >>> 0;
    if (this.hi !== 0 || length > end - this.pos)
      this.fail('truncated', 'a length beyond the end of the message');
    return this.pos + length;
  }

  string(end: number): string {
    const stop = this.lengthEnd(end);
    const start = this.pos;
    this.pos = stop;
    const text = this.#buffer.toString('utf8', start, stop);
    if (text.includes('\uFFFD')) this.#checkUtf8(start, stop);
    return text;
  }

  /** A view of the input, not a copy. */
  view(end: number): Uint8Array {
    const stop = this.lengthEnd(end);
    const view = this.bytes.subarray(this.pos, stop);
    this.pos = stop;
    return view;
  }

  /** Passes over the value of a field. */
  skip(wireType: number, end: number): void {
    if (wireType === wireVarint) this.varint(end);
    else if (wireType === wireFixed64) this.fixed(8, end);
    else if (wireType === wireBytes) this.pos = this.lengthEnd(end);
    else if (wireType === wireFixed32) this.fixed(4, end);
    else this.fail('malformed', `wire type ${wireType}, which proto3 does not have`);
  }

  /** The decoder puts U+FFFD for what is not UTF-8; only where one appears is the strict check worth its time. */
  #checkUtf8(start: number, stop: number): void {
    try {
      strictUtf8.decode(this.bytes.subarray(start, stop));
    } catch {
      this.fail('malformed', 'a string that is not UTF-8');
    }
  }
}
