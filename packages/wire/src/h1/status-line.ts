/** The status line (RFC 9112 §4). A missing reason may take its space with it; nothing else is forgiven. */
import type { WireErrorCode } from '../errors.ts';
import { CR, FIELD_VALUE, LF, SP } from '../headers/bytes.ts';
import { NEED_MORE } from './field-section.ts';
import { readVersion } from './request-line.ts';
import type { ResponseHead } from './response-head.ts';

/** Offset after the status line's CRLF, NEED_MORE, or a code. Fills status, reason and version of `head`. */
export function readStatusLine(
  head: ResponseHead,
  buf: Uint8Array,
  start: number,
  end: number,
): number | WireErrorCode {
  if (start + 8 > end) return NEED_MORE;
  const version = readVersion(buf, start);
  if (typeof version === 'string') return version;
  if (start + 13 > end) return NEED_MORE;
  const hundreds = buf[start + 9]! - 0x30;
  const tens = buf[start + 10]! - 0x30;
  const ones = buf[start + 11]! - 0x30;
  const areDigits = hundreds >= 1 && hundreds <= 9 && tens >= 0 && tens <= 9 && ones >= 0 && ones <= 9;
  if (buf[start + 8] !== SP || !areDigits) return 'h1-status-line-invalid';
  let at = start + 12;
  if (buf[at] === SP) at++;
  else if (buf[at] !== CR) return buf[at] === LF ? 'h1-line-ending-invalid' : 'h1-status-line-invalid';
  const reasonStart = at;
  while (at < end && FIELD_VALUE[buf[at]!] !== 0) at++;
  if (at >= end || (buf[at] === CR && at + 1 >= end)) return NEED_MORE;
  if (buf[at] !== CR || buf[at + 1] !== LF) {
    return buf[at] === CR || buf[at] === LF ? 'h1-line-ending-invalid' : 'h1-status-line-invalid';
  }
  head.buf = buf;
  head.version = version;
  head.status = hundreds * 100 + tens * 10 + ones;
  head.reasonStart = reasonStart;
  head.reasonEnd = at;
  return at + 2;
}
