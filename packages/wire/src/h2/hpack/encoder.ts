/**
 * Encodes header blocks (RFC 7541) into the caller's memory.
 *
 * What repeats is worth an entry of the dynamic table, what does not would only push out what does: a field
 * enters at its second sighting, which a small table of hashes remembers. Fields that came indexed from
 * another connection's table are known again by where their octets lie, without a look at them.
 * Literals that enter the table are Huffman-coded, since that is paid once; others go as they are: the
 * octets saved do not pay for the time. Fields marked as sensitive, Authorization, Proxy-Authorization and
 * short cookies are never indexed, here and by whoever forwards them (§7.1.3).
 */
import { TOKEN_LOWER, bytesEqual, copyOctets, writeLatin1 } from '../../headers/bytes.ts';
import { FIELD_RESIDENT, FIELD_SENSITIVE } from '../../headers/header-list.ts';
import { H, internName, type NameId } from '../../headers/names.ts';
import { DEFAULT_TABLE_BYTES } from './decoder.ts';
import { DynamicTable, ENTRY_OVERHEAD_BYTES } from './dynamic-table.ts';
import { hashOctets, hashText } from './field-hash.ts';
import { writeInteger, writeName, writeShortString, writeString } from './primitives.ts';
import {
  STATIC_COUNT,
  StaticIndex,
  staticBytes,
  staticIndexOf,
  staticNameEnd,
  staticNameStart,
} from './static-table.ts';

/** Octets that one field takes at most beside those of name and value: three integers. */
export const FIELD_OVERHEAD_BYTES = 16;
/** Octets of the size updates a block may begin with. */
export const BLOCK_OVERHEAD_BYTES = 12;

const NEVER_INDEXED = 0x10;
const NOT_INDEXED = 0x00;
const WITH_INDEXING = 0x40;

const PROXY_AUTHORIZATION = internName('proxy-authorization');
const { authorization: AUTHORIZATION, cookie: COOKIE, setCookie: SET_COOKIE } = H;
/** Shorter cookies can be guessed octet by octet (RFC 7541 §7.1.3). */
const SHORT_COOKIE_BYTES = 20;

/** Slots of the tables below; powers of two. Those of fields are pairs, the newer first. */
const FIELD_SLOTS = 128;
const NAME_SLOTS = 32;
const SEEN_SLOTS = 128;
const MEMO_SLOTS = 32;
/** Serials are kept in 32 bits; a connection that inserted this often inserts no more. */
const MAX_SERIAL = 2 ** 30;
/** Marks the key of a name that is not interned: its hash. Keys of pseudo-header fields are negative. */
const HASHED_NAME = 0x40000000;

export class HpackEncoder {
  readonly #table = new DynamicTable(DEFAULT_TABLE_BYTES);
  readonly #ownLimitBytes: number;
  /** Smallest size since the last block, where an update is due; -1 if none is. */
  #smallestDue = -1;
  /** Serial + 1 of the entry last seen with a hash of name and value, or with a name's key. */
  readonly #byField = new Int32Array(FIELD_SLOTS);
  readonly #byName = new Int32Array(NAME_SLOTS);
  readonly #seen = new Int32Array(SEEN_SLOTS);
  /** Entries by the place of the same octets in another connection's table. */
  readonly #memoBuf: Uint8Array[] = [];
  readonly #memoStart = new Int32Array(MEMO_SLOTS);
  readonly #memoId = new Int32Array(MEMO_SLOTS);
  readonly #memoSerial = new Int32Array(MEMO_SLOTS);

  /** `maxTableBytes`: what we use at most, whatever the peer offers. */
  constructor(maxTableBytes: number) {
    this.#ownLimitBytes = maxTableBytes;
    for (let slot = 0; slot < MEMO_SLOTS; slot++) this.#memoBuf.push(staticBytes);
    if (maxTableBytes < DEFAULT_TABLE_BYTES) this.setPeerLimit(DEFAULT_TABLE_BYTES);
  }

  get tableByteCount(): number {
    return this.#table.byteCount;
  }

