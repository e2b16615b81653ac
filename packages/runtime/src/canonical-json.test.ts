import { expect, test } from 'bun:test';
import * as fc from 'fast-check';
import { canonicalJson, contentHash } from './canonical-json.ts';

test('keys are sorted at every depth, undefined members left out', () => {
  expect(canonicalJson({ b: [{ z: 1, a: null }], a: 'x', c: undefined })).toBe(
    '{"a":"x","b":[{"a":null,"z":1}]}',
  );
  expect(canonicalJson([undefined, 1])).toBe('[null,1]');
  expect(canonicalJson(undefined)).toBe('null');
});

test('the order in which members were written does not count', () => {
  fc.assert(
    fc.property(fc.dictionary(fc.string(), fc.jsonValue()), (object) => {
      const reversed = Object.fromEntries(Object.entries(object).reverse());
      expect(canonicalJson(reversed)).toBe(canonicalJson(object));
    }),
  );
});

test('it is JSON of the same value', () => {
  fc.assert(
    fc.property(fc.jsonValue(), (value) => {
      expect(JSON.parse(canonicalJson(value))).toEqual(JSON.parse(JSON.stringify(value)));
    }),
  );
});

test('what JSON lacks is written as protobuf writes it', () => {
  expect(canonicalJson([10n, NaN, -Infinity, new Uint8Array([1, 2, 255])])).toBe(
    '["10","NaN","-Infinity","AQL/"]',
  );
  expect(canonicalJson({ at: new Date(0) })).toBe('{"at":"1970-01-01T00:00:00.000Z"}');
});

test('the hash is the same on every machine: SHA-256, first 64 bits', () => {
  expect(contentHash('')).toBe('e3b0c44298fc1c14');
  expect(contentHash('abc')).toBe('ba7816bf8f01cfea');
  expect(contentHash(new TextEncoder().encode('abc'))).toBe('ba7816bf8f01cfea');
});
