/**
 * Reads a TLS ClientHello far enough to know that it is one, its server name, ALPN protocols and whether
 * ECDSA will do (RFC 8446 §4.1.2 and §4.2.3, RFC 6066 §3, RFC 7301 §3.1). The hello may span records and
 * segments. For choosing a filter chain, and a certificate.
 */
import type { ClientHello } from './tls-context.ts';

/** A ClientHello with post-quantum key shares is about 2 KB; this is BoringSSL's own limit for one. */
export const maxHelloBytes = 16_384;
const handshakeRecord = 22;
const clientHello = 1;
const recordHeaderBytes = 5;
const messageHeaderBytes = 4;
const extensionServerName = 0;
const extensionSignatureAlgorithms = 13;
const extensionAlpn = 16;

/** Null: not a ClientHello. */
export function readHello(bytes: Uint8Array): ClientHello | 'incomplete' | null {
  const message = joinRecords(bytes);
  if (!(message instanceof Uint8Array)) return message;
  const reader = new Reader(message, 4, message.length);
  reader.skip(2 + 32);
  reader.skip(reader.uint8());
  reader.skip(reader.uint16());
  reader.skip(reader.uint8());
  let serverName = '';
  let protocols: string[] = [];
  let acceptsEcdsa = false;
  const extensions = reader.part(reader.uint16());
  while (extensions.left > 0) {
    const type = extensions.uint16();
    const body = extensions.part(extensions.uint16());
    if (type === extensionServerName) serverName = readServerName(body);
    else if (type === extensionAlpn) protocols = readProtocols(body);
    else if (type === extensionSignatureAlgorithms) acceptsEcdsa = hasEcdsa(body);
  }
  return reader.isBroken || extensions.isBroken ? null : { serverName, protocols, acceptsEcdsa };
}

/**
 * The handshake message from one or more records. Joined once, when it is whole: this runs again with every segment,
 * and a hello may come in thousands of records of one octet.
 */
function joinRecords(bytes: Uint8Array): Uint8Array | 'incomplete' | null {
  const parts: Uint8Array[] = [];
  let length = 0;
  /** The message's type and its length, as far as they have come. */
  let header = 0;
  for (let at = 0; ;) {
    if (at < bytes.length && bytes[at] !== handshakeRecord) return null;
    if (at + 1 < bytes.length && bytes[at + 1] !== 3) return null;
    if (at + recordHeaderBytes > bytes.length) return at + length >= maxHelloBytes ? null : 'incomplete';
    const size = ((bytes[at + 3] ?? 0) << 8) | (bytes[at + 4] ?? 0);
    // RFC 8446 §5.1: fragments of handshake messages are not empty.
    if (size === 0) return null;
    const body = bytes.subarray(at + recordHeaderBytes, at + recordHeaderBytes + size);
    parts.push(body);
    for (let i = 0; length + i < messageHeaderBytes && i < body.length; i++)
      header = header * 256 + (body[i] ?? 0);
    length += body.length;
    if (length > 0 && parts[0]?.[0] !== clientHello) return null;
    if (length >= messageHeaderBytes) {
      const wanted = messageHeaderBytes + (header & 0xffffff);
      if (wanted > maxHelloBytes) return null;
      if (length >= wanted) return (parts.length === 1 ? body : Buffer.concat(parts)).subarray(0, wanted);
    }
    if (body.length < size) return 'incomplete';
    at += recordHeaderBytes + size;
  }
}

function readServerName(body: Reader): string {
  const list = body.part(body.uint16());
  while (list.left > 0) {
    const type = list.uint8();
    const name = list.part(list.uint16());
    if (type === 0) return name.text().toLowerCase();
  }
  return '';
}

function readProtocols(body: Reader): string[] {
  const protocols: string[] = [];
  const list = body.part(body.uint16());
  while (list.left > 0) protocols.push(list.part(list.uint8()).text());
  return protocols;
}

/** One of the schemes with P-256, P-384 or P-521 (RFC 8446 §4.2.3; the same numbers in RFC 5246 §7.4.1.4.1). */
function hasEcdsa(body: Reader): boolean {
  const list = body.part(body.uint16());
  while (list.left > 1) {
    const scheme = list.uint16();
    if (scheme === 0x0403 || scheme === 0x0503 || scheme === 0x0603) return true;
  }
  return false;
}

/** Reads within bounds; past them everything is 0 and the reader is broken. */
class Reader {
  readonly #bytes: Uint8Array;
  #at: number;
  readonly #end: number;
  isBroken = false;

  constructor(bytes: Uint8Array, at: number, end: number) {
    this.#bytes = bytes;
    this.#at = at;
    this.#end = end;
  }

  get left(): number {
    return this.isBroken ? 0 : this.#end - this.#at;
  }

  uint8(): number {
    return this.#take(1) ? (this.#bytes[this.#at - 1] ?? 0) : 0;
  }

  uint16(): number {
    if (!this.#take(2)) return 0;
    return ((this.#bytes[this.#at - 2] ?? 0) << 8) | (this.#bytes[this.#at - 1] ?? 0);
  }

  skip(count: number): void {
    this.#take(count);
  }

  part(length: number): Reader {
    const start = this.#at;
    return this.#take(length)
      ? new Reader(this.#bytes, start, start + length)
      : new Reader(this.#bytes, 0, 0);
  }

  text(): string {
    return Buffer.from(this.#bytes.subarray(this.#at, this.#end)).toString('latin1');
  }

  #take(count: number): boolean {
    if (this.isBroken || this.#at + count > this.#end) this.isBroken = true;
    else this.#at += count;
    return !this.isBroken;
  }
}
