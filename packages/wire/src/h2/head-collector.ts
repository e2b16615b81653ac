/**
 * Puts decoded fields into a stream's head and judges them (RFC 9113 §8.2, §8.3).
 *
 * A block is always decoded to its end, since the table depends on it: what is malformed or too large is
 * remembered, and its fields are no longer kept. One collector serves a session; decoding calls nobody else.
 */
import { bytesEqual, copyOctets } from '../headers/bytes.ts';
import { HeaderList } from '../headers/header-list.ts';
import { H, type NameId } from '../headers/names.ts';
import { forbiddenInTrailers } from '../h1/message-body.ts';
import { readContentLength } from '../h1/framing.ts';
import { ENTRY_OVERHEAD_BYTES } from './hpack/dynamic-table.ts';
import { CLASS_MASK, FIRST_PSEUDO, FieldClass, INVALID_VALUE } from './hpack/field-class.ts';
import type { FieldSink } from './hpack/decoder.ts';
import { OctetArena } from './hpack/octet-arena.ts';
import { readRequestPseudo, readStatus, requestFailure } from './head-rules.ts';
import { HAS_STATUS, PseudoFields } from './pseudo.ts';

export type BlockKind = 'request' | 'response' | 'trailers' | 'discarded';

/** Length of the shortest pseudo-header name, counted where the decoder leaves the name out. */
const PSEUDO_NAME_BYTES = 5;
const ARENA_CHUNK_BYTES = 4096;
const COOKIE_SEPARATOR = '; ';

const none = new HeaderList();
const noPseudo = new PseudoFields();

export class HeadCollector implements FieldSink {
  /** Why the head is malformed; '' if it is not. */
  malformed = '';
  /** It is one field that is wrong, not what they mean together. */
  hasBadField = false;
  isTooLarge = false;
  /** -1 without content-length. */
  contentLength = -1;
  droppedTrailers = 0;
  readonly #maxBytes: number;
  readonly #maxFields: number;
  readonly #takesProtocol: boolean;
  readonly #arena = new OctetArena(ARENA_CHUNK_BYTES);
  #kind: BlockKind = 'discarded';
  #list = none;
  #pseudo = noPseudo;
  #byteCount = 0;
  #fieldCount = 0;
  #hasRegular = false;
  #cookies = 0;
  #hasHost = false;

  /** `takesProtocol`: extended CONNECT was offered (RFC 8441 §4). */
  constructor(maxBytes: number, maxFields: number, takesProtocol: boolean) {
    this.#maxBytes = maxBytes;
    this.#maxFields = maxFields;
    this.#takesProtocol = takesProtocol;
  }

  begin(kind: BlockKind, list: HeaderList, pseudo: PseudoFields): void {
    this.#kind = kind;
    this.#list = list;
    this.#pseudo = pseudo;
    this.malformed = '';
    this.hasBadField = false;
    this.isTooLarge = false;
    this.contentLength = -1;
    this.droppedTrailers = 0;
    this.#byteCount = 0;
    this.#fieldCount = 0;
    this.#hasRegular = false;
    this.#cookies = 0;
    this.#hasHost = false;
    list.reset();
    if (kind !== 'trailers') pseudo.reset();
  }

