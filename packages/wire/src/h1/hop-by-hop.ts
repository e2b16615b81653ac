/**
 * Which received fields go no further than the next hop (RFC 9110 §7.6.1).
 *
 * Framing fields and Connection itself are made anew by the writer. What Connection names is removed
 * too, but not the fields that a policy or the next server relies on: a client could otherwise have
 * its own X-Forwarded-For, Authorization or Host removed on the way.
 */
import { TOKEN_LOWER } from '../headers/bytes.ts';
import { elementEnd, skipSpace, trimSpace } from './framing.ts';
import type { HeaderList } from '../headers/header-list.ts';
import { H, lookupNameId, nameOf } from '../headers/names.ts';

/** More nominations than any honest peer makes; a message with more has all its unknown ones removed up to here. */
const MAX_NOMINATED = 32;

const CONNECTION = H.connection;

const protectedNames: ReadonlySet<number> = new Set(
  Object.values(H).filter((id) => {
    const name = nameOf(id);
    return (
      name.startsWith('x-') ||
      id === H.host ||
      id === H.contentLength ||
      id === H.authorization ||
      id === H.cookie ||
      id === H.setCookie ||
      id === H.cacheControl ||
      id === H.forwarded ||
      id === H.via ||
      id === H.traceparent ||
      id === H.tracestate ||
      id === H.baggage ||
      id === H.b3 ||
      id === H.contentType ||
      id === H.location ||
      id === H.idempotencyKey ||
      id === H.origin ||
      id === H.grpcTimeout ||
      id === H.grpcStatus ||
      id === H.expect
    );
  }),
);

/** The fields that the Connection fields of one list name. One per writer, reused. */
export class NominatedFields {
  count = 0;
  /** An upgrade may be passed on only if Connection named it. */
  namesUpgrade = false;
  namesTe = false;
  readonly #starts = new Int32Array(MAX_NOMINATED);
  readonly #ends = new Int32Array(MAX_NOMINATED);
  readonly #buffers: Uint8Array[] = [];

  read(headers: HeaderList): void {
    this.count = 0;
    this.#buffers.length = 0;
    this.namesUpgrade = false;
    this.namesTe = false;
    for (let i = headers.indexOf(CONNECTION); i >= 0; i = headers.indexOf(CONNECTION, i + 1)) {
      this.#readValue(headers.bufferAt(i), headers.valueStartAt(i), headers.valueEndAt(i));
    }
  }

  /** True if Connection named the field [start, end) and it is not protected. */
  has(buf: Uint8Array, start: number, end: number): boolean {
    for (let k = 0; k < this.count; k++) {
      const from = this.#starts[k]!;
      if (this.#ends[k]! - from !== end - start) continue;
      const named = this.#buffers[k]!;
      let i = 0;
      while (start + i < end && TOKEN_LOWER[buf[start + i]!] === TOKEN_LOWER[named[from + i]!]) i++;
      if (start + i === end) return true;
    }
    return false;
  }

  #readValue(buf: Uint8Array, start: number, end: number): void {
    for (let at = start; at < end;) {
      const stop = elementEnd(buf, at, end);
      const first = skipSpace(buf, at, stop);
      const last = trimSpace(buf, first, stop);
      at = stop + 1;
      const id = lookupNameId(buf, first, last);
      if (id === H.upgrade) this.namesUpgrade = true;
      else if (id === H.te) this.namesTe = true;
      else if (
        first < last &&
        id !== H.keepAlive &&
        !isClose(buf, first, last) &&
        !protectedNames.has(id) &&
        this.count < MAX_NOMINATED
      ) {
        this.#starts[this.count] = first;
        this.#ends[this.count] = last;
        this.#buffers[this.count] = buf;
        this.count++;
      }
    }
  }
}

function isClose(buf: Uint8Array, start: number, end: number): boolean {
  return end - start === 5 && TOKEN_LOWER[buf[start]!] === 0x63 && TOKEN_LOWER[buf[start + 4]!] === 0x65;
}
