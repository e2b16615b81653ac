/**
 * A cursor over DER (X.690) that never throws: the first mistake is kept in the state that all cursors of one
 * document share, every read after it yields something empty, and loops on `isAtEnd` end. Who parses looks at
 * `problem` once, at the end.
 *
 * Only DER, not BER: definite lengths in their shortest form, low tag numbers. A peer that could write one value in
 * two ways could show one certificate to us and another to somebody else.
 */
import { problem, type Problem } from '../problem.ts';
import { derTag } from './der-tag.ts';
import { parseDerTime } from './der-time.ts';

export interface DerLimits {
  readonly maxBytes: number;
  /** Values read in one document. */
  readonly maxValues: number;
  readonly maxDepth: number;
}

/** Ample for a certificate with a few hundred names; revocation lists give their own. */
export const certificateLimits: DerLimits = { maxBytes: 64 * 1024, maxValues: 4096, maxDepth: 16 };

const empty = new Uint8Array(0);
/** OID arcs beyond this are no assigned identifier (Number.MAX_SAFE_INTEGER / 128). */
const maxArc = 2 ** 46;
const maxOidBytes = 64;

interface Shared {
  readonly bytes: Uint8Array;
  readonly limits: DerLimits;
  problem: Problem | null;
  values: number;
}

export class DerReader {
  readonly #shared: Shared;
  readonly #depth: number;
  readonly #end: number;
  #at: number;

  private constructor(shared: Shared, start: number, end: number, depth: number) {
    this.#shared = shared;
    this.#at = start;
    this.#end = end;
    this.#depth = depth;
  }

  static over(bytes: Uint8Array, limits: DerLimits = certificateLimits): DerReader {
    const shared: Shared = { bytes, limits, problem: null, values: 0 };
    if (bytes.length > limits.maxBytes)
      shared.problem = problem('too-large', `more than ${limits.maxBytes} bytes`);
    return new DerReader(shared, 0, bytes.length, 0);
  }

  get problem(): Problem | null {
    return this.#shared.problem;
  }

  get isAtEnd(): boolean {
    return this.#shared.problem !== null || this.#at >= this.#end;
  }

  /** Keeps the first mistake. */
  fail(message: string): void {
    this.#shared.problem ??= problem('malformed', message);
  }

  failWith(found: Problem): void {
    this.#shared.problem ??= found;
  }

