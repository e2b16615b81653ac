/**
 * DER values (X.690), written as nested calls: each returns the bytes of one value. Documents here are a few
 * hundred bytes, so that joining arrays costs less than a length pass would.
 */
import { derTag } from './der-tag.ts';
import { formatDerTime } from './der-time.ts';

/** A value of any tag around content that is ready. */
export function derValue(tag: number, ...contents: readonly Uint8Array[]): Uint8Array {
  let length = 0;
  for (const one of contents) length += one.length;
  const head = derHead(tag, length);
  const out = new Uint8Array(head.length + length);
  out.set(head);
  let at = head.length;
  for (const one of contents) {
    out.set(one, at);
    at += one.length;
  }
  return out;
}

export function derSequence(...contents: readonly Uint8Array[]): Uint8Array {
  return derValue(derTag.sequence, ...contents);
}

/** X.690 §11.6: the values of a SET OF in the order of their bytes. */
export function derSet(...contents: readonly Uint8Array[]): Uint8Array {
  return derValue(derTag.set, ...[...contents].sort(compareBytes));
}

export function derBoolean(value: boolean): Uint8Array {
  return derValue(derTag.boolean, Uint8Array.of(value ? 0xff : 0));
}

/** A number of 0 to 2^31-1, or the big-endian bytes of a number that is not negative. */
export function derInteger(value: number | Uint8Array, tag: number = derTag.integer): Uint8Array {
  const bytes = typeof value === 'number' ? bytesOf(value) : value;
  let start = 0;
  while (start < bytes.length - 1 && bytes[start] === 0) start++;
  const digits = bytes.subarray(start);
  const needsSign = digits.length === 0 || (digits[0] ?? 0) >= 0x80;
  return needsSign ? derValue(tag, Uint8Array.of(0), digits) : derValue(tag, digits);
}

export function derOid(text: string): Uint8Array {
  const [top = 0, second = 0, ...rest] = text.split('.').map(Number);
  const content: number[] = [];
  for (const arc of [top * 40 + second, ...rest]) {
    const digits = [arc % 128];
    for (let left = Math.floor(arc / 128); left > 0; left = Math.floor(left / 128))
      digits.unshift((left % 128) + 128);
    content.push(...digits);
  }
  return derValue(derTag.oid, Uint8Array.from(content));
}

export function derOctets(...contents: readonly Uint8Array[]): Uint8Array {
  return derValue(derTag.octetString, ...contents);
}

export function derBitString(bytes: Uint8Array): Uint8Array {
  return derValue(derTag.bitString, Uint8Array.of(0), bytes);
}

/** X.690 §11.2.2: a named BIT STRING ends with its last bit that is set. */
export function derNamedBits(bits: readonly number[]): Uint8Array {
  const last = Math.max(-1, ...bits);
  const bytes = new Uint8Array((last >> 3) + 1);
  for (const bit of bits) bytes[bit >> 3] = (bytes[bit >> 3] ?? 0) | (0x80 >> (bit & 7));
  return derValue(derTag.bitString, Uint8Array.of(last < 0 ? 0 : 7 - (last & 7)), bytes);
}

export function derText(text: string, tag: number = derTag.utf8String): Uint8Array {
  return derValue(tag, new Uint8Array(Buffer.from(text, 'utf8')));
}

export function derTime(ms: number): Uint8Array {
  const { tag, text } = formatDerTime(ms);
  return derText(text, tag);
}

export const derNull: Uint8Array = Uint8Array.of(derTag.null, 0);

function derHead(tag: number, length: number): Uint8Array {
  if (length < 0x80) return Uint8Array.of(tag, length);
  const digits = bytesOf(length);
  return Uint8Array.of(tag, 0x80 | digits.length, ...digits);
}

function bytesOf(value: number): Uint8Array {
  const digits: number[] = [];
  for (let left = value; left > 0; left = Math.floor(left / 256)) digits.unshift(left % 256);
  return Uint8Array.from(digits);
}

function compareBytes(left: Uint8Array, right: Uint8Array): number {
  return Buffer.compare(left, right);
}
