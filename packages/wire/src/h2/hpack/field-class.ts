/**
 * What HTTP/2 makes of a field by its name and octets, found once when a field enters a table and again
 * only for literals, so that an indexed field costs no look at its octets.
 */
import { FIELD_VALUE, HTAB, SP, TOKEN_LOWER, bytesEqual } from '../../headers/bytes.ts';
import { H, lookupNameId } from '../../headers/names.ts';

/** Classes of names. Everything at or above FIRST_SPECIAL needs more than being put into the list. */
export const FieldClass = {
  regular: 0,
  cookie: 1,
  host: 2,
  contentLength: 3,
  te: 4,
  /** Forbidden in HTTP/2 (RFC 9113 §8.2.2). */
  connectionSpecific: 5,
  method: 8,
  scheme: 9,
  authority: 10,
  path: 11,
  protocol: 12,
  status: 13,
  /** Begins with a colon and is none of the above. */
  unknownPseudo: 14,
  /** Not a lower-case token. */
  invalidName: 15,
} as const;

/** First class of pseudo-header fields. */
export const FIRST_PSEUDO = FieldClass.method;
/** Set beside a class: the value may not stand in a field (RFC 9113 §8.2.1). */
export const INVALID_VALUE = 0x10;
export const CLASS_MASK = 0xf;

const COLON = 0x3a;

/** The class of a name. */
export function fieldClassOf(buf: Uint8Array, start: number, end: number): number {
  if (start === end) return FieldClass.invalidName;
  if (buf[start] === COLON) return pseudoClass(buf, start + 1, end);
  for (let at = start; at < end; at++) {
    const c = buf[at]!;
    if (TOKEN_LOWER[c] !== c || c === 0) return FieldClass.invalidName;
  }
  return classOfId(lookupNameId(buf, start, end));
}

/** The class of an interned regular name. */
export function classOfId(id: number): number {
  switch (id) {
    case H.cookie:
      return FieldClass.cookie;
    case H.host:
      return FieldClass.host;
    case H.contentLength:
      return FieldClass.contentLength;
    case H.te:
      return FieldClass.te;
    case H.connection:
    case H.transferEncoding:
    case H.upgrade:
    case H.keepAlive:
    case H.proxyConnection:
      return FieldClass.connectionSpecific;
    default:
      return FieldClass.regular;
  }
}

/** INVALID_VALUE or 0. HTTP/1 allows no control characters either: what passes here can be written there. */
export function valueFlag(buf: Uint8Array, start: number, end: number): number {
  if (start === end) return 0;
  const first = buf[start];
  const last = buf[end - 1];
  if (first === SP || first === HTAB || last === SP || last === HTAB) return INVALID_VALUE;
  for (let at = start; at < end; at++) if (FIELD_VALUE[buf[at]!] === 0) return INVALID_VALUE;
  return 0;
}

function pseudoClass(buf: Uint8Array, start: number, end: number): number {
  if (bytesEqual(buf, start, end, 'method')) return FieldClass.method;
  if (bytesEqual(buf, start, end, 'path')) return FieldClass.path;
  if (bytesEqual(buf, start, end, 'scheme')) return FieldClass.scheme;
  if (bytesEqual(buf, start, end, 'authority')) return FieldClass.authority;
  if (bytesEqual(buf, start, end, 'status')) return FieldClass.status;
  if (bytesEqual(buf, start, end, 'protocol')) return FieldClass.protocol;
  return FieldClass.unknownPseudo;
}
