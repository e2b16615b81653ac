/**
 * The dynamic table of either direction (RFC 7541 §2.3.2, §4): a ring of entries in the order of insertion.
 *
 * Entries are known by their serial, which never changes, unlike their index. Their octets lie in an arena
 * of their own and are never rewritten, so that lists keep referring to them after eviction; as the oldest
 * go first, the live ones lie in a few adjacent chunks however a peer mixes its literals.
 * Invariant: `byteCount` ≤ `maxBytes`, counting 32 octets an entry beside its own (§4.1).
 */
import { OctetArena } from './octet-arena.ts';

/** RFC 7541 §4.1. */
export const ENTRY_OVERHEAD_BYTES = 32;
/** Chunks of the table's arena. */
export const TABLE_CHUNK_BYTES = 4096;
const INITIAL_ENTRIES = 16;
const STRIDE = 8;
const NAME_START = 0;
const NAME_END = 1;
const VALUE_START = 2;
const VALUE_END = 3;
const NAME_ID = 4;
const CLASS = 5;
/** How many names were interned when NAME_ID was looked up: a 0 may be outdated. */
const KNOWN_NAMES = 6;

export class DynamicTable {
  readonly arena = new OctetArena(TABLE_CHUNK_BYTES);
  /** Serial of the next entry; the newest has `nextSerial - 1`. */
  nextSerial = 0;
  oldestSerial = 0;
  byteCount = 0;
  maxBytes: number;
  #entries = new Int32Array(INITIAL_ENTRIES * STRIDE);
  #buffers: Uint8Array[] = [];
  #mask = INITIAL_ENTRIES - 1;

  constructor(maxBytes: number) {
    this.maxBytes = maxBytes;
  }

  get count(): number {
    return this.nextSerial - this.oldestSerial;
  }

  /** Evicts what no longer fits (§4.3). */
  resize(maxBytes: number): void {
    this.maxBytes = maxBytes;
    this.#evictTo(maxBytes);
  }

  /** Adds an entry whose octets lie in the arena. One larger than the table empties it (§4.4). */
  insert(
    buf: Uint8Array,
    nameStart: number,
    nameEnd: number,
    valueStart: number,
    valueEnd: number,
    nameId: number,
    fieldClass: number,
    knownNames: number,
  ): void {
    const size = nameEnd - nameStart + valueEnd - valueStart + ENTRY_OVERHEAD_BYTES;
    this.#evictTo(this.maxBytes - size);
    if (size > this.maxBytes) return;
    if (this.count > this.#mask) this.#grow();
    const slot = this.nextSerial & this.#mask;
    const at = slot * STRIDE;
    const entries = this.#entries;
    entries[at + NAME_START] = nameStart;
    entries[at + NAME_END] = nameEnd;
    entries[at + VALUE_START] = valueStart;
    entries[at + VALUE_END] = valueEnd;
    entries[at + NAME_ID] = nameId;
    entries[at + CLASS] = fieldClass;
    entries[at + KNOWN_NAMES] = knownNames;
    this.#buffers[slot] = buf;
    this.byteCount += size;
    this.nextSerial++;
  }

  bufferOf(serial: number): Uint8Array {
    return this.#buffers[serial & this.#mask]!;
  }
  nameStartOf(serial: number): number {
    return this.#entries[(serial & this.#mask) * STRIDE + NAME_START]!;
  }
  nameEndOf(serial: number): number {
    return this.#entries[(serial & this.#mask) * STRIDE + NAME_END]!;
  }
  valueStartOf(serial: number): number {
    return this.#entries[(serial & this.#mask) * STRIDE + VALUE_START]!;
  }
  valueEndOf(serial: number): number {
    return this.#entries[(serial & this.#mask) * STRIDE + VALUE_END]!;
  }
  nameIdOf(serial: number): number {
    return this.#entries[(serial & this.#mask) * STRIDE + NAME_ID]!;
  }
  classOf(serial: number): number {
    return this.#entries[(serial & this.#mask) * STRIDE + CLASS]!;
  }
  knownNamesOf(serial: number): number {
    return this.#entries[(serial & this.#mask) * STRIDE + KNOWN_NAMES]!;
  }
  setNameId(serial: number, nameId: number, knownNames: number): void {
    const at = (serial & this.#mask) * STRIDE;
    this.#entries[at + NAME_ID] = nameId;
    this.#entries[at + KNOWN_NAMES] = knownNames;
  }

  #evictTo(byteCount: number): void {
    while (this.byteCount > byteCount && this.oldestSerial < this.nextSerial) {
      const serial = this.oldestSerial++;
      this.byteCount -=
        this.nameEndOf(serial) -
        this.nameStartOf(serial) +
        this.valueEndOf(serial) -
        this.valueStartOf(serial) +
        ENTRY_OVERHEAD_BYTES;
    }
  }

  #grow(): void {
    const mask = this.#mask * 2 + 1;
    const entries = new Int32Array((mask + 1) * STRIDE);
    const buffers: Uint8Array[] = [];
    for (let slot = 0; slot <= mask; slot++) buffers.push(this.arena.buf);
    for (let serial = this.oldestSerial; serial < this.nextSerial; serial++) {
      const from = (serial & this.#mask) * STRIDE;
      entries.set(this.#entries.subarray(from, from + STRIDE), (serial & mask) * STRIDE);
      buffers[serial & mask] = this.bufferOf(serial);
    }
    this.#entries = entries;
    this.#buffers = buffers;
    this.#mask = mask;
  }
}
