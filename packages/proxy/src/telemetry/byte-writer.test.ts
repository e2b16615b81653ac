import { describe, expect, test } from 'bun:test';
import * as fc from 'fast-check';
import { ByteWriter, JSON_STYLE, TEXT_STYLE } from './byte-writer.ts';

function written(write: (out: ByteWriter) => void): string {
  const out = new ByteWriter(1);
  write(out);
  return Buffer.from(out.bytes.subarray(0, out.length)).toString('utf8');
}

describe('ByteWriter', () => {
  test('decimals are the digits of every safe integer', () => {
    fc.assert(
      fc.property(fc.maxSafeNat(), (value) => {
        expect(written((out) => out.decimal(value))).toBe(String(value));
      }),
    );
    for (const odd of [-1, Number.NaN, 0.9]) expect(written((out) => out.decimal(odd))).toBe('0');
  });

  test('octets and the same octets as a byte string are written alike', () => {
    fc.assert(
      fc.property(fc.uint8Array(), (bytes) => {
        const text = Buffer.from(bytes).toString('latin1');
        for (const style of [TEXT_STYLE, JSON_STYLE]) {
          const fromOctets = written((out) => out.octets(bytes, 0, bytes.length, style));
          expect(written((out) => out.byteString(text, style))).toBe(fromOctets);
        }
      }),
    );
  });

  test('JSON strings of well-formed text read back as they were', () => {
    fc.assert(
      fc.property(fc.string({ unit: 'binary' }), (text) => {
        const json = written((out) => out.text(text, JSON_STYLE));
        const breaksLines = /[\u0080-\u009f\u2028\u2029]/.test(text);
        if (!breaksLines) expect(JSON.parse(`"${json}"`)).toBe(text);
      }),
    );
  });

  test('text escapes have one reading: unescaping gives the octets back', () => {
    fc.assert(
      fc.property(fc.uint8Array(), (bytes) => {
        const text = written((out) => out.octets(bytes, 0, bytes.length, TEXT_STYLE));
        const back = Buffer.from(text, 'utf8')
          .toString('latin1')
          .replace(/\\x([0-9A-F]{2})/g, (_, hex: string) => String.fromCharCode(Number.parseInt(hex, 16)));
        expect(Buffer.from(back, 'latin1')).toEqual(Buffer.from(bytes));
      }),
    );
  });

  test('UTF-8 is judged by the Unicode table: overlong, surrogate and too large sequences are escaped', () => {
    const cases: [number[], string][] = [
      [[0xc0, 0xaf], '\\xC0\\xAF'],
      [[0xe0, 0x80, 0xaf], '\\xE0\\x80\\xAF'],
      [[0xed, 0xa0, 0x80], '\\xED\\xA0\\x80'],
      [[0xf4, 0x90, 0x80, 0x80], '\\xF4\\x90\\x80\\x80'],
      [[0xe2, 0x82], '\\xE2\\x82'],
      [[0xe2, 0x82, 0xac], '€'],
      [[0xf0, 0x9f, 0x98, 0x80], '😀'],
      [[0xc2, 0x85], '\\xC2\\x85'],
      [[0xe2, 0x80, 0xa8], '\\xE2\\x80\\xA8'],
    ];
    for (const [bytes, expected] of cases) {
      expect(written((out) => out.octets(Uint8Array.from(bytes), 0, bytes.length, TEXT_STYLE))).toBe(
        expected,
      );
    }
  });
});
