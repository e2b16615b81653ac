/**
 * The base64 coding of gRPC-Web's text format (PROTOCOL-WEB, "Protocol differences"), as streams.
 *
 * A peer may pad wherever it flushes, so the decoder takes padding between any two groups and goes on; it
 * takes the standard alphabet and nothing else. The encoder carries the one or two octets that fill no
 * group into the next chunk, and pads only when it is told that a message has ended: a reader that decodes
 * what has come so far then has whole messages, and no message is held up.
 */

const ALPHABET = 'ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/';
const PAD = 0x3d;
const INVALID = 255;

const octetOf = new Uint8Array(64);
const valueOf = new Uint8Array(256).fill(INVALID);
for (let value = 0; value < 64; value++) {
  octetOf[value] = ALPHABET.charCodeAt(value);
  valueOf[ALPHABET.charCodeAt(value)] = value;
}

const EMPTY = new Uint8Array(0);

export class GrpcWebTextDecoder {
  #bits = 0;
  /** Characters of the current group, padding included. */
  #characters = 0;
  #padding = 0;
  #hasFailed = false;

  reset(): void {
    this.#bits = 0;
    this.#characters = 0;
    this.#padding = 0;
    this.#hasFailed = false;
  }

  /** Octets of the groups completed in [start, end); null from the first character on that cannot stand there. */
  decode(buf: Uint8Array, start: number, end: number): Uint8Array | null {
    if (this.#hasFailed) return null;
    const out = new Uint8Array(Math.ceil((this.#characters + end - start) / 4) * 3);
    let length = 0;
    for (let at = start; at < end; at++) {
      if (!this.#take(buf[at]!)) {
        this.#hasFailed = true;
        return null;
      }
      if (this.#characters < 4) continue;
      const bits = this.#bits;
      out[length] = bits >>> 16;
      out[length + 1] = (bits >>> 8) & 0xff;
      out[length + 2] = bits & 0xff;
      length += 3 - this.#padding;
      this.#bits = 0;
      this.#characters = 0;
      this.#padding = 0;
    }
    return length === 0 ? EMPTY : out.subarray(0, length);
  }

  /** False when the text ended inside a group: padding is mandatory. */
  get isComplete(): boolean {
    return !this.#hasFailed && this.#characters === 0;
  }

  #take(octet: number): boolean {
    if (octet === PAD) {
      if (this.#characters < 2) return false;
      this.#padding++;
      this.#bits <<= 6;
    } else {
      const value = valueOf[octet]!;
      if (value === INVALID || this.#padding > 0) return false;
      this.#bits = (this.#bits << 6) | value;
    }
    this.#characters++;
    return true;
  }
}

export class GrpcWebTextEncoder {
  #carry = 0;
  #carried = 0;

  reset(): void {
    this.#carry = 0;
    this.#carried = 0;
  }

  /** Text of [start, end) behind what was carried; `flush`: a message ends here, so pad and carry nothing. */
  encode(buf: Uint8Array, start: number, end: number, flush: boolean): Uint8Array {
    const total = this.#carried + end - start;
    const groups = flush ? Math.ceil(total / 3) : Math.floor(total / 3);
    const out = groups === 0 ? EMPTY : new Uint8Array(groups * 4);
    let length = 0;
    let carry = this.#carry;
    let carried = this.#carried;
    for (let at = start; at < end; at++) {
      carry = (carry << 8) | buf[at]!;
      if (++carried < 3) continue;
      writeGroup(out, length, carry);
      length += 4;
      carry = 0;
      carried = 0;
    }
    if (flush && carried > 0) {
      writeGroup(out, length, carry << (8 * (3 - carried)));
      for (let missing = carried; missing < 3; missing++) out[length + 1 + missing] = PAD;
      carry = 0;
      carried = 0;
    }
    this.#carry = carry;
    this.#carried = carried;
    return out;
  }
}

function writeGroup(out: Uint8Array, at: number, bits: number): void {
  out[at] = octetOf[bits >>> 18]!;
  out[at + 1] = octetOf[(bits >>> 12) & 63]!;
  out[at + 2] = octetOf[(bits >>> 6) & 63]!;
  out[at + 3] = octetOf[bits & 63]!;
}
