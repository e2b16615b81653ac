/**
 * Chunk-size lines (RFC 9112 §7.1), octet by octet, so that they may be split anywhere without a copy.
 *
 * Extensions are checked and dropped: framing is made anew when a message is forwarded. Whitespace is
 * taken where the grammar has BWS (before and after `;` and `=`), but not between size and CRLF.
 */
import type { WireErrorCode } from '../errors.ts';
import { CR, FIELD_VALUE, HEX_VALUE, HTAB, LF, SEMICOLON, SP, TOKEN_LOWER } from '../headers/bytes.ts';
import { FAILED, NEED_MORE } from './field-section.ts';
import type { H1Limits } from './limits.ts';

const SIZE_FIRST = 0;
const SIZE = 1;
const SIZE_SPACE = 2;
const NAME_FIRST = 3;
const NAME = 4;
const NAME_SPACE = 5;
const VALUE_FIRST = 6;
const VALUE = 7;
const QUOTED = 8;
const ESCAPED = 9;
const VALUE_END = 10;
const LINE_FEED = 11;

const EQUALS = 0x3d;
const QUOTE = 0x22;
const BACKSLASH = 0x5c;

export class ChunkLine {
  /** Of the chunk whose line was read last. */
  size = 0;
  failure: WireErrorCode = 'h1-chunk-size-invalid';
  #state = SIZE_FIRST;
  #lineBytes = 0;
  #extensionBytes = 0;
  readonly #limits: H1Limits;

  constructor(limits: H1Limits) {
    this.#limits = limits;
  }

  beginBody(): void {
    this.#state = SIZE_FIRST;
    this.#extensionBytes = 0;
    this.#lineBytes = 0;
  }

  /** Returns the offset after the line's CRLF, NEED_MORE or FAILED. */
  read(buf: Uint8Array, start: number, end: number): number {
    for (let at = start; at < end; at++) {
      const octet = buf[at]!;
      if (this.#state === LINE_FEED) {
        if (octet !== LF) return this.#fail('h1-line-ending-invalid');
        this.#state = SIZE_FIRST;
        this.#lineBytes = 0;
        return at + 1;
      }
      if (++this.#lineBytes > this.#limits.maxChunkLineBytes) return this.#fail('h1-chunk-line-too-long');
      if (this.#state <= SIZE) {
        if (!this.#readSize(octet)) return FAILED;
      } else {
        if (++this.#extensionBytes > this.#limits.maxChunkExtensionBytes)
          return this.#fail('h1-chunk-line-too-long');
        const next = nextState(this.#state, octet);
        if (next < 0) return this.#fail('h1-chunk-extension-invalid');
        this.#state = next;
      }
    }
    return NEED_MORE;
  }

  #readSize(octet: number): boolean {
    const digit = HEX_VALUE[octet]!;
    if (digit !== 255) {
      this.size = this.#state === SIZE_FIRST ? digit : this.size * 16 + digit;
      this.#state = SIZE;
      if (this.size <= Number.MAX_SAFE_INTEGER) return true;
    } else if (this.#state === SIZE) {
      if (octet === CR) this.#state = LINE_FEED;
      else if (octet === SEMICOLON) this.#state = NAME_FIRST;
      else if (octet === SP || octet === HTAB) this.#state = SIZE_SPACE;
      if (this.#state !== SIZE) return true;
    }
    this.failure = 'h1-chunk-size-invalid';
    return false;
  }

  #fail(code: WireErrorCode): number {
    this.failure = code;
    return FAILED;
  }
}

/** The state after `octet` within a chunk extension, -1 if it may not stand there. */
function nextState(state: number, octet: number): number {
  const isSpace = octet === SP || octet === HTAB;
  const isToken = TOKEN_LOWER[octet] !== 0;
  switch (state) {
    case SIZE_SPACE:
      return isSpace ? SIZE_SPACE : octet === SEMICOLON ? NAME_FIRST : -1;
    case NAME_FIRST:
      return isSpace ? NAME_FIRST : isToken ? NAME : -1;
    case NAME:
      if (isToken) return NAME;
      return octet === CR
        ? LINE_FEED
        : octet === SEMICOLON
          ? NAME_FIRST
          : octet === EQUALS
            ? VALUE_FIRST
            : isSpace
              ? NAME_SPACE
              : -1;
    case NAME_SPACE:
      return isSpace ? NAME_SPACE : octet === SEMICOLON ? NAME_FIRST : octet === EQUALS ? VALUE_FIRST : -1;
    case VALUE_FIRST:
      return isSpace ? VALUE_FIRST : isToken ? VALUE : octet === QUOTE ? QUOTED : -1;
    case VALUE:
      if (isToken) return VALUE;
      return octet === CR ? LINE_FEED : octet === SEMICOLON ? NAME_FIRST : isSpace ? SIZE_SPACE : -1;
    case QUOTED:
      if (octet === QUOTE) return VALUE_END;
      return FIELD_VALUE[octet] === 0 ? -1 : octet === BACKSLASH ? ESCAPED : QUOTED;
    case ESCAPED:
      return FIELD_VALUE[octet] === 0 ? -1 : QUOTED;
    default:
      return octet === CR ? LINE_FEED : octet === SEMICOLON ? NAME_FIRST : isSpace ? SIZE_SPACE : -1;
  }
}