  /** The tag of the next value; -1 at the end. */
  peekTag(): number {
    return this.isAtEnd ? -1 : (this.#shared.bytes[this.#at] ?? -1);
  }

  /** The content of a value of this tag; a view, not a copy. */
  content(tag: number): Uint8Array {
    const span = this.#next(tag);
    return span === null ? empty : this.#shared.bytes.subarray(span.start, span.end);
  }

  /** The next value whole, tag and length included, whatever it is. */
  whole(): Uint8Array {
    const start = this.#at;
    const span = this.#next(null);
    return span === null ? empty : this.#shared.bytes.subarray(start, span.end);
  }

  /** A cursor over the content of a constructed value. */
  enter(tag: number): DerReader {
    const span = this.#next(tag);
    if (span !== null && this.#depth >= this.#shared.limits.maxDepth) this.fail('nested too deeply');
    return new DerReader(this.#shared, span?.start ?? this.#end, span?.end ?? this.#end, this.#depth + 1);
  }

  /** As `enter`, when the next value has this tag; null otherwise. */
  enterOptional(tag: number): DerReader | null {
    return this.peekTag() === tag ? this.enter(tag) : null;
  }

  /** The content of an OCTET STRING, itself DER. */
  enterOctets(): DerReader {
    return this.enter(derTag.octetString);
  }

  /** Nothing may follow. */
  finish(): void {
    if (this.#shared.problem === null && this.#at < this.#end) this.fail('something follows the last field');
  }

  boolean(): boolean {
    const bytes = this.content(derTag.boolean);
    if (bytes.length !== 1 || (bytes[0] !== 0 && bytes[0] !== 0xff)) this.fail('not a BOOLEAN');
    return bytes[0] === 0xff;
  }

  /** Content of an INTEGER in its shortest form, big-endian two's complement. */
  integer(tag: number = derTag.integer): Uint8Array {
    const bytes = this.content(tag);
    const [first = 0, second = 0] = bytes;
    const isLong = bytes.length > 1 && ((first === 0 && second < 0x80) || (first === 0xff && second >= 0x80));
    if (bytes.length === 0 || isLong) this.fail('not an INTEGER in its shortest form');
    return bytes;
  }

  /** An INTEGER from 0 to 2^31-1. */
  smallInteger(tag: number = derTag.integer): number {
    const bytes = this.integer(tag);
    if (bytes.length > 4 || (bytes[0] ?? 0) >= 0x80) this.fail('an INTEGER out of range');
    return bytes.reduce((sum, byte) => sum * 256 + byte, 0);
  }

  oid(): string {
    const bytes = this.content(derTag.oid);
    const text = formatOid(bytes);
    if (text === null) this.fail('not an OBJECT IDENTIFIER');
    return text ?? '';
  }

  /** A BIT STRING of whole bytes. */
  bitString(): Uint8Array {
    const bytes = this.content(derTag.bitString);
    if (bytes[0] !== 0) this.fail('not a BIT STRING of whole bytes');
    return bytes.subarray(1);
  }

  /** A named BIT STRING: the numbers of its bits that are set. */
  namedBits(): ReadonlySet<number> {
    const bytes = this.content(derTag.bitString);
    const unused = bytes[0] ?? 8;
    if (unused > 7 || (bytes.length === 1 && unused !== 0) || bytes.length > 9)
      this.fail('not a named BIT STRING');
    const bits = new Set<number>();
    for (let bit = 0; bit < (bytes.length - 1) * 8 - unused; bit++) {
      if (((bytes[1 + (bit >> 3)] ?? 0) & (0x80 >> (bit & 7))) !== 0) bits.add(bit);
    }
    return bits;
  }

  /** UTCTime or GeneralizedTime as RFC 5280 §4.1.2.5 has them; milliseconds since 1970. */
  time(): number {
    const tag = this.peekTag();
    const ms = parseDerTime(tag, this.content(tag === derTag.generalizedTime ? tag : derTag.utcTime));
    if (ms === null) this.fail('not a time');
    return ms ?? 0;
  }

  #next(tag: number | null): { readonly start: number; readonly end: number } | null {
    if (this.#shared.problem !== null) return null;
    const { bytes, limits } = this.#shared;
    if (++this.#shared.values > limits.maxValues) {
      this.#shared.problem = problem('too-large', `more than ${limits.maxValues} values`);
      return null;
    }
    const found = this.#at < this.#end ? bytes[this.#at] : undefined;
    if (found === undefined) return this.#refuse('ends too early');
    if ((found & 0x1f) === 0x1f) return this.#refuse('a tag number above 30');
    if (tag !== null && found !== tag) return this.#refuse('not the field that belongs here');
    const span = this.#length(this.#at + 1);
    if (span !== null) this.#at = span.end;
    return span;
  }

  /** X.690 §10.1: definite, in the fewest bytes. */
  #length(at: number): { readonly start: number; readonly end: number } | null {
    const { bytes } = this.#shared;
    const first = at < this.#end ? bytes[at] : undefined;
    if (first === undefined) return this.#refuse('ends too early');
    let start = at + 1;
    let length = first;
    if (first >= 0x80) {
      const count = first & 0x7f;
      if (count === 0 || count > 4 || start + count > this.#end) return this.#refuse('not a length');
      length = 0;
      for (let index = 0; index < count; index++) length = length * 256 + (bytes[start + index] ?? 0);
      start += count;
      if (length < 0x80 || length < 256 ** (count - 1))
        return this.#refuse('a length not in its shortest form');
    }
    const end = start + length;
    return end > this.#end ? this.#refuse('ends too early') : { start, end };
  }

  #refuse(message: string): null {
    this.fail(message);
    return null;
  }
}

/** X.690 §8.19. Null when it is not one. */
export function formatOid(bytes: Uint8Array): string | null {
  if (bytes.length === 0 || bytes.length > maxOidBytes) return null;
  const arcs: number[] = [];
  let arc = 0;
  let isStart = true;
  for (const byte of bytes) {
    if ((isStart && byte === 0x80) || arc > maxArc) return null;
    arc = arc * 128 + (byte & 0x7f);
    isStart = byte < 0x80;
    if (!isStart) continue;
    if (arcs.length === 0) {
      const top = Math.min(Math.floor(arc / 40), 2);
      arcs.push(top, arc - top * 40);
    } else arcs.push(arc);
    arc = 0;
  }
  return isStart ? arcs.join('.') : null;
}
