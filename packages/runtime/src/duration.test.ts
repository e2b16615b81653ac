import { expect, test } from 'bun:test';
import * as fc from 'fast-check';
import {
  formatGoDuration,
  formatProtoDuration,
  parseGoDurationMs,
  parseProtoDurationMs,
} from './duration.ts';

test('Go durations are read as Go reads them', () => {
  const cases: readonly (readonly [string, number])[] = [
    ['0', 0],
    ['0s', 0],
    ['1.5s', 1500],
    ['1h30m', 5_400_000],
    ['100ms', 100],
    ['.5s', 500],
    ['1.s', 1000],
    ['2us', 0.002],
    ['2µs', 0.002],
    ['2μs', 0.002],
    ['7ns', 0.000007],
    ['1h0m0.5s', 3_600_500],
    ['-1m', -60_000],
    ['+5s', 5000],
    ['1s1s', 2000],
  ];
  for (const [text, ms] of cases) expect([text, parseGoDurationMs(text)]).toEqual([text, ms]);
});

test('what is no Go duration is undefined', () => {
  for (const text of [
    '',
    '1',
    '1.5',
    's',
    '-',
    '+',
    '1 s',
    ' 1s',
    '1s ',
    '1S',
    '1d',
    '.s',
    '1e3s',
    '--1s',
    '1s-1s',
    '3000000h',
    '１s',
  ]) {
    expect([text, parseGoDurationMs(text)]).toEqual([text, undefined]);
  }
});

test('Go durations are written as Go writes them', () => {
  const cases: readonly (readonly [number, string])[] = [
    [0, '0s'],
    [1500, '1.5s'],
    [5_400_000, '1h30m0s'],
    [60_000, '1m0s'],
    [100, '100ms'],
    [0.5, '500µs'],
    [0.000007, '7ns'],
    [-250, '-250ms'],
  ];
  for (const [ms, text] of cases) expect(formatGoDuration(ms)).toBe(text);
});

test('protobuf durations are read and written by its JSON mapping', () => {
  const cases: readonly (readonly [string, number])[] = [
    ['3s', 3000],
    ['0.250s', 250],
    ['0s', 0],
    ['-1.500s', -1500],
    ['0.000001s', 0.001],
    ['0.000000001s', 0.000001],
  ];
  for (const [text, ms] of cases) {
    expect(parseProtoDurationMs(text)).toBe(ms);
    expect(formatProtoDuration(ms)).toBe(text);
  }
  expect(parseProtoDurationMs('1.5s')).toBe(1500);
  for (const text of ['', '3', '3ms', '1m', '.5s', '1.s', '+1s', '1.0000000001s', '315576000001s', '1e3s']) {
    expect([text, parseProtoDurationMs(text)]).toEqual([text, undefined]);
  }
});

test('what is written is read back', () => {
  fc.assert(
    fc.property(fc.integer({ min: -(2 ** 40), max: 2 ** 40 }), (ms) => {
      expect(parseGoDurationMs(formatGoDuration(ms))).toBe(ms);
      expect(parseProtoDurationMs(formatProtoDuration(ms))).toBe(ms);
    }),
  );
});

test('no text makes a parser throw', () => {
  const text = fc.oneof(fc.string(), fc.string({ unit: fc.constantFrom('1', '.', 's', 'm', 'h', '-', 'µ') }));
  fc.assert(
    fc.property(text, (input) => {
      for (const parse of [parseGoDurationMs, parseProtoDurationMs]) {
        const ms = parse(input);
        expect(ms === undefined || Number.isFinite(ms)).toBe(true);
      }
    }),
  );
});
