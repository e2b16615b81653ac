/**
 * Field lines (RFC 9112 §5), of heads and of trailer sections: octets in, entries of a HeaderList out.
 *
 * One pass over each line validates and finds its parts. An error is reported only once its line is
 * complete or a limit is passed, so that the outcome never depends on how the octets were split.
 * Invariant: after NEED_MORE, `position` is the start of the first line not yet read.
 */
import type { WireErrorCode } from '../errors.ts';
import { COLON, CR, FIELD_VALUE, HTAB, LF, SP, TOKEN_LOWER } from '../headers/bytes.ts';
import type { HeaderList } from '../headers/header-list.ts';
import { lookupNameId } from '../headers/names.ts';

/** The octets end before the construct does. */
export const NEED_MORE = -1;
/** The peer made a mistake; `failure` of the reader says which. */
export const FAILED = -2;

export interface FieldSectionLimits {
  readonly maxBytes: number;
  readonly maxCount: number;
  readonly tooLarge: WireErrorCode;
  readonly tooMany: WireErrorCode;
  /** Responses: a folded line continues the value after a space (RFC 9112 §5.2). Elsewhere it is refused. */
  readonly unfolds: boolean;
}

export class FieldSection {
  position = 0;
  failure: WireErrorCode = 'h1-header-name-invalid';
  #start = 0;
  readonly #list: HeaderList;
  readonly #limits: FieldSectionLimits;

  constructor(list: HeaderList, limits: FieldSectionLimits) {
    this.#list = list;
    this.#limits = limits;
  }

  begin(at: number): void {
    this.#start = at;
    this.position = at;
  }

  /** Offset from which on the section would be too large, whatever follows. */
  get limitOffset(): number {
    return this.#start + this.#limits.maxBytes;
  }

  /** The octets read so far now lie in `buf`, `delta` further on. */
  rebase(buf: Uint8Array, delta: number): void {
    this.#start += delta;
    this.position += delta;
    this.#list.rebase(buf, delta);
  }

  /** Reads lines up to and including the empty one; returns the offset after it, NEED_MORE or FAILED. */
  read(buf: Uint8Array, end: number): number {
    const list = this.#list;
    const limitOffset = this.#start + this.#limits.maxBytes;
    let line = this.position;
    while (line < end) {
      let at = line;
      while (at < end && TOKEN_LOWER[buf[at]!] !== 0) at++;
      if (at >= end) break;
      if (at === line || buf[at] !== COLON) {
        if (at === line && buf[at] === CR) return this.#readEmptyLine(buf, end);
        if (at !== line || !this.#limits.unfolds || (buf[at] !== SP && buf[at] !== HTAB))
          return this.#badName(buf, at, end);
        line = this.#unfold(buf, end);
        if (line < 0) return line;
        this.position = line;
        continue;
      }
      const nameEnd = at++;
      while (at < end && (buf[at] === SP || buf[at] === HTAB)) at++;
      const valueStart = at;
      while (at < end && FIELD_VALUE[buf[at]!] !== 0) at++;
      if (at + 1 >= end || buf[at] !== CR || buf[at + 1] !== LF) {
        if (at >= end || (buf[at] === CR && at + 1 >= end)) break;
        return this.#fail(valueFailure(buf[at]!), buf, end);
      }
      let valueEnd = at;
      while (valueEnd > valueStart && (buf[valueEnd - 1] === SP || buf[valueEnd - 1] === HTAB)) valueEnd--;
      at += 2;
      if (at > limitOffset) return this.#refuse(this.#limits.tooLarge);
      if (list.count >= this.#limits.maxCount) return this.#refuse(this.#limits.tooMany);
      list.push(lookupNameId(buf, line, nameEnd), buf, line, nameEnd, valueStart, valueEnd, at);
      line = at;
      this.position = at;
    }
    return end > limitOffset ? this.#refuse(this.#limits.tooLarge) : NEED_MORE;
  }

  #readEmptyLine(buf: Uint8Array, end: number): number {
    const after = this.position + 2;
    if (after > end) return end > this.limitOffset ? this.#refuse(this.#limits.tooLarge) : NEED_MORE;
    if (buf[after - 1] !== LF) return this.#fail('h1-line-ending-invalid', buf, end);
    return after > this.limitOffset ? this.#refuse(this.#limits.tooLarge) : after;
  }

  #badName(buf: Uint8Array, at: number, end: number): number {
    const octet = buf[at]!;
    if (at === this.position && (octet === SP || octet === HTAB)) return this.#fail('h1-obs-fold', buf, end);
    return this.#fail(
      octet === CR || octet === LF ? 'h1-line-ending-invalid' : 'h1-header-name-invalid',
      buf,
      end,
    );
  }

  /** Appends a folded line to the last value; returns the offset after it, NEED_MORE or FAILED. */
  #unfold(buf: Uint8Array, end: number): number {
    const last = this.#list.count - 1;
    let at = this.position;
    while (at < end && (buf[at] === SP || buf[at] === HTAB)) at++;
    const start = at;
    while (at < end && FIELD_VALUE[buf[at]!] !== 0) at++;
    if (at >= end || (buf[at] === CR && at + 1 >= end)) {
      return end > this.limitOffset ? this.#refuse(this.#limits.tooLarge) : NEED_MORE;
    }
    if (last < 0) return this.#fail('h1-obs-fold', buf, end);
    if (buf[at] !== CR || buf[at + 1] !== LF) return this.#fail(valueFailure(buf[at]!), buf, end);
    if (at + 2 > this.limitOffset) return this.#refuse(this.#limits.tooLarge);
    let valueEnd = at;
    while (valueEnd > start && (buf[valueEnd - 1] === SP || buf[valueEnd - 1] === HTAB)) valueEnd--;
    return this.#list.extendValueAt(last, buf, start, valueEnd)
      ? at + 2
      : this.#refuse(this.#limits.tooLarge);
  }

  /** An error inside the line at `position`: reported when the line is complete, or as its limit if that comes first. */
  #fail(code: WireErrorCode, buf: Uint8Array, end: number): number {
    const lf = buf.indexOf(LF, this.position);
    const lineEnd = lf < 0 || lf >= end ? end : lf + 1;
    if (lineEnd > this.limitOffset) return this.#refuse(this.#limits.tooLarge);
    return lineEnd === end && buf[end - 1] !== LF ? NEED_MORE : this.#refuse(code);
  }

  #refuse(code: WireErrorCode): number {
    this.failure = code;
    return FAILED;
  }
}

function valueFailure(octet: number): WireErrorCode {
  return octet === CR || octet === LF ? 'h1-line-ending-invalid' : 'h1-header-value-invalid';
}
