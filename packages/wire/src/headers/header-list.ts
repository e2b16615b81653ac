/**
 * A reusable list of header fields that are offsets into received buffers, not strings.
 *
 * Entries keep order and case and may live in different buffers (HTTP/1 chunks, an HPACK arena).
 * Edits are written as complete lines into a scratch buffer of the list and replace or follow
 * entries there, so readers and writers treat received and edited fields alike. `lineEnd` of an entry
 * (offset after its CRLF) lets a writer copy a run of adjacent lines with one copy; 0 means that the
 * octets around name and value are not an HTTP/1 line.
 * Ownership: buffers belong to whoever pushed them and must not be rewritten while the list is in use.
 * Invariant: no value in the list holds CR, LF or NUL (pushers validate, `set`/`append` refuse).
 */
import {
  COLON,
  CR,
  EMPTY_BYTES,
  LF,
  SP,
  bytesEqual,
  decodeLatin1,
  isFieldValue,
  isToken,
  tokenEquals,
  writeLatin1,
} from './bytes.ts';
import { findNameId, internedNameCount, lookupNameId, nameOf, type NameId } from './names.ts';

const STRIDE = 8;
const ID = 0;
const BUFFER = 1;
const NAME_START = 2;
const NAME_END = 3;
const VALUE_START = 4;
const VALUE_END = 5;
const LINE_END = 6;
const FLAGS = 7;

/** In an entry's flags: HPACK never indexes it, here and at whoever it is forwarded to (RFC 7541 §6.2.3). */
export const FIELD_SENSITIVE = 1;
/** In an entry's flags: its octets are those of an HPACK table and stay as they are for good. */
export const FIELD_RESIDENT = 2;

const PRIMARY = 0;
const SCRATCH = 1;
const FIRST_OTHER = 2;

/** Entries a list holds at first; most heads have fewer. */
const INITIAL_ENTRIES = 16;
/** Hard cap on entries, above every configurable header count limit. */
export const MAX_LIST_ENTRIES = 4096;
/** Hard cap on octets written by edits, so that no policy can grow a head without bound. */
export const MAX_EDIT_BYTES = 256 * 1024;
/** Scratch space larger than this is given back on reset, so that idle connections stay small. */
const KEPT_SCRATCH_BYTES = 1024;

export class HeaderList {
  #entries = new Int32Array(INITIAL_ENTRIES * STRIDE);
  #count = 0;
  /** One bit per (id & 31): a clear bit proves that no entry has that id. */
  #idMask = 0;
  #knownNames = 0;
  #isEdited = false;
  #primary: Uint8Array = EMPTY_BYTES;
  #scratch: Uint8Array = EMPTY_BYTES;
  #scratchLength = 0;
  #others: Uint8Array[] | undefined = undefined;

  constructor() {
    this.#knownNames = internedNameCount();
  }

  get count(): number {
    return this.#count;
  }

  /** True once a field was set, appended or removed since `reset`. */
  get isEdited(): boolean {
    return this.#isEdited;
  }

  /** Octets of all fields as HTTP/1 lines (name, colon, space, value, CRLF). */
  get byteSize(): number {
    const entries = this.#entries;
    let size = 0;
    for (let at = 0, end = this.#count * STRIDE; at < end; at += STRIDE) {
      size +=
        entries[at + NAME_END]! -
        entries[at + NAME_START]! +
        entries[at + VALUE_END]! -
        entries[at + VALUE_START]! +
        4;
    }
    return size;
  }

