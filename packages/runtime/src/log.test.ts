import { describe, expect, test } from 'bun:test';
import * as fc from 'fast-check';
import { FakeClock } from './clock.ts';
import { createLogger, logLevels, parseLogLevel } from './log.ts';
import type { LogFormat } from './log-format.ts';

function setup(format: LogFormat = 'text') {
  const lines: string[] = [];
  const clock = new FakeClock(0, Date.UTC(2026, 0, 2, 3, 4, 5, 678));
  const log = createLogger({ component: 'main', format, clock, write: (line) => lines.push(line) });
  return { log, lines };
}

test('a text line has time, level, component, message and fields, separated by tabs', () => {
  const { log, lines } = setup();
  log.warning('endpoint refused', { cluster: 'outbound|80||a', attempt: 2, reused: false, gone: undefined });
  expect(lines).toEqual([
    '2026-01-02T03:04:05.678Z\twarning\tmain\tendpoint refused\tcluster=outbound|80||a attempt=2 reused=false\n',
  ]);
});

test('a JSON line is one object', () => {
  const { log, lines } = setup('json');
  log.child('xds').error('rejected', { version: 'v1', paths: ['a.b', 'c'], detail: { n: 1 } });
  expect(JSON.parse(lines[0]!)).toEqual({
    time: '2026-01-02T03:04:05.678Z',
    level: 'error',
    component: 'xds',
    message: 'rejected',
    version: 'v1',
    paths: ['a.b', 'c'],
    detail: { n: 1 },
  });
});

test("a field cannot take the place of the line's own keys", () => {
  const { log, lines } = setup('json');
  log.info('real', { message: 'forged', level: 'off' });
  expect(JSON.parse(lines[0]!)).toMatchObject({
    message: 'real',
    level: 'info',
    field_message: 'forged',
    field_level: 'off',
  });
});

describe('what peers send cannot forge lines or drive a terminal', () => {
  const text = fc.oneof(
    fc.string({ unit: 'binary' }),
    fc.string({
      unit: fc.constantFrom(
        '\n',
        '\r',
        '\t',
        '\u001b',
        '\u007f',
        '\u009b',
        '\u2028',
        '"',
        '\\',
        ' ',
        '=',
        'a',
      ),
    }),
  );
  for (const format of ['text', 'json'] as const) {
    test(`${format}: one record is one line without control characters`, () => {
      fc.assert(
        fc.property(text, text, text, (message, key, value) => {
          const { log, lines } = setup(format);
          log.info(message, { [key]: value, nested: [value, { [key]: value }] });
          expect(lines.length).toBe(1);
          const line = lines[0]!;
          expect(line.endsWith('\n')).toBe(true);
          const body = format === 'text' ? line.slice(0, -1).replaceAll('\t', '') : line.slice(0, -1);
          expect(body).not.toMatch(/[\p{Cc}\u2028\u2029]/u);
          expect(line.split('\t').length).toBeLessThanOrEqual(5);
        }),
      );
    });
  }

  test('JSON gives back the very text that was logged', () => {
    fc.assert(
      fc.property(text, (value) => {
        const { log, lines } = setup('json');
        log.info('x', { value });
        expect(JSON.parse(lines[0]!).value).toBe(value);
      }),
    );
  });

  test('text quotes a value with spaces, quotes or equals signs', () => {
    const { log, lines } = setup();
    log.info('x', { path: '/a b="c"', empty: '', escape: '\u001b[31m' });
    expect(lines[0]).toEndWith('\tpath="/a b=\\"c\\"" empty="" escape="\\u001b[31m"\n');
  });

  test('a huge value is cut', () => {
    const { log, lines } = setup();
    log.info('x', { value: 'y'.repeat(100_000), list: Array.from({ length: 50_000 }, () => 1) });
    expect(lines[0]!.length).toBeLessThan(20_000);
    expect(lines[0]).toContain('(100000 characters)');
  });
});

test('values that JSON has no word for are logged all the same', () => {
  const { log, lines } = setup('json');
  const circular: Record<string, unknown> = {};
  circular.self = circular;
  const throws = {
    toJSON() {
      throw new Error('no');
    },
  };
  log.info('x', { big: 10n, nan: NaN, circular, throws, fn: () => 1, nested: { big: 2n } });
  const record = JSON.parse(lines[0]!);
  expect(record).toMatchObject({ big: '10', nan: 'NaN', fn: '[function]', nested: { big: '2' } });
  expect(record.circular).toStartWith('[not serialisable');
  expect(record.throws).toBe('[not serialisable: no]');
});

test('an error is logged with its causes', () => {
  const { log, lines } = setup('json');
  log.error('failed', { error: new Error('outer', { cause: new TypeError('inner') }) });
  expect(JSON.parse(lines[0]!).error).toBe('Error: outer; caused by TypeError: inner');
});

describe('levels', () => {
  test('a component writes its level and everything graver', () => {
    for (const level of logLevels) {
      const { log, lines } = setup('json');
      log.setLevel(level);
      for (const each of ['trace', 'debug', 'info', 'warning', 'error', 'critical'] as const) {
        log[each]('x');
        expect(log.isEnabled(each)).toBe(logLevels.indexOf(each) >= logLevels.indexOf(level));
      }
      expect(lines.map((line) => JSON.parse(line).level)).toEqual(
        logLevels.slice(logLevels.indexOf(level), -1),
      );
    }
  });

  test('one component can be changed at run time, loggers in hand included', () => {
    const { log, lines } = setup();
    const http = log.child('http');
    log.setLevel('debug', 'http');
    http.debug('seen');
    log.debug('not seen');
    expect(lines.length).toBe(1);
    expect(log.levels()).toEqual({ http: 'debug', main: 'info' });
    log.setLevel('error');
    http.debug('not seen');
    expect(lines.length).toBe(1);
    expect(log.levels()).toEqual({ http: 'error', main: 'error' });
  });

  test('a level set before its component logs at all holds from the start', () => {
    const { log, lines } = setup();
    log.setLevel('trace', 'later');
    log.child('later').trace('seen');
    expect(lines.length).toBe(1);
    expect(log.child('later')).toBe(log.child('later'));
  });

  test('levels are read as people write them', () => {
    expect(['warn', 'WARNING', 'err', 'Info', 'off'].map(parseLogLevel)).toEqual([
      'warning',
      'warning',
      'error',
      'info',
      'off',
    ]);
    expect(parseLogLevel('loud')).toBeUndefined();
    expect(parseLogLevel('constructor')).toBeUndefined();
  });
});

test('a sink that throws harms nobody and is counted', () => {
  const log = createLogger({
    component: 'main',
    write: () => {
      throw new Error('full');
    },
  });
  log.info('x');
  log.child('other').info('y');
  expect(log.writeFailures).toBe(2);
});
