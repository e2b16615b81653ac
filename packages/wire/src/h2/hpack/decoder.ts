/**
 * Decodes header blocks (RFC 7541) into a sink that gets offsets, not strings.
 *
 * An indexed field costs no copy: tables are immutable memory and the sink may keep references. A literal
 * is decoded into the table's arena if it enters the table, else into an arena of its own.
 * A peer's octets never make it throw; what cannot be decoded ends the connection (§2.1: COMPRESSION_ERROR),
 * because the table is then unknown.
 */
import { copyOctets } from '../../headers/bytes.ts';
import { FIELD_RESIDENT, FIELD_SENSITIVE } from '../../headers/header-list.ts';
import { internedNameCount, lookupNameId, type NameId } from '../../headers/names.ts';
import { DynamicTable, TABLE_CHUNK_BYTES } from './dynamic-table.ts';
import { CLASS_MASK, FIRST_PSEUDO, fieldClassOf, valueFlag } from './field-class.ts';
import { decodeHuffman, huffmanDecodedBound } from './huffman.ts';
import { OctetArena } from './octet-arena.ts';
import {
  STATIC_COUNT,
  staticBytes,
  staticClass,
  staticNameEnd,
  staticNameId,
  staticNameStart,
  staticValueEnd,
} from './static-table.ts';

export interface FieldSink {
  /**
   * One decoded field. `fieldClass` is of FieldClass, with INVALID_VALUE beside it where it applies. Of
   * pseudo-header fields the name may be missing (nameStart = nameEnd).
   */
  field(
    fieldClass: number,
    id: NameId,
    buf: Uint8Array,
    nameStart: number,
    nameEnd: number,
    valueStart: number,
    valueEnd: number,
    flags: number,
  ): void;
}

/** RFC 7541 §4.2 with RFC 9113 §6.5.2: what both sides begin with. */
export const DEFAULT_TABLE_BYTES = 4096;
/** Chunks for literals that enter no table. */
const LITERAL_CHUNK_BYTES = 8192;
/** Continuation octets of an integer: values up to 2^28, above every length and index there can be. */
const MAX_INTEGER_SHIFT = 28;

export class HpackDecoder {
  /** Why decoding failed, for the log; '' if it has not. */
  failure = '';
  readonly #table = new DynamicTable(DEFAULT_TABLE_BYTES);
  readonly #literals = new OctetArena(LITERAL_CHUNK_BYTES);
  /** What we allow: the acknowledged SETTINGS_HEADER_TABLE_SIZE. */
  #limitBytes = DEFAULT_TABLE_BYTES;
  /** The limit fell below the table's size: the next block begins with an update (§4.2). */
  #needsUpdate = false;
  #buf: Uint8Array = staticBytes;
  #at = 0;
  #end = 0;
  #isStable = false;
  /** The string literal at hand begins here, and is Huffman-coded. */
  #stringStart = 0;
  #isCoded = false;

  get tableByteCount(): number {
    return this.#table.byteCount;
  }

