/**
 * HTTP/1 frames a message by what it is and drops a Content-Length that says otherwise; in HTTP/2 the field
 * is only a claim, and a wrong one makes the message malformed (RFC 9113 §8.1.1). So the claim is made to
 * agree before a head goes out: filters may have changed the body, or its source may have claimed wrongly.
 */
import { H, type HeaderList } from '@sluice/wire';

/** `contentLength` is what follows, -1 when that is not known; with `isEnd` nothing follows. */
export function agreeOnLength(headers: HeaderList, contentLength: number, isEnd: boolean): void {
  const at = headers.indexOf(H.contentLength);
  if (at < 0) return;
  const length = isEnd ? 0 : contentLength;
  if (length < 0) headers.remove(H.contentLength);
  else if (!says(headers, at, length)) headers.set(H.contentLength, String(length));
}

/** Compares digits; makes no string. */
function says(headers: HeaderList, at: number, length: number): boolean {
  const buf = headers.bufferAt(at);
  const end = headers.valueEndAt(at);
  let value = 0;
  for (let i = headers.valueStartAt(at); i < end; i++) {
    const digit = buf[i]! - 0x30;
    if (digit < 0 || digit > 9) return false;
    value = value * 10 + digit;
  }
  return end > headers.valueStartAt(at) && value === length;
}
