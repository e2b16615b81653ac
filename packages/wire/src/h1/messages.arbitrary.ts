/** Generators of valid messages and of hostile ones, for property tests. */
import * as fc from 'fast-check';

const tokenChars = [..."abcxyzABCXYZ019-_.!#$%&'*+^`|~"];
const valueChars = [...'abcXYZ019 \t;,="/\\()<>@:?{}[]\x80\xff'];
const pathChars = [...'abcXYZ019/.-_~%?=&;:@'];

const token = fc.string({ unit: fc.constantFrom(...tokenChars), minLength: 1, maxLength: 12 });
const value = fc.string({ unit: fc.constantFrom(...valueChars), maxLength: 30 });
/** Names that mean something to the codec are written by the message itself. */
const fieldName = token.map((name) => 'z-' + name);
const field = fc
  .tuple(fieldName, fc.constantFrom(':', ': ', ':\t '), value)
  .map(([n, sep, v]) => `${n}${sep}${v}\r\n`);
const fields = fc.array(field, { maxLength: 6 }).map((list) => list.join(''));
const content = fc.string({ unit: 'binary-ascii', maxLength: 60 });

const chunkedContent = fc
  .tuple(fc.array(fc.string({ unit: 'binary-ascii', minLength: 1, maxLength: 20 }), { maxLength: 4 }), fields)
  .map(
    ([chunks, trailers]) =>
      chunks.map((c) => `${c.length.toString(16)};e=v\r\n${c}\r\n`).join('') + `0\r\n${trailers}\r\n`,
  );

/** Head fields that frame, and the framed octets after the head. */
const framed = fc.oneof(
  fc.constant(['', ''] as const),
  content.map((c) => [`Content-Length: ${c.length}\r\n`, c] as const),
  chunkedContent.map((c) => ['Transfer-Encoding: chunked\r\n', c] as const),
);

export const requestText = fc
  .tuple(
    fc.constantFrom('GET', 'POST', 'PUT', 'X-Y'),
    fc.string({ unit: fc.constantFrom(...pathChars), maxLength: 20 }),
    fields,
    framed,
    fields,
  )
  .map(
    ([method, path, before, [framing, body], after]) =>
      `${method} /${path} HTTP/1.1\r\n${before}Host: example:8080\r\n${framing}${after}\r\n${body}`,
  );

export const responseText = fc
  .tuple(
    fc.integer({ min: 200, max: 599 }).filter((s) => s !== 204 && s !== 304),
    fields,
    framed.filter(([f]) => f !== ''),
    fields,
  )
  .map(
    ([status, before, [framing, body], after]) =>
      `HTTP/1.1 ${status} Reason\r\n${before}${framing}${after}\r\n${body}`,
  );

export const pieces = fc.array(fc.integer({ min: 1, max: 40 }), { minLength: 1, maxLength: 8 });

const fragments = [
  'GET / HTTP/1.1\r\n',
  'POST /x HTTP/1.1\r\n',
  'HTTP/1.1 200 OK\r\n',
  'Host: a\r\n',
  'Content-Length: 5\r\n',
  'Content-Length: 05\r\n',
  'Content-Length : 5\r\n',
  'Transfer-Encoding: chunked\r\n',
  'Transfer-Encoding: chunked \r\n',
  'Transfer-Encoding:\tchunked\r\n',
  'Transfer-Encoding: xchunked\r\n',
  ' Transfer-Encoding: chunked\r\n',
  'X: a\r\n b\r\n',
  '\r\n',
  '\n',
  '\r',
  '0\r\n',
  '5\r\nhello\r\n',
  '0\r\n\r\n',
  '5;a=b\r\n',
  '\x00',
  '\xff',
  ' ',
  '\t',
  'hello',
  'Connection: close\r\n',
  'Connection: upgrade\r\nUpgrade: x\r\n',
  'Expect: 100-continue\r\n',
  'CONNECT a:1 HTTP/1.1\r\n',
  'HTTP/1.1 100 Continue\r\n\r\n',
];
/** Octets near the grammar's edges. */
export const hostileText = fc
  .array(
    fc.oneof({ weight: 5, arbitrary: fc.constantFrom(...fragments) }, { weight: 1, arbitrary: content }),
    { maxLength: 14 },
  )
  .map((parts) => parts.join(''));
