/** Request methods as constants, so that a known method costs no string per request. */
import { decodeLatin1 } from '../headers/bytes.ts';

const known = [
  'GET',
  'HEAD',
  'POST',
  'PUT',
  'DELETE',
  'CONNECT',
  'OPTIONS',
  'TRACE',
  'PATCH',
  'PROPFIND',
  'PROPPATCH',
  'MKCOL',
  'COPY',
  'MOVE',
  'LOCK',
  'UNLOCK',
  'REPORT',
  'SEARCH',
  'PURGE',
  'QUERY',
] as const;

const byLength: (readonly string[])[] = [];
for (const method of known) {
  byLength[method.length] = [...(byLength[method.length] ?? []), method];
}

/** The method at [start, end): a shared constant if it is known, else a new string. Case matters (RFC 9110 §9.1). */
export function readMethod(buf: Uint8Array, start: number, end: number): string {
  const candidates = byLength[end - start];
  if (candidates !== undefined) {
    candidates: for (let k = 0; k < candidates.length; k++) {
      const method = candidates[k]!;
      for (let i = 0; i < method.length; i++) {
        if (buf[start + i] !== method.charCodeAt(i)) continue candidates;
      }
      return method;
    }
  }
  return decodeLatin1(buf, start, end);
}
