/** Numbers at the edges of their types: read, written and clamped. */
import { expect, test } from 'bun:test';
import { Int64RangeTable, MaglevPolicyTable, RetryPolicyTable, RouteActionTable } from '../gen/tables.ts';
import { decodeMessage } from './decode.ts';
import { encodeMessage } from './encode.ts';
import { parseJsonMessage } from './json-parse.ts';
import { toJson } from './json-write.ts';

test('64-bit integers are exact to 2^53 on both sides of zero', () => {
  for (const start of [
    0,
    1,
    -1,
    127,
    128,
    -4294967296,
    4294967295,
    Number.MAX_SAFE_INTEGER,
    Number.MIN_SAFE_INTEGER,
  ]) {
    const bytes = encodeMessage(Int64RangeTable, { start, end: 1 });
    expect(decodeMessage(Int64RangeTable, bytes)).toEqual({ start, end: 1 });
  }
});

test('the greatest and least 64-bit integers survive JSON and bytes', () => {
  const json = { start: '-9223372036854775808', end: '9223372036854775807' };
  const range = parseJsonMessage(Int64RangeTable, json);
  expect(
    toJson(Int64RangeTable, decodeMessage(Int64RangeTable, encodeMessage(Int64RangeTable, range))),
  ).toEqual(json);
  const maglev = parseJsonMessage(MaglevPolicyTable, { table_size: '18446744073709551615' });
  const bytes = encodeMessage(MaglevPolicyTable, maglev);
  expect(toJson(MaglevPolicyTable, decodeMessage(MaglevPolicyTable, bytes))).toEqual({
    table_size: '18446744073709551615',
  });
});

test('durations keep their sign and their nanoseconds', () => {
  for (const timeout of [0, 0.000001, 1.5, -0.25, -1500, 999.999999, 86_400_000]) {
    const bytes = encodeMessage(RouteActionTable, { timeout });
    expect(decodeMessage(RouteActionTable, bytes).timeout).toBe(timeout);
    expect(
      parseJsonMessage(RouteActionTable, toJson(RouteActionTable, decodeMessage(RouteActionTable, bytes)))
        .timeout,
    ).toBe(timeout);
  }
});

test('a wrapper that holds its default is present, an absent one is not', () => {
  expect(decodeMessage(RetryPolicyTable, encodeMessage(RetryPolicyTable, { numRetries: 0 })).numRetries).toBe(
    0,
  );
  expect('numRetries' in decodeMessage(RetryPolicyTable, new Uint8Array(0))).toBe(false);
});

test('packed and unpacked lists of numbers read the same', () => {
  const unpacked = new Uint8Array([(7 << 3) | 0, 0xf7, 0x03, (7 << 3) | 0, 0xf8, 0x03]);
  const packed = encodeMessage(RetryPolicyTable, { retriableStatusCodes: [503, 504] });
  expect(decodeMessage(RetryPolicyTable, unpacked)).toEqual(decodeMessage(RetryPolicyTable, packed));
});