  /** The peer has acknowledged our SETTINGS_HEADER_TABLE_SIZE. */
  setLimit(bytes: number): void {
    this.#limitBytes = bytes;
    if (bytes < this.#table.maxBytes) this.#needsUpdate = true;
  }

  /** Decodes one whole block; false once decoding has failed. `isStable`: `buf` is never rewritten. */
  decode(buf: Uint8Array, start: number, end: number, isStable: boolean, sink: FieldSink): boolean {
    this.#buf = buf;
    this.#at = start;
    this.#end = end;
    this.#isStable = isStable;
    const isDecoded = this.#readUpdates() && this.#readFields(sink);
    this.#buf = staticBytes;
    this.#literals.trim();
    return isDecoded;
  }

  /** Updates stand before the first field only, at most two of them (§4.2). */
  #readUpdates(): boolean {
    let updates = 0;
    while (this.#at < this.#end && (this.#buf[this.#at]! & 0xe0) === 0x20) {
      const size = this.#readInteger(0x1f);
      if (size < 0) return false;
      if (++updates > 2) return this.#fail('more than two table size updates');
      if (size > this.#limitBytes) return this.#fail('table size update above the limit');
      this.#table.resize(size);
      if (size <= this.#limitBytes) this.#needsUpdate = false;
    }
    return this.#needsUpdate ? this.#fail('table size update missing') : true;
  }

  #readFields(sink: FieldSink): boolean {
    while (this.#at < this.#end) {
      const first = this.#buf[this.#at]!;
      if (first >= 0x80) {
        const index = this.#readInteger(0x7f);
        if (index <= 0 || !this.#emitIndexed(index, sink)) return this.#fail('index outside of the tables');
      } else if (first >= 0x40) {
        if (!this.#readLiteral(0x3f, true, 0, sink)) return false;
      } else if (first >= 0x20) {
        return this.#fail('table size update after a field');
      } else if (!this.#readLiteral(0x0f, false, first >= 0x10 ? FIELD_SENSITIVE : 0, sink)) {
        return false;
      }
    }
    return true;
  }

  #emitIndexed(index: number, sink: FieldSink): boolean {
    if (index <= STATIC_COUNT) {
      const nameEnd = staticNameEnd[index]!;
      sink.field(
        staticClass[index]!,
        staticNameId[index]!,
        staticBytes,
        staticNameStart[index]!,
        nameEnd,
        nameEnd,
        staticValueEnd[index]!,
        FIELD_RESIDENT,
      );
      return true;
    }
    const table = this.#table;
    const serial = table.nextSerial - (index - STATIC_COUNT);
    if (serial < table.oldestSerial) return false;
    sink.field(
      table.classOf(serial),
      this.#nameIdOf(serial),
      table.bufferOf(serial),
      table.nameStartOf(serial),
      table.nameEndOf(serial),
      table.valueStartOf(serial),
      table.valueEndOf(serial),
      FIELD_RESIDENT,
    );
    return true;
  }

  #readLiteral(prefix: number, isIndexed: boolean, flags: number, sink: FieldSink): boolean {
    const index = this.#readInteger(prefix);
    if (index < 0) return false;
    const table = this.#table;
    const serial = table.nextSerial - (index - STATIC_COUNT);
    if (index > STATIC_COUNT && serial < table.oldestSerial) return this.#fail('index outside of the tables');
    let nameFrom = 0;
    let nameTo = 0;
    let isNameCoded = false;
    if (index === 0) {
      if (!this.#openString()) return false;
      nameFrom = this.#stringStart;
      nameTo = this.#at;
      isNameCoded = this.#isCoded;
    }
    if (!this.#openString()) return false;
    if (index > 0 && index <= STATIC_COUNT && !isIndexed && !this.#isCoded && this.#isStable) {
      const known = staticClass[index]!;
      if (known >= FIRST_PSEUDO) {
        // Nobody reads the name of a pseudo-header field: its value is referred to where it stands.
        const from = this.#stringStart;
        sink.field(
          known | valueFlag(this.#buf, from, this.#at),
          0,
          this.#buf,
          from,
          from,
          from,
          this.#at,
          flags,
        );
        return true;
      }
    }
    const bound = this.#entryBound(index, serial, isNameCoded, nameTo - nameFrom);
    // An entry larger than a chunk is not kept where it would hold a large chunk for the table's lifetime.
    const arena = isIndexed && bound <= TABLE_CHUNK_BYTES ? table.arena : this.#literals;
    arena.reserve(bound);
    const { buf, length: nameStart } = arena;
    let nameEnd: number;
    let fieldClass: number;
    let id: NameId;
    if (index === 0) {
      nameEnd = this.#decodeString(isNameCoded, nameFrom, nameTo, buf, nameStart);
      if (nameEnd < 0) return false;
      fieldClass = fieldClassOf(buf, nameStart, nameEnd);
      id = fieldClass < FIRST_PSEUDO ? lookupNameId(buf, nameStart, nameEnd) : 0;
    } else if (index <= STATIC_COUNT) {
      nameEnd = copyOctets(staticBytes, staticNameStart[index]!, staticNameEnd[index]!, buf, nameStart);
      fieldClass = staticClass[index]!;
      id = staticNameId[index]!;
    } else {
      const from = table.bufferOf(serial);
      nameEnd = copyOctets(from, table.nameStartOf(serial), table.nameEndOf(serial), buf, nameStart);
      fieldClass = table.classOf(serial) & CLASS_MASK;
      id = this.#nameIdOf(serial);
    }
    const valueEnd = this.#decodeString(this.#isCoded, this.#stringStart, this.#at, buf, nameEnd);
    if (valueEnd < 0) return false;
    arena.length = valueEnd;
    fieldClass |= valueFlag(buf, nameEnd, valueEnd);
    if (isIndexed) {
      table.insert(buf, nameStart, nameEnd, nameEnd, valueEnd, id, fieldClass, internedNameCount());
      flags |= FIELD_RESIDENT;
    }
    sink.field(fieldClass, id, buf, nameStart, nameEnd, nameEnd, valueEnd, flags);
    return true;
  }

  /** The most octets that name and value of the literal at hand can decode to. */
  #entryBound(index: number, serial: number, isNameCoded: boolean, nameLength: number): number {
    const length = this.#at - this.#stringStart;
    const value = this.#isCoded ? huffmanDecodedBound(length) : length;
    if (index === 0) return value + (isNameCoded ? huffmanDecodedBound(nameLength) : nameLength);
    if (index <= STATIC_COUNT) return value + staticNameEnd[index]! - staticNameStart[index]!;
    return value + this.#table.nameEndOf(serial) - this.#table.nameStartOf(serial);
  }

  /** Passes over a string literal (§5.2): it is from `#stringStart` to `#at` afterwards. */
  #openString(): boolean {
    if (this.#at >= this.#end) return this.#fail('block ends within a field');
    this.#isCoded = this.#buf[this.#at]! >= 0x80;
    const length = this.#readInteger(0x7f);
    if (length < 0) return false;
    this.#stringStart = this.#at;
    this.#at += length;
    return this.#at <= this.#end || this.#fail('string longer than its block');
  }

  /** The offset after the decoded octets, -1 if they are no Huffman code. */
  #decodeString(isCoded: boolean, from: number, to: number, out: Uint8Array, at: number): number {
    if (!isCoded) return copyOctets(this.#buf, from, to, out, at);
    const end = decodeHuffman(this.#buf, from, to, out, at);
    if (end < 0) this.#fail('invalid Huffman code');
    return end;
  }

  /** An integer (§5.1) whose first octet is here; -1 if it is cut off or too large. */
  #readInteger(prefix: number): number {
    const buf = this.#buf;
    let value = buf[this.#at++]! & prefix;
    if (value < prefix) return value;
    for (let shift = 0; shift < MAX_INTEGER_SHIFT; shift += 7) {
      if (this.#at >= this.#end) {
        this.#fail('block ends within an integer');
        return -1;
      }
      const octet = buf[this.#at++]!;
      value += (octet & 0x7f) << shift;
      if (octet < 0x80) return value;
    }
    this.#fail('integer too large');
    return -1;
  }

  /** Names are interned by configuration at any time: one that was unknown may be known by now. */
  #nameIdOf(serial: number): NameId {
    const table = this.#table;
    const id = table.nameIdOf(serial);
    if (id !== 0 || table.classOf(serial) >= FIRST_PSEUDO) return id;
    const known = internedNameCount();
    if (table.knownNamesOf(serial) === known) return 0;
    const found = lookupNameId(table.bufferOf(serial), table.nameStartOf(serial), table.nameEndOf(serial));
    table.setNameId(serial, found, known);
    return found;
  }

  #fail(why: string): false {
    if (this.failure === '') this.failure = why;
    return false;
  }
}
