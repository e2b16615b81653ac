import { describe, expect, test } from 'bun:test';
import fc from 'fast-check';
import { DerReader } from './der-reader.ts';
import { derTag } from './der-tag.ts';
import {
  derBitString,
  derInteger,
  derNamedBits,
  derOid,
  derSequence,
  derSet,
  derText,
  derTime,
  derValue,
} from './der-writer.ts';

const hex = (text: string): Uint8Array => new Uint8Array(Buffer.from(text.replaceAll(' ', ''), 'hex'));
const problemOf = (bytes: Uint8Array, read: (reader: DerReader) => unknown): string | undefined => {
  const reader = DerReader.over(bytes);
  read(reader);
  return reader.problem?.message;
};

describe('values written are read back', () => {
  test('integers', () => {
    fc.assert(
      fc.property(fc.integer({ min: 0, max: 2 ** 31 - 1 }), (value) => {
        expect(DerReader.over(derInteger(value)).smallInteger()).toBe(value);
      }),
    );
  });

  test('object identifiers', () => {
    const arcs = fc.array(fc.integer({ min: 0, max: 2 ** 40 }), { minLength: 1, maxLength: 8 });
    fc.assert(
      fc.property(
        fc.integer({ min: 0, max: 2 }),
        fc.integer({ min: 0, max: 39 }),
        arcs,
        (top, second, rest) => {
          const text = [top, second, ...rest].join('.');
          expect(DerReader.over(derOid(text)).oid()).toBe(text);
        },
      ),
    );
  });

  test('times, on both sides of 2050', () => {
    const range = { min: Date.UTC(1950, 0, 1), max: Date.UTC(9999, 11, 31) };
    fc.assert(
      fc.property(fc.integer({ min: range.min / 1000, max: range.max / 1000 }), (seconds) => {
        expect(DerReader.over(derTime(seconds * 1000)).time()).toBe(seconds * 1000);
      }),
    );
  });

  test('named bits', () => {
    fc.assert(
      fc.property(fc.uniqueArray(fc.integer({ min: 0, max: 60 })), (bits) => {
        expect([...DerReader.over(derNamedBits(bits)).namedBits()]).toEqual([...bits].sort((a, b) => a - b));
      }),
    );
  });

  test('contents of every length class', () => {
    for (const length of [0, 1, 127, 128, 255, 256, 40_000]) {
      const content = new Uint8Array(length).fill(7);
      expect(DerReader.over(derValue(derTag.octetString, content)).content(derTag.octetString)).toEqual(
        content,
      );
    }
  });
});

test('the encodings are those of X.690', () => {
  expect(derOid('1.2.840.113549.1.1.11')).toEqual(hex('06 09 2a 86 48 86 f7 0d 01 01 0b'));
  expect(derInteger(128)).toEqual(hex('02 02 00 80'));
  expect(derInteger(0)).toEqual(hex('02 01 00'));
  expect(derInteger(hex('00 00 7f'))).toEqual(hex('02 01 7f'));
  expect(derNamedBits([0, 5, 6])).toEqual(hex('03 02 01 86'));
  expect(derBitString(hex('ff'))).toEqual(hex('03 02 00 ff'));
  expect(derTime(Date.UTC(2049, 11, 31, 23, 59, 59))).toEqual(derText('491231235959Z', derTag.utcTime));
  expect(derTime(Date.UTC(2050, 0, 1))).toEqual(derText('20500101000000Z', derTag.generalizedTime));
  expect(derSet(derInteger(2), derInteger(1))).toEqual(hex('31 06 02 01 01 02 01 02'));
});

test.each([
  ['a length that could be shorter', '04 81 01 00', 'a length not in its shortest form'],
  ['an indefinite length', '30 80 00 00', 'not a length'],
  ['a length beyond the end', '04 05 00', 'ends too early'],
  ['a length of five bytes', '04 85 01 00 00 00 00', 'not a length'],
  ['a high tag number', '1f 81 01 00', 'a tag number above 30'],
  ['nothing at all', '', 'ends too early'],
])('%s is refused', (_name, bytes, message) => {
  expect(problemOf(hex(bytes), (reader) => reader.whole())).toBe(message);
});

test.each([
  ['an integer with a superfluous zero', '02 02 00 01', (r: DerReader) => r.integer()],
  ['an empty integer', '02 00', (r: DerReader) => r.integer()],
  ['a negative small integer', '02 01 ff', (r: DerReader) => r.smallInteger()],
  ['a boolean of one', '01 01 01', (r: DerReader) => r.boolean()],
  ['an identifier with a padded arc', '06 02 80 01', (r: DerReader) => r.oid()],
  ['an identifier cut in an arc', '06 02 2a 86', (r: DerReader) => r.oid()],
  ['bits of part of a byte', '03 02 01 80', (r: DerReader) => r.bitString()],
  ['the 30th of February', '17 0d 32 36 30 32 33 30 30 30 30 30 30 30 5a', (r: DerReader) => r.time()],
  [
    'a time with an offset',
    '17 11 32 36 30 31 30 31 30 30 30 30 30 30 2b 30 31 30 30',
    (r: DerReader) => r.time(),
  ],
])('%s is refused', (_name, bytes, read) => {
  expect(problemOf(hex(bytes), read)).toBeString();
});

test('limits hold: size, number of values, depth', () => {
  const limits = { maxBytes: 100, maxValues: 10, maxDepth: 3 };
  expect(DerReader.over(new Uint8Array(101), limits).problem?.code).toBe('too-large');
  const many = DerReader.over(derSequence(...Array.from({ length: 20 }, () => derInteger(1))), limits);
  const inner = many.enter(derTag.sequence);
  while (!inner.isAtEnd) inner.integer();
  expect(many.problem?.code).toBe('too-large');
  let deep: DerReader = DerReader.over(
    derSequence(derSequence(derSequence(derSequence(derSequence())))),
    limits,
  );
  for (let depth = 0; depth < 5; depth++) deep = deep.enter(derTag.sequence);
  expect(deep.problem?.message).toBe('nested too deeply');
});
