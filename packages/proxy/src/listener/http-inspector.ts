/**
 * Tells HTTP/1 and HTTP/2 from other bytes, for filter chains that match on `http/1.0`, `http/1.1` or
 * `h2c`. Decides on the request line alone; what it cannot read as HTTP stays unmarked (opaque TCP).
 */
import type { ListenerFilter, ListenerFilterBinding } from '../filter/filter.ts';

const preface = 'PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n';
/** Request lines longer than this are not waited for. */
const maxLineBytes = 8192;
/** A method longer than this is not one (RFC 9110's registry has none beyond 17). */
const maxMethodBytes = 32;

const filter: ListenerFilter = {
  onPeek(facts, bytes, isEnd) {
    const verdict = inspect(bytes, isEnd);
    if (verdict === 'unknown') return 'needMore';
    if (verdict !== 'other' && facts.applicationProtocols.length === 0)
      facts.applicationProtocols = [verdict];
    return 'continue';
  },
};

export const httpInspector: ListenerFilterBinding = {
  name: 'envoy.filters.listener.http_inspector',
  maxPeekBytes: maxLineBytes,
  needsBytes: true,
  create: () => filter,
};

type Verdict = 'http/1.0' | 'http/1.1' | 'h2c' | 'other' | 'unknown';

export function inspect(bytes: Uint8Array, isEnd: boolean): Verdict {
  const text = Buffer.from(bytes.buffer, bytes.byteOffset, Math.min(bytes.length, maxLineBytes)).toString(
    'latin1',
  );
  if (text.startsWith(preface)) return 'h2c';
  if (preface.startsWith(text) && text !== '' && !isEnd) return 'unknown';
  const space = text.indexOf(' ');
  const method = space < 0 ? text : text.slice(0, space);
  if (method.length > maxMethodBytes || !/^[!#$%&'*+\-.^_`|~0-9A-Za-z]*$/.test(method)) return 'other';
  const lineEnd = text.indexOf('\n');
  if (lineEnd < 0) return isEnd || text.length >= maxLineBytes ? 'other' : 'unknown';
  const version = / HTTP\/1\.([01])\r?$/.exec(text.slice(0, lineEnd));
  if (version === null || method === '') return 'other';
  return version[1] === '0' ? 'http/1.0' : 'http/1.1';
}
