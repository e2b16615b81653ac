/** Integers and string literals of RFC 7541 §5, written in place. Each returns the offset after what it wrote. */
import { TOKEN_LOWER, copyOctets } from '../../headers/bytes.ts';
import { encodeHuffman, huffmanLength } from './huffman.ts';

/** `value` with its first octet's high bits from `pattern` (§5.1). */
export function writeInteger(
  out: Uint8Array,
  at: number,
  pattern: number,
  prefix: number,
  value: number,
): number {
  if (value < prefix) {
    out[at] = pattern | value;
    return at + 1;
  }
  out[at] = pattern | prefix;
  let rest = value - prefix;
  let to = at + 1;
  while (rest >= 0x80) {
    out[to++] = (rest & 0x7f) | 0x80;
    rest >>>= 7;
  }
  out[to] = rest;
  return to + 1;
}

/** [start, end) as it is. */
export function writeString(
  out: Uint8Array,
  at: number,
  buf: Uint8Array,
  start: number,
  end: number,
): number {
  return copyOctets(buf, start, end, out, writeInteger(out, at, 0, 0x7f, end - start));
}

/** [start, end) in Huffman code if that is shorter. */
export function writeShortString(
  out: Uint8Array,
  at: number,
  buf: Uint8Array,
  start: number,
  end: number,
): number {
  const length = huffmanLength(buf, start, end);
  if (length >= end - start) return writeString(out, at, buf, start, end);
  return encodeHuffman(buf, start, end, out, writeInteger(out, at, 0x80, 0x7f, length));
}

/** A field name in lower case (RFC 9113 §8.2.1); [start, end) is a token. */
export function writeName(out: Uint8Array, at: number, buf: Uint8Array, start: number, end: number): number {
  const to = writeInteger(out, at, 0, 0x7f, end - start);
  for (let i = 0; i < end - start; i++) out[to + i] = TOKEN_LOWER[buf[start + i]!]!;
  return to + end - start;
}