  /** Empties the list and lets go of all received buffers. */
  reset(): void {
    this.#count = 0;
    this.#idMask = 0;
    this.#knownNames = internedNameCount();
    this.#isEdited = false;
    this.#primary = EMPTY_BYTES;
    this.#scratchLength = 0;
    if (this.#scratch.length > KEPT_SCRATCH_BYTES) this.#scratch = EMPTY_BYTES;
    if (this.#others !== undefined) this.#others.length = 0;
    if (this.#entries.length > 8 * INITIAL_ENTRIES * STRIDE)
      this.#entries = new Int32Array(INITIAL_ENTRIES * STRIDE);
  }

  /**
   * Adds a received field; name and value have been validated by the caller. `lineEnd` is the offset
   * after the CRLF of its HTTP/1 line, 0 if there is none. Returns false at the hard cap.
   */
  push(
    id: NameId,
    buf: Uint8Array,
    nameStart: number,
    nameEnd: number,
    valueStart: number,
    valueEnd: number,
    lineEnd = 0,
    flags = 0,
  ): boolean {
    const at = this.#count * STRIDE;
    if (at === this.#entries.length && !this.#grow()) return false;
    const entries = this.#entries;
    entries[at + ID] = id;
    entries[at + BUFFER] = buf === this.#primary ? PRIMARY : this.#bufferIndex(buf);
    entries[at + NAME_START] = nameStart;
    entries[at + NAME_END] = nameEnd;
    entries[at + VALUE_START] = valueStart;
    entries[at + VALUE_END] = valueEnd;
    entries[at + LINE_END] = lineEnd;
    entries[at + FLAGS] = flags;
    this.#idMask |= 1 << (id & 31);
    this.#count++;
    return true;
  }

  /** Moves every entry of the primary buffer by `delta` into `buf`, which holds the same octets there. */
  rebase(buf: Uint8Array, delta: number): void {
    const entries = this.#entries;
    for (let at = 0, end = this.#count * STRIDE; at < end; at += STRIDE) {
      if (entries[at + BUFFER] !== PRIMARY) continue;
      for (let field = NAME_START; field <= VALUE_END; field++) entries[at + field]! += delta;
      if (entries[at + LINE_END] !== 0) entries[at + LINE_END]! += delta;
    }
    this.#primary = buf;
  }

  nameIdAt(index: number): NameId {
    return this.#entries[index * STRIDE + ID]!;
  }
  nameStartAt(index: number): number {
    return this.#entries[index * STRIDE + NAME_START]!;
  }
  nameEndAt(index: number): number {
    return this.#entries[index * STRIDE + NAME_END]!;
  }
  valueStartAt(index: number): number {
    return this.#entries[index * STRIDE + VALUE_START]!;
  }
  valueEndAt(index: number): number {
    return this.#entries[index * STRIDE + VALUE_END]!;
  }
  /** Offset after the CRLF of the entry's line in its buffer; 0 if the entry is not a line. */
  lineEndAt(index: number): number {
    return this.#entries[index * STRIDE + LINE_END]!;
  }
  /** FIELD_SENSITIVE and FIELD_RESIDENT. */
  flagsAt(index: number): number {
    return this.#entries[index * STRIDE + FLAGS]!;
  }
  bufferAt(index: number): Uint8Array {
    const which = this.#entries[index * STRIDE + BUFFER]!;
    if (which === PRIMARY) return this.#primary;
    return which === SCRATCH ? this.#scratch : this.#others![which - FIRST_OTHER]!;
  }
  /** The name as received or as set, with its case. */
  nameAt(index: number): string {
    return decodeLatin1(this.bufferAt(index), this.nameStartAt(index), this.nameEndAt(index));
  }
  valueAt(index: number): string {
    return decodeLatin1(this.bufferAt(index), this.valueStartAt(index), this.valueEndAt(index));
  }

  /** Index of the first entry of this id at or after `from`, -1 if there is none. */
  indexOf(id: NameId, from = 0): number {
    if (id <= 0) return -1;
    if (id >= this.#knownNames) return this.#indexOfName(nameOf(id), from);
    if ((this.#idMask & (1 << (id & 31))) === 0) return -1;
    const entries = this.#entries;
    for (let at = from * STRIDE, end = this.#count * STRIDE; at < end; at += STRIDE) {
      if (entries[at + ID] === id) return at / STRIDE;
    }
    return -1;
  }

  has(id: NameId): boolean {
    return this.indexOf(id) >= 0;
  }
  /** First value of this id as a byte string. */
  get(id: NameId): string | undefined {
    const index = this.indexOf(id);
    return index < 0 ? undefined : this.valueAt(index);
  }
  /** First value of a lower-case name, interned or not. */
  getByName(lower: string): string | undefined {
    const index = this.#find(lower, 0);
    return index < 0 ? undefined : this.valueAt(index);
  }
  getAll(name: NameId | string): string[] {
    const values: string[] = [];
    for (let i = this.#find(name, 0); i >= 0; i = this.#find(name, i + 1)) values.push(this.valueAt(i));
    return values;
  }
  /** All values of this id as one, comma-joined (RFC 9110 §5.3); undefined if there is none. */
  joined(name: NameId | string): string | undefined {
    const first = this.#find(name, 0);
    if (first < 0) return undefined;
    let value = this.valueAt(first);
    for (let i = this.#find(name, first + 1); i >= 0; i = this.#find(name, i + 1))
      value += ',' + this.valueAt(i);
    return value;
  }
  /** True if the first value of this id is exactly `ascii`; makes no string. */
  valueEquals(id: NameId, ascii: string): boolean {
    const index = this.indexOf(id);
    return (
      index >= 0 && bytesEqual(this.bufferAt(index), this.valueStartAt(index), this.valueEndAt(index), ascii)
    );
  }

  /** Gives the first entry of this name a new value, removes the others, or appends one. False if refused. */
  set(name: NameId | string, value: string): boolean {
    const index = this.#find(name, 0);
    if (index < 0) return this.append(name, value);
    if (!this.setAt(index, value)) return false;
    for (let i = this.#find(name, index + 1); i >= 0; i = this.#find(name, i)) this.removeAt(i);
    return true;
  }

  /** Gives one entry a new value; its name keeps its case. False if the value may not stand in a header. */
  setAt(index: number, value: string): boolean {
    if (index < 0 || index >= this.#count || !isFieldValue(value)) return false;
    const nameLength = this.nameEndAt(index) - this.nameStartAt(index);
    if (!this.#reserveScratch(nameLength + value.length + 4)) return false;
    const start = this.#scratchLength;
    const nameEnd = copyBytes(
      this.bufferAt(index),
      this.nameStartAt(index),
      this.nameEndAt(index),
      this.#scratch,
      start,
    );
    this.#finishLine(index, this.nameIdAt(index), start, nameEnd, value);
    return true;
  }

  /** Adds a field at the end. False if name or value may not stand in a header, or at a cap. */
  append(name: NameId | string, value: string): boolean {
    const text = typeof name === 'string' ? name : nameOf(name);
    if (!isFieldValue(value) || (typeof name === 'string' ? !isToken(name) : text === '')) return false;
    if (this.#count * STRIDE === this.#entries.length && !this.#grow()) return false;
    if (!this.#reserveScratch(text.length + value.length + 4)) return false;
    const start = this.#scratchLength;
    const nameEnd = writeLatin1(this.#scratch, start, text);
    const id = typeof name === 'string' ? lookupNameId(this.#scratch, start, nameEnd) : name;
    this.#entries[this.#count * STRIDE + FLAGS] = 0;
    this.#count++;
    this.#idMask |= 1 << (id & 31);
    this.#finishLine(this.#count - 1, id, start, nameEnd, value);
    return true;
  }

  /** Removes every field of this name; returns how many there were. */
  remove(name: NameId | string): number {
    let removed = 0;
    for (let i = this.#find(name, 0); i >= 0; i = this.#find(name, i)) {
      this.removeAt(i);
      removed++;
    }
    return removed;
  }

  removeAt(index: number): void {
    if (index < 0 || index >= this.#count) return;
    this.#entries.copyWithin(index * STRIDE, (index + 1) * STRIDE, this.#count * STRIDE);
    this.#count--;
    this.#isEdited = true;
  }

  /** Continues an entry's value after one space: a folded line of a response. False at the cap. */
  extendValueAt(index: number, buf: Uint8Array, start: number, end: number): boolean {
    const value = this.valueAt(index);
    const more = decodeLatin1(buf, start, end);
    return this.setAt(index, value === '' || more === '' ? value + more : value + ' ' + more);
  }

  forEach(fn: (name: string, value: string, id: NameId) => void): void {
    for (let i = 0; i < this.#count; i++) fn(this.nameAt(i), this.valueAt(i), this.nameIdAt(i));
  }

  /** Makes `other` an independent copy: all octets are copied, nothing received is referred to. */
  copyTo(other: HeaderList): void {
    other.reset();
    const copy = new Uint8Array(this.byteSize);
    let at = 0;
    for (let i = 0; i < this.#count; i++) {
      const source = this.bufferAt(i);
      const nameStart = at;
      at = copyBytes(source, this.nameStartAt(i), this.nameEndAt(i), copy, at);
      const nameEnd = at;
      copy[at] = COLON;
      copy[at + 1] = SP;
      const valueStart = at + 2;
      at = copyBytes(source, this.valueStartAt(i), this.valueEndAt(i), copy, valueStart);
      copy[at] = CR;
      copy[at + 1] = LF;
      at += 2;
      const flags = this.flagsAt(i) & FIELD_SENSITIVE;
      other.push(this.nameIdAt(i), copy, nameStart, nameEnd, valueStart, at - 2, at, flags);
    }
    other.#isEdited = this.#isEdited;
    other.#knownNames = this.#knownNames;
  }

  #finishLine(index: number, id: NameId, nameStart: number, nameEnd: number, value: string): void {
    const scratch = this.#scratch;
    scratch[nameEnd] = COLON;
    scratch[nameEnd + 1] = SP;
    const valueEnd = writeLatin1(scratch, nameEnd + 2, value);
    scratch[valueEnd] = CR;
    scratch[valueEnd + 1] = LF;
    this.#scratchLength = valueEnd + 2;
    const entries = this.#entries;
    const at = index * STRIDE;
    entries[at + ID] = id;
    entries[at + BUFFER] = SCRATCH;
    entries[at + NAME_START] = nameStart;
    entries[at + NAME_END] = nameEnd;
    entries[at + VALUE_START] = nameEnd + 2;
    entries[at + VALUE_END] = valueEnd;
    entries[at + LINE_END] = valueEnd + 2;
    entries[at + FLAGS]! &= FIELD_SENSITIVE;
    this.#isEdited = true;
  }

  #find(name: NameId | string, from: number): number {
    if (typeof name === 'number') return this.indexOf(name, from);
    const lower = name.toLowerCase();
    const id = findNameId(lower);
    return id !== 0 ? this.indexOf(id, from) : this.#indexOfName(lower, from);
  }

  #indexOfName(lower: string, from: number): number {
    if (lower === '') return -1;
    for (let i = from; i < this.#count; i++) {
      if (tokenEquals(this.bufferAt(i), this.nameStartAt(i), this.nameEndAt(i), lower)) return i;
    }
    return -1;
  }

  #bufferIndex(buf: Uint8Array): number {
    if (this.#count === 0 || this.#primary === EMPTY_BYTES) {
      this.#primary = buf;
      return PRIMARY;
    }
    const others = (this.#others ??= []);
    let index = others.lastIndexOf(buf);
    if (index < 0) index = others.push(buf) - 1;
    return FIRST_OTHER + index;
  }

  #grow(): boolean {
    if (this.#count >= MAX_LIST_ENTRIES) return false;
    const grown = new Int32Array(this.#entries.length * 2);
    grown.set(this.#entries);
    this.#entries = grown;
    return true;
  }

  #reserveScratch(bytes: number): boolean {
    const needed = this.#scratchLength + bytes;
    if (needed > MAX_EDIT_BYTES) return false;
    if (needed <= this.#scratch.length) return true;
    const grown = new Uint8Array(Math.max(256, needed, this.#scratch.length * 2));
    grown.set(this.#scratch.subarray(0, this.#scratchLength));
    this.#scratch = grown;
    return true;
  }
}

function copyBytes(from: Uint8Array, start: number, end: number, to: Uint8Array, at: number): number {
  for (let i = start; i < end; i++) to[at + i - start] = from[i]!;
  return at + end - start;
}
