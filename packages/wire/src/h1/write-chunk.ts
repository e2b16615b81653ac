/** Chunked framing (RFC 9112 §7.1), written around content that the caller copies or sends itself. */
import { CR, LF, writeLatin1 } from '../headers/bytes.ts';
import type { HeaderList } from '../headers/header-list.ts';
import { writeLine } from './write-fields.ts';

/** Writes the size line of a chunk; returns the offset after it, -1 if it does not fit. A chunk of 0 octets would end the body: refused. */
export function writeChunkHeader(out: Uint8Array, at: number, size: number): number {
  if (size <= 0) return -1;
  let digits = 1;
  for (let rest = size; rest >= 16; rest = Math.floor(rest / 16)) digits++;
  if (at + digits + 2 > out.length) return -1;
  let rest = size;
  for (let i = at + digits - 1; i >= at; i--) {
    const next = Math.floor(rest / 16);
    const digit = rest - next * 16;
    out[i] = digit < 10 ? 0x30 + digit : 0x57 + digit;
    rest = next;
  }
  return writeLineEnd(out, at + digits);
}

/** Writes the CRLF after a chunk's content; returns the offset after it, -1 if it does not fit. */
export function writeChunkEnd(out: Uint8Array, at: number): number {
  return at + 2 > out.length ? -1 : writeLineEnd(out, at);
}

/** Writes the last chunk, trailers if there are any, and the empty line; -1 if it does not fit. */
export function writeLastChunk(out: Uint8Array, at: number, trailers?: HeaderList): number {
  if (at + 5 + (trailers?.byteSize ?? 0) > out.length) return -1;
  let to = writeLatin1(out, at, '0\r\n');
  if (trailers !== undefined) {
    for (let i = 0; i < trailers.count; i++) to = writeLine(trailers, i, out, to);
  }
  return writeLineEnd(out, to);
}

function writeLineEnd(out: Uint8Array, at: number): number {
  out[at] = CR;
  out[at + 1] = LF;
  return at + 2;
}
