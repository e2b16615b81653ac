/**
 * Pseudo-header fields of a received head: ranges of octets, made strings when asked for.
 *
 * Authority and path mostly come from the HPACK table, at the same place each time: the last string is kept
 * with its place, so that a repeated value costs no new one.
 */
import { EMPTY_BYTES, decodeLatin1 } from '../headers/bytes.ts';
import { readMethod } from '../h1/methods.ts';
import { TABLE_CHUNK_BYTES } from './hpack/dynamic-table.ts';
import type { H2Pseudo } from './stream-types.ts';

/** A value by its place; `text` is null until it is asked for. */
class LazyText {
  buf: Uint8Array = EMPTY_BYTES;
  start = 0;
  end = 0;
  #text: string | null = '';

  set(buf: Uint8Array, start: number, end: number): void {
    // Octets that were read are never rewritten, so the same place is the same text.
    if (this.buf === buf && this.start === start && this.end === end) return;
    this.buf = buf;
    this.start = start;
    this.end = end;
    this.#text = null;
  }

  /** Lets go of a buffer larger than a table's: a received chunk must not be held by an idle stream. */
  release(): void {
    if (this.buf.length > TABLE_CHUNK_BYTES) this.set(EMPTY_BYTES, 0, 0);
  }

  get(): string {
    return (this.#text ??= decodeLatin1(this.buf, this.start, this.end));
  }
}

/** Bits of `present`. */
export const HAS_METHOD = 1;
export const HAS_SCHEME = 2;
export const HAS_AUTHORITY = 4;
export const HAS_PATH = 8;
export const HAS_PROTOCOL = 16;
export const HAS_STATUS = 32;

export class PseudoFields implements H2Pseudo {
  /** Which fields the head had. */
  present = 0;
  status = 0;
  method = '';
  readonly schemeText = new LazyText();
  readonly authorityText = new LazyText();
  readonly pathText = new LazyText();
  readonly protocolText = new LazyText();

  get scheme(): string {
    return (this.present & HAS_SCHEME) === 0 ? '' : this.schemeText.get();
  }
  get authority(): string {
    return (this.present & HAS_AUTHORITY) === 0 ? '' : this.authorityText.get();
  }
  get path(): string {
    return (this.present & HAS_PATH) === 0 ? '' : this.pathText.get();
  }
  get protocol(): string {
    return (this.present & HAS_PROTOCOL) === 0 ? '' : this.protocolText.get();
  }

  setMethod(buf: Uint8Array, start: number, end: number): void {
    this.method = readMethod(buf, start, end);
  }

  reset(): void {
    this.present = 0;
    this.status = 0;
    this.method = '';
    this.schemeText.release();
    this.authorityText.release();
    this.pathText.release();
    this.protocolText.release();
  }
}
