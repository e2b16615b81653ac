/** The request line (RFC 9112 §3) in one pass, and the four forms of its target. */
import type { WireErrorCode } from '../errors.ts';
import { CR, LF, SP, TARGET_BYTE, TOKEN_LOWER, tokenEquals } from '../headers/bytes.ts';
import { isAuthority } from './authority.ts';
import { NEED_MORE } from './field-section.ts';
import { readMethod } from './methods.ts';
import type { RequestHead } from './request-head.ts';

const SLASH = 0x2f;
const STAR = 0x2a;
const QUESTION = 0x3f;
const COLON = 0x3a;
const ZERO = 0x30;
const NINE = 0x39;

/** Offset after the request line's CRLF, NEED_MORE, or a code. Fills method, target, form and version of `head`. */
export function readRequestLine(
  head: RequestHead,
  buf: Uint8Array,
  start: number,
  end: number,
): number | WireErrorCode {
  let at = start;
  while (at < end && TOKEN_LOWER[buf[at]!] !== 0) at++;
  if (at >= end) return NEED_MORE;
  if (at === start || buf[at] !== SP) return lineFailure(buf[at]!, 'h1-method-invalid');
  const methodEnd = at++;
  const targetStart = at;
  while (at < end && TARGET_BYTE[buf[at]!] !== 0) at++;
  if (at >= end) return NEED_MORE;
  if (buf[at] !== SP) return buf[at] === CR || buf[at] === LF ? 'h1-version-invalid' : 'h1-target-invalid';
  if (at === targetStart) return 'h1-request-line-invalid';
  const targetEnd = at++;
  if (at + 9 > end) return NEED_MORE;
  const version = readVersion(buf, at);
  if (typeof version === 'string') return version;
  if (buf[at + 8] === CR && at + 10 > end) return NEED_MORE;
  if (buf[at + 8] !== CR || buf[at + 9] !== LF) return lineFailure(buf[at + 8]!, 'h1-version-invalid');
  head.method = readMethod(buf, start, methodEnd);
  head.buf = buf;
  head.version = version;
  head.targetStart = targetStart;
  head.targetEnd = targetEnd;
  return readTarget(head, buf) ? at + 10 : 'h1-target-invalid';
}

/** 10 or 11 for the eight octets at `at`, or the code of what is wrong with them (RFC 9112 §2.3). */
export function readVersion(buf: Uint8Array, at: number): 10 | 11 | WireErrorCode {
  const isHttp =
    buf[at] === 0x48 &&
    buf[at + 1] === 0x54 &&
    buf[at + 2] === 0x54 &&
    buf[at + 3] === 0x50 &&
    buf[at + 4] === SLASH;
  const major = buf[at + 5]!;
  const minor = buf[at + 7]!;
  if (!isHttp || buf[at + 6] !== 0x2e || major < ZERO || major > NINE || minor < ZERO || minor > NINE) {
    return 'h1-version-invalid';
  }
  if (major !== 0x31 || minor > 0x31) return 'h1-version-unsupported';
  return minor === 0x31 ? 11 : 10;
}

function readTarget(head: RequestHead, buf: Uint8Array): boolean {
  const { targetStart: start, targetEnd: end } = head;
  if (head.method === 'CONNECT') {
    head.targetForm = 'authority';
    head.authorityStart = start;
    head.authorityEnd = end;
    return isAuthority(buf, start, end, true);
  }
  if (buf[start] === SLASH) {
    head.targetForm = 'origin';
    head.pathStart = start;
    head.pathEnd = end;
    return true;
  }
  if (buf[start] === STAR && end === start + 1) {
    head.targetForm = 'asterisk';
    head.pathStart = start;
    head.pathEnd = end;
    return head.method === 'OPTIONS';
  }
  return readAbsolute(head, buf, start, end);
}

function readAbsolute(head: RequestHead, buf: Uint8Array, start: number, end: number): boolean {
  const colon = buf.indexOf(COLON, start);
  if (colon < 0 || colon + 3 >= end || buf[colon + 1] !== SLASH || buf[colon + 2] !== SLASH) return false;
  if (tokenEquals(buf, start, colon, 'http')) head.scheme = 'http';
  else if (tokenEquals(buf, start, colon, 'https')) head.scheme = 'https';
  else return false;
  const authorityStart = colon + 3;
  let at = authorityStart;
  while (at < end && buf[at] !== SLASH && buf[at] !== QUESTION) at++;
  head.targetForm = 'absolute';
  head.authorityStart = authorityStart;
  head.authorityEnd = at;
  head.pathStart = at;
  head.pathEnd = end;
  return at > authorityStart && buf[authorityStart] !== COLON && isAuthority(buf, authorityStart, at, false);
}

function lineFailure(octet: number, otherwise: WireErrorCode): WireErrorCode {
  return octet === LF || octet === CR
    ? otherwise === 'h1-version-invalid'
      ? 'h1-line-ending-invalid'
      : 'h1-request-line-invalid'
    : otherwise;
}
