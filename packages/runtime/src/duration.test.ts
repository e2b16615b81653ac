import { expect, test } from 'bun:test';
import * as fc from 'fast-check';
import { parseGoDurationMs } from './duration.ts';

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

test('no text makes the parser throw', () => {
  const text = fc.oneof(fc.string(), fc.string({ unit: fc.constantFrom('1', '.', 's', 'm', 'h', '-', 'µ') }));
  fc.assert(
    fc.property(text, (input) => {
      const ms = parseGoDurationMs(input);
      expect(ms === undefined || Number.isFinite(ms)).toBe(true);
    }),
  );
});
