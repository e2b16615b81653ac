/** The authority of a request: host and optional port, no userinfo (RFC 9112 §3.2, RFC 9110 §4.2.4). */
import { HEX_VALUE } from '../headers/bytes.ts';

const COLON = 0x3a;
const OPEN_BRACKET = 0x5b;
const CLOSE_BRACKET = 0x5d;
const PERCENT = 0x25;

/** 1 for octets of a reg-name besides percent-encoding: unreserved and sub-delims (RFC 3986 §3.2.2). */
const REG_NAME = Uint8Array.from({ length: 256 }, (_, c) =>
  /[A-Za-z0-9\-._~!$&'()*+,;=]/.test(String.fromCharCode(c)) && c < 0x80 ? 1 : 0,
);

/** True if [start, end) is `host [":" port]`; CONNECT needs the port, all others need only be well formed. */
export function isAuthority(buf: Uint8Array, start: number, end: number, needsPort: boolean): boolean {
  let at = start;
  if (at < end && buf[at] === OPEN_BRACKET) {
    at = skipLiteral(buf, at + 1, end);
    if (at < 0) return false;
  } else {
    while (at < end && REG_NAME[buf[at]!] === 1) at++;
    if (at < end && buf[at] === PERCENT) {
      at = skipEncoded(buf, at, end);
      if (at < 0) return false;
    }
  }
  if (at === end) return !needsPort;
  if (buf[at] !== COLON) return false;
  return needsPort ? at > start && isPort(buf, at + 1, end, 1) : isPort(buf, at + 1, end, 0);
}

/** The rest of a reg-name that holds percent-encoding; the offset after it, -1 if a triplet is broken. */
function skipEncoded(buf: Uint8Array, from: number, end: number): number {
  let at = from;
  while (at < end) {
    if (buf[at] === PERCENT) {
      if (at + 2 >= end || HEX_VALUE[buf[at + 1]!] === 255 || HEX_VALUE[buf[at + 2]!] === 255) return -1;
      at += 3;
    } else if (REG_NAME[buf[at]!] === 1) {
      at++;
    } else {
      break;
    }
  }
  return at;
}

/** An IP literal after its bracket; the offset after the closing one, -1 if there is none or it is empty. */
function skipLiteral(buf: Uint8Array, from: number, end: number): number {
  let at = from;
  while (at < end && buf[at] !== CLOSE_BRACKET) {
    if (REG_NAME[buf[at]!] === 0 && buf[at] !== COLON) return -1;
    at++;
  }
  return at < end && at > from ? at + 1 : -1;
}

function isPort(buf: Uint8Array, start: number, end: number, minDigits: number): boolean {
  if (end - start < minDigits || end - start > 5) return false;
  let port = 0;
  for (let at = start; at < end; at++) {
    const digit = buf[at]! - 0x30;
    if (digit < 0 || digit > 9) return false;
    port = port * 10 + digit;
  }
  return port <= 65_535;
}
