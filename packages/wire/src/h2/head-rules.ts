/** What pseudo-header fields may say (RFC 9113 §8.3, §8.5, RFC 8441 §4). Failures are texts, '' is none. */
import { TARGET_BYTE, TOKEN_LOWER, bytesEqual } from '../headers/bytes.ts';
import { isAuthority } from '../h1/authority.ts';
import { FieldClass } from './hpack/field-class.ts';
import {
  HAS_AUTHORITY,
  HAS_METHOD,
  HAS_PATH,
  HAS_PROTOCOL,
  HAS_SCHEME,
  HAS_STATUS,
  type PseudoFields,
} from './pseudo.ts';

const SLASH = 0x2f;
const STAR = 0x2a;
/** Letters, digits, `+`, `-` and `.` (RFC 3986 §3.1). */
const SCHEME_BYTE = Uint8Array.from({ length: 256 }, (_, c) =>
  c < 0x80 && /[A-Za-z0-9+.-]/.test(String.fromCharCode(c)) ? 1 : 0,
);

/** Takes one pseudo-header field of a request. */
export function readRequestPseudo(
  pseudo: PseudoFields,
  kind: number,
  buf: Uint8Array,
  start: number,
  end: number,
): string {
  switch (kind) {
    case FieldClass.method:
      if (!isNew(pseudo, HAS_METHOD) || !isTokenRange(buf, start, end))
        return ':method is invalid or repeated';
      pseudo.setMethod(buf, start, end);
      return '';
    case FieldClass.scheme:
      if (!isNew(pseudo, HAS_SCHEME) || !isScheme(buf, start, end)) return ':scheme is invalid or repeated';
      pseudo.schemeText.set(buf, start, end);
      return '';
    case FieldClass.authority:
      if (!isNew(pseudo, HAS_AUTHORITY) || start === end || !isAuthority(buf, start, end, false))
        return ':authority is invalid or repeated';
      pseudo.authorityText.set(buf, start, end);
      return '';
    case FieldClass.path:
      if (!isNew(pseudo, HAS_PATH) || !isTarget(buf, start, end)) return ':path is invalid or repeated';
      pseudo.pathText.set(buf, start, end);
      return '';
    case FieldClass.protocol:
      if (!isNew(pseudo, HAS_PROTOCOL) || !isTokenRange(buf, start, end))
        return ':protocol is invalid or repeated';
      pseudo.protocolText.set(buf, start, end);
      return '';
    default:
      return ':status in a request';
  }
}

/** Takes one pseudo-header field of a response: `:status` alone, three digits. */
export function readStatus(
  pseudo: PseudoFields,
  kind: number,
  buf: Uint8Array,
  start: number,
  end: number,
): string {
  if (kind !== FieldClass.status) return 'a pseudo-header field of requests in a response';
  if (!isNew(pseudo, HAS_STATUS) || end - start !== 3) return ':status is invalid or repeated';
  const status = (buf[start]! - 0x30) * 100 + (buf[start + 1]! - 0x30) * 10 + buf[start + 2]! - 0x30;
  for (let at = start; at < end; at++)
    if (buf[at]! < 0x30 || buf[at]! > 0x39) return ':status is invalid or repeated';
  // §8.6: HTTP/2 has no 101.
  if (status < 100 || status > 599 || status === 101) return ':status is out of range';
  pseudo.status = status;
  return '';
}

/** What a whole request must have. `hasHost`: its authority is known, be it from Host. */
export function requestFailure(pseudo: PseudoFields, hasHost: boolean, takesProtocol: boolean): string {
  const { present, method } = pseudo;
  if ((present & HAS_METHOD) === 0) return ':method is missing';
  if ((present & HAS_PROTOCOL) !== 0) {
    if (!takesProtocol) return ':protocol was not offered';
    if (method !== 'CONNECT') return ':protocol without CONNECT';
  } else if (method === 'CONNECT') {
    return connectFailure(pseudo);
  }
  if ((present & HAS_SCHEME) === 0 || (present & HAS_PATH) === 0) return ':scheme or :path is missing';
  if (!hasHost) return 'neither :authority nor host';
  const { buf, start, end } = pseudo.pathText;
  if (buf[start] === SLASH) return '';
  const isStar = end - start === 1 && buf[start] === STAR && method === 'OPTIONS';
  return isStar ? '' : ':path is neither absolute nor the * of OPTIONS';
}

/** §8.5: a CONNECT has an authority with its port, and neither scheme nor path. */
function connectFailure(pseudo: PseudoFields): string {
  if ((pseudo.present & (HAS_SCHEME | HAS_PATH)) !== 0) return ':scheme or :path with CONNECT';
  if ((pseudo.present & HAS_AUTHORITY) === 0) return ':authority is missing';
  const { buf, start, end } = pseudo.authorityText;
  return isAuthority(buf, start, end, true) ? '' : ':authority of CONNECT has no port';
}

function isNew(pseudo: PseudoFields, bit: number): boolean {
  const isFirst = (pseudo.present & bit) === 0;
  pseudo.present |= bit;
  return isFirst;
}

function isTokenRange(buf: Uint8Array, start: number, end: number): boolean {
  for (let at = start; at < end; at++) if (TOKEN_LOWER[buf[at]!] === 0) return false;
  return end > start;
}

function isScheme(buf: Uint8Array, start: number, end: number): boolean {
  if (bytesEqual(buf, start, end, 'http') || bytesEqual(buf, start, end, 'https')) return true;
  for (let at = start; at < end; at++) if (SCHEME_BYTE[buf[at]!] === 0) return false;
  return end > start;
}

function isTarget(buf: Uint8Array, start: number, end: number): boolean {
  for (let at = start; at < end; at++) if (TARGET_BYTE[buf[at]!] === 0) return false;
  return end > start;
}