  /** The peer's SETTINGS_HEADER_TABLE_SIZE: the next block announces what we make of it (§4.2). */
  setPeerLimit(bytes: number): void {
    const size = Math.min(bytes, this.#ownLimitBytes);
    if (size === this.#table.maxBytes) return;
    if (this.#smallestDue < 0 || size < this.#smallestDue) this.#smallestDue = size;
    this.#table.resize(size);
  }

  /** Begins a block; like all below it writes at `at` and returns the offset after what it wrote. */
  begin(out: Uint8Array, at: number): number {
    if (this.#smallestDue < 0) return at;
    const { maxBytes } = this.#table;
    let to = at;
    if (this.#smallestDue < maxBytes) to = writeInteger(out, to, 0x20, 0x1f, this.#smallestDue);
    this.#smallestDue = -1;
    return writeInteger(out, to, 0x20, 0x1f, maxBytes);
  }

  /** A whole static entry. */
  indexed(out: Uint8Array, at: number, index: number): number {
    out[at] = 0x80 | index;
    return at + 1;
  }

  /** A regular field. `flags` as the decoder gave them, or 0. Names are written in lower case. */
  field(
    out: Uint8Array,
    at: number,
    id: NameId,
    buf: Uint8Array,
    nameStart: number,
    nameEnd: number,
    valueStart: number,
    valueEnd: number,
    flags: number,
  ): number {
    if ((flags & FIELD_RESIDENT) !== 0 && id !== 0) {
      const slot = memoSlot(id, valueStart);
      const serial = this.#memoSerial[slot]!;
      if (
        this.#memoBuf[slot] === buf &&
        this.#memoStart[slot] === valueStart &&
        this.#memoId[slot] === id &&
        serial >= this.#table.oldestSerial
      )
        return this.#writeIndexed(out, at, serial);
    }
    const key = id !== 0 ? id : (hashOctets(buf, nameStart, nameEnd, 1) & 0x3fffffff) | HASHED_NAME;
    let pattern = NOT_INDEXED;
    let hash = 0;
    if ((flags & FIELD_SENSITIVE) !== 0 || isSensitive(id, valueEnd - valueStart)) {
      pattern = NEVER_INDEXED;
    } else {
      hash = hashOctets(buf, valueStart, valueEnd, key);
      const slot = hash & (FIELD_SLOTS - 1);
      let known = this.#byField[slot]! - 1;
      if (!this.#isEntry(known, key, buf, nameStart, nameEnd, valueStart, valueEnd)) {
        known = this.#byField[slot ^ 1]! - 1;
        if (!this.#isEntry(known, key, buf, nameStart, nameEnd, valueStart, valueEnd)) known = -1;
      }
      if (known >= 0) {
        if ((flags & FIELD_RESIDENT) !== 0) this.#remember(id, buf, valueStart, known);
        return this.#writeIndexed(out, at, known);
      }
      const size = nameEnd - nameStart + valueEnd - valueStart;
      if (id !== SET_COOKIE && this.#isWorthEntry(hash, id, key, size)) pattern = WITH_INDEXING;
    }
    let to = this.#writeNameOf(out, at, pattern, id, key, buf, nameStart, nameEnd);
    if (pattern !== WITH_INDEXING) return writeString(out, to, buf, valueStart, valueEnd);
    to = writeShortString(out, to, buf, valueStart, valueEnd);
    this.#insert(key, hash, buf, nameStart, nameEnd, buf, valueStart, valueEnd);
    return to;
  }

  /** A pseudo-header field whose name is that of static entry `nameIndex`. `value` is a byte string. */
  pseudo(out: Uint8Array, at: number, nameIndex: number, value: string): number {
    const key = -nameIndex;
    const hash = hashText(value, key);
    const slot = hash & (FIELD_SLOTS - 1);
    let known = this.#byField[slot]! - 1;
    if (!this.#isPseudoEntry(known, key, value)) known = this.#byField[slot ^ 1]! - 1;
    if (this.#isPseudoEntry(known, key, value)) return this.#writeIndexed(out, at, known);
    const nameStart = staticNameStart[nameIndex]!;
    const nameEnd = staticNameEnd[nameIndex]!;
    const isEntry = this.#isWorthEntry(hash, 0, key, nameEnd - nameStart + value.length);
    let to = isEntry
      ? writeInteger(out, at, WITH_INDEXING, 0x3f, nameIndex)
      : writeInteger(out, at, NOT_INDEXED, 0x0f, nameIndex);
    const start = writeInteger(out, to, 0, 0x7f, value.length);
    to = writeLatin1(out, start, value);
    if (isEntry) this.#insert(key, hash, staticBytes, nameStart, nameEnd, out, start, to);
    return to;
  }

  /** `:protocol` is in no table and rare. */
  protocol(out: Uint8Array, at: number, value: string): number {
    out[at] = NOT_INDEXED;
    const to = writeLatin1(out, writeInteger(out, at + 1, 0, 0x7f, 9), ':protocol');
    return writeLatin1(out, writeInteger(out, to, 0, 0x7f, value.length), value);
  }

  /** `:status`: a static entry, or three digits. */
  status(out: Uint8Array, at: number, status: number): number {
    const index = staticStatusIndex.get(status);
    return index !== undefined
      ? this.indexed(out, at, index)
      : this.pseudo(out, at, StaticIndex.status200, String(status));
  }

  #writeIndexed(out: Uint8Array, at: number, serial: number): number {
    return writeInteger(out, at, 0x80, 0x7f, STATIC_COUNT + this.#table.nextSerial - serial);
  }

  /** The first part of a literal: its pattern with the index of the name, or the name itself. */
  #writeNameOf(
    out: Uint8Array,
    at: number,
    pattern: number,
    id: NameId,
    key: number,
    buf: Uint8Array,
    start: number,
    end: number,
  ): number {
    const prefix = pattern === WITH_INDEXING ? 0x3f : 0x0f;
    let index = id === 0 ? 0 : staticIndexOf(id);
    if (index === 0 && id !== 0) {
      const serial = this.#byName[key & (NAME_SLOTS - 1)]! - 1;
      if (serial >= this.#table.oldestSerial && this.#table.nameIdOf(serial) === key)
        index = STATIC_COUNT + this.#table.nextSerial - serial;
    }
    const to = writeInteger(out, at, pattern, prefix, index);
    return index === 0 ? writeName(out, to, buf, start, end) : to;
  }

  /** Seen before, or of a name that the proxy knows and no table holds. */
  #isWorthEntry(hash: number, id: NameId, key: number, size: number): boolean {
    const table = this.#table;
    if (size + ENTRY_OVERHEAD_BYTES > table.maxBytes >> 1 || table.nextSerial >= MAX_SERIAL) return false;
    const slot = hash & (SEEN_SLOTS - 1);
    if (this.#seen[slot] === hash || this.#seen[slot ^ 1] === hash) return true;
    this.#seen[slot ^ 1] = this.#seen[slot]!;
    this.#seen[slot] = hash;
    if (id === 0 || staticIndexOf(id) !== 0) return false;
    const serial = this.#byName[key & (NAME_SLOTS - 1)]! - 1;
    return serial < table.oldestSerial || table.nameIdOf(serial) !== key;
  }

  #insert(
    key: number,
    hash: number,
    nameBuf: Uint8Array,
    nameStart: number,
    nameEnd: number,
    valueBuf: Uint8Array,
    valueStart: number,
    valueEnd: number,
  ): void {
    const table = this.#table;
    const { arena } = table;
    arena.reserve(nameEnd - nameStart + valueEnd - valueStart);
    const { buf, length: start } = arena;
    let to = start;
    for (let at = nameStart; at < nameEnd; at++) {
      const c = nameBuf[at]!;
      buf[to++] = TOKEN_LOWER[c]! || c;
    }
    arena.length = copyOctets(valueBuf, valueStart, valueEnd, buf, to);
    table.insert(buf, start, to, to, arena.length, key, 0, 0);
    const slot = hash & (FIELD_SLOTS - 1);
    this.#byField[slot ^ 1] = this.#byField[slot]!;
    this.#byField[slot] = table.nextSerial;
    this.#byName[key & (NAME_SLOTS - 1)] = table.nextSerial;
  }

  #isEntry(
    serial: number,
    key: number,
    buf: Uint8Array,
    nameStart: number,
    nameEnd: number,
    valueStart: number,
    valueEnd: number,
  ): boolean {
    const table = this.#table;
    if (serial < table.oldestSerial || table.nameIdOf(serial) !== key) return false;
    const entry = table.bufferOf(serial);
    const start = table.valueStartOf(serial);
    const length = valueEnd - valueStart;
    if (table.valueEndOf(serial) - start !== length) return false;
    for (let i = 0; i < length; i++) if (entry[start + i] !== buf[valueStart + i]) return false;
    return (key & HASHED_NAME) === 0 || this.#hasName(serial, buf, nameStart, nameEnd);
  }

  #isPseudoEntry(serial: number, key: number, value: string): boolean {
    const table = this.#table;
    if (serial < table.oldestSerial || table.nameIdOf(serial) !== key) return false;
    return bytesEqual(table.bufferOf(serial), table.valueStartOf(serial), table.valueEndOf(serial), value);
  }

  #hasName(serial: number, buf: Uint8Array, nameStart: number, nameEnd: number): boolean {
    const table = this.#table;
    const entry = table.bufferOf(serial);
    const start = table.nameStartOf(serial);
    if (table.nameEndOf(serial) - start !== nameEnd - nameStart) return false;
    for (let i = 0; i < nameEnd - nameStart; i++)
      if (entry[start + i] !== TOKEN_LOWER[buf[nameStart + i]!]) return false;
    return true;
  }

  #remember(id: NameId, buf: Uint8Array, valueStart: number, serial: number): void {
    if (id === 0) return;
    const slot = memoSlot(id, valueStart);
    this.#memoBuf[slot] = buf;
    this.#memoStart[slot] = valueStart;
    this.#memoId[slot] = id;
    this.#memoSerial[slot] = serial;
  }
}

const staticStatusIndex: ReadonlyMap<number, number> = new Map(
  [200, 204, 206, 304, 400, 404, 500].map((status, i) => [status, StaticIndex.status200 + i]),
);

function memoSlot(id: NameId, valueStart: number): number {
  return (valueStart * 31 + id) & (MEMO_SLOTS - 1);
}

function isSensitive(id: NameId, valueLength: number): boolean {
  return (
    id === AUTHORIZATION || id === PROXY_AUTHORIZATION || (id === COOKIE && valueLength < SHORT_COOKIE_BYTES)
  );
}