  field(
    fieldClass: number,
    id: NameId,
    buf: Uint8Array,
    nameStart: number,
    nameEnd: number,
    valueStart: number,
    valueEnd: number,
    flags: number,
  ): void {
    if (this.#kind === 'discarded') return;
    this.#byteCount += nameEnd - nameStart + valueEnd - valueStart + ENTRY_OVERHEAD_BYTES;
    if (++this.#fieldCount > this.#maxFields || this.#byteCount > this.#maxBytes) {
      this.isTooLarge = true;
      return;
    }
    if (fieldClass === FieldClass.regular && this.#kind !== 'trailers') {
      this.#hasRegular = true;
      this.#list.push(id, buf, nameStart, nameEnd, valueStart, valueEnd, 0, flags);
      return;
    }
    this.#special(fieldClass, id, buf, nameStart, nameEnd, valueStart, valueEnd, flags);
  }

  /** After the last field: what only the whole head shows. */
  finish(): void {
    if (this.#cookies > 1) this.#joinCookies();
    this.#arena.trim();
    if (this.malformed !== '' || this.isTooLarge) return;
    if (this.#kind === 'request')
      this.malformed = requestFailure(this.#pseudo, this.#hasHost, this.#takesProtocol);
    else if (this.#kind === 'response' && (this.#pseudo.present & HAS_STATUS) === 0)
      this.malformed = ':status is missing';
  }

  #special(
    fieldClass: number,
    id: NameId,
    buf: Uint8Array,
    nameStart: number,
    nameEnd: number,
    valueStart: number,
    valueEnd: number,
    flags: number,
  ): void {
    if ((fieldClass & INVALID_VALUE) !== 0) return this.#refuse('a field value holds forbidden characters');
    const kind = fieldClass & CLASS_MASK;
    if (kind >= FIRST_PSEUDO) {
      this.#byteCount += nameEnd > nameStart ? 0 : PSEUDO_NAME_BYTES;
      return this.#pseudoField(kind, buf, valueStart, valueEnd);
    }
    this.#hasRegular = true;
    if (this.#kind === 'trailers' && kind !== FieldClass.connectionSpecific) {
      if (id !== 0 && forbiddenInTrailers.has(id)) {
        this.droppedTrailers++;
        return;
      }
    } else {
      switch (kind) {
        case FieldClass.connectionSpecific:
          return this.#refuse('a connection-specific field');
        case FieldClass.te:
          if (!bytesEqual(buf, valueStart, valueEnd, 'trailers')) return this.#refuse('te is not "trailers"');
          break;
        case FieldClass.contentLength:
          if (!this.#readLength(buf, valueStart, valueEnd)) return;
          break;
        case FieldClass.host:
          if (this.#kind === 'request') return this.#host(buf, nameStart, nameEnd, valueStart, valueEnd);
          break;
        case FieldClass.cookie:
          this.#cookies++;
          break;
      }
    }
    this.#list.push(id, buf, nameStart, nameEnd, valueStart, valueEnd, 0, flags);
  }

  #pseudoField(kind: number, buf: Uint8Array, start: number, end: number): void {
    if (kind === FieldClass.invalidName) return this.#refuse('a field name is not a lower-case token');
    if (kind === FieldClass.unknownPseudo) return this.#refuse('an unknown pseudo-header field');
    if (this.#kind === 'trailers') return this.#refuse('a pseudo-header field in trailers');
    if (this.#hasRegular) return this.#refuse('a pseudo-header field after a regular one');
    const failure =
      this.#kind === 'response'
        ? readStatus(this.#pseudo, kind, buf, start, end)
        : readRequestPseudo(this.#pseudo, kind, buf, start, end);
    if (failure !== '') return this.#refuse(failure);
    if (kind === FieldClass.authority && this.#kind === 'request') this.#addHost(buf, start, end);
  }

  /** `host` for whoever reads or forwards the request in the terms of HTTP/1 (RFC 9113 §8.3.1). */
  #addHost(buf: Uint8Array, start: number, end: number): void {
    const arena = this.#arena;
    arena.reserve(4 + end - start);
    const at = arena.length;
    const out = arena.buf;
    out[at] = 0x68;
    out[at + 1] = 0x6f;
    out[at + 2] = 0x73;
    out[at + 3] = 0x74;
    arena.length = copyOctets(buf, start, end, out, at + 4);
    this.#list.push(H.host, out, at, at + 4, at + 4, arena.length);
    this.#hasHost = true;
  }

  /** Host beside :authority must name the same (§8.3.1), or the next hop would serve another one than we judged. */
  #host(buf: Uint8Array, nameStart: number, nameEnd: number, start: number, end: number): void {
    const list = this.#list;
    const known = list.indexOf(H.host);
    if (known >= 0) {
      if (!isSameHost(list, known, buf, start, end))
        this.#refuse('host differs from :authority, or is repeated');
      return;
    }
    this.#hasHost = true;
    list.push(H.host, buf, nameStart, nameEnd, start, end);
    const failure = readRequestPseudo(this.#pseudo, FieldClass.authority, buf, start, end);
    if (failure !== '') this.#refuse(failure);
  }

  #readLength(buf: Uint8Array, start: number, end: number): boolean {
    const length = readContentLength(buf, start, end);
    if (length >= 0 && this.contentLength < 0) {
      this.contentLength = length;
      return true;
    }
    this.#refuse('content-length is invalid or repeated');
    return false;
  }

  /** §8.2.3: crumbs are one field again, where the first one stood among its kind. */
  #joinCookies(): void {
    const list = this.#list;
    let size = 'cookie'.length;
    let flags = 0;
    for (let i = list.indexOf(H.cookie); i >= 0; i = list.indexOf(H.cookie, i + 1)) {
      size += list.valueEndAt(i) - list.valueStartAt(i) + COOKIE_SEPARATOR.length;
      flags |= list.flagsAt(i) & 1;
    }
    const arena = this.#arena;
    arena.reserve(size);
    const { buf, length: start } = arena;
    let at = start;
    for (const c of 'cookie') buf[at++] = c.charCodeAt(0);
    const nameEnd = at;
    for (let i = list.indexOf(H.cookie); i >= 0; i = list.indexOf(H.cookie, i)) {
      if (at > nameEnd) {
        buf[at++] = 0x3b;
        buf[at++] = 0x20;
      }
      at = copyOctets(list.bufferAt(i), list.valueStartAt(i), list.valueEndAt(i), buf, at);
      list.removeAt(i);
    }
    arena.length = at;
    list.push(H.cookie, buf, start, nameEnd, nameEnd, at, 0, flags);
  }

  #refuse(why: string): void {
    if (this.malformed === '') this.malformed = why;
    this.hasBadField = true;
  }
}

function isSameHost(list: HeaderList, index: number, buf: Uint8Array, start: number, end: number): boolean {
  const known = list.bufferAt(index);
  const knownStart = list.valueStartAt(index);
  if (list.valueEndAt(index) - knownStart !== end - start) return false;
  for (let i = 0; i < end - start; i++) {
    const a = known[knownStart + i]!;
    const b = buf[start + i]!;
    // Hosts are compared without case; octets that only differ in bit 5 elsewhere are not letters.
    if (a !== b && ((a ^ b) !== 0x20 || !isLetter(a))) return false;
  }
  return true;
}

function isLetter(c: number): boolean {
  const lower = c | 0x20;
  return lower >= 0x61 && lower <= 0x7a;
}
