import { describe, expect, test } from 'bun:test';
import fc from 'fast-check';
import { inspect } from './http-inspector.ts';

const bytes = (text: string): Uint8Array => Buffer.from(text, 'latin1');
const of = (text: string): string => inspect(bytes(text), false);

describe('first bytes of HTTP', () => {
  test('are known by the request line alone', () => {
    expect(of('GET / HTTP/1.1\r\n')).toBe('http/1.1');
    expect(of('GET / HTTP/1.0\n')).toBe('http/1.0');
    expect(of('PROPFIND /x?y HTTP/1.1\r\nHost')).toBe('http/1.1');
    expect(of('PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n')).toBe('h2c');
  });

  test('are waited for while they may become HTTP', () => {
    for (const text of ['', 'G', 'GET', 'GET ', 'GET /index', 'PRI * HTTP/2.0\r\n\r\nSM', 'P', 'PRI'])
      expect([text, of(text)]).toEqual([text, 'unknown']);
  });

  test('are given up at the first octet that no method has', () => {
    for (const text of [
      '\0',
      '\x16\x03\x01',
      '{"a":1}',
      '\r\n',
      `${'M'.repeat(33)}`,
      'SSH-2.0-x\r\n',
      'EHLO a\r\n',
    ])
      expect([text, of(text)]).toEqual([text, 'other']);
  });

  test('that do not come are no HTTP', () => {
    expect(inspect(bytes('GET'), true)).toBe('other');
    expect(inspect(bytes(`GET /${'x'.repeat(9000)}`), false)).toBe('other');
  });
});

test('property: a verdict on fewer octets is final', () => {
  const line = fc.constantFrom(
    'GET / HTTP/1.1\r\nHost: a\r\n\r\n',
    'PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n',
    'HELO x\r\n',
    '',
  );
  fc.assert(
    fc.property(line, fc.uint8Array({ maxLength: 40 }), fc.nat(), (text, tail, cut) => {
      const whole = Uint8Array.from([...bytes(text), ...tail]);
      const part = inspect(whole.subarray(0, cut % (whole.length + 1)), false);
      if (part !== 'unknown') expect(inspect(whole, false)).toBe(part);
    }),
    { numRuns: 2_000 },
  );
});
