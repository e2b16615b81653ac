import { createLogger, FakeClock, MetricsRegistry, TimerWheel } from '@sluice/runtime';
import { withTempDir } from '@sluice/testkit';
import {
  FileAccessLogTable,
  StdoutAccessLogTable,
  type AccessLog,
  type AccessLogFilter,
  type FileAccessLog,
  type JsonValue,
} from '@sluice/xds';
import { describe, expect, test } from 'bun:test';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { newProblems } from '../config/problems.ts';
import { compileAccessLogger, type AccessLogDeps } from './access-log.ts';
import { ByteWriter } from './byte-writer.ts';
import type { LineFormat } from './format-text.ts';
import { DEFAULT_ROTATION } from './log-file.ts';
import { FileLogSinks, type LogSinks } from './log-sinks.ts';
import type { RequestRecord } from './record.ts';
import { finishedRequest, headers, TEST_PROCESS } from './records.test-double.ts';
import { FLAG } from './response-flags.ts';

/** Keeps lines in memory, by path. */
class MemorySinks implements LogSinks {
  readonly lines: string[] = [];

  sink(path: string): { append(format: LineFormat, record: RequestRecord): void; flush(): void } {
    return {
      append: (format, record) => {
        const out = new ByteWriter();
        format(out, record);
        this.lines.push(`${path}: ${Buffer.from(out.bytes.subarray(0, out.length)).toString().trimEnd()}`);
      },
      flush: () => undefined,
    };
  }

  flush(): void {
    // Nothing is collected.
  }
}

function depsOf(sinks: LogSinks, runtime: [string, JsonValue][] = []): AccessLogDeps {
  return {
    sinks,
    process: TEST_PROCESS,
    isPathAllowed: (path) => path.startsWith('/var/log/allowed/'),
    random: () => 0.5,
    runtime: new Map(runtime),
  };
}

function file(config: Partial<FileAccessLog>, filter?: AccessLogFilter): AccessLog {
  const value = { ...FileAccessLogTable.create(), path: '/dev/stdout', ...config };
  const message = {
    name: 'envoy.access_loggers.file',
    typedConfig: { typeUrl: FileAccessLogTable.typeUrl, value },
  };
  return filter === undefined ? message : { ...message, filter };
}

function problemsOf(message: AccessLog): string[] {
  const scope = newProblems();
  compileAccessLogger(message, depsOf(new MemorySinks()), scope.at('access_log', 0));
  return scope.problems.map(({ path, message: text }) => `${path}: ${text}`);
}

function linesOf(
  message: AccessLog,
  record = finishedRequest(),
  runtime: [string, JsonValue][] = [],
): string[] {
  const sinks = new MemorySinks();
  const scope = newProblems();
  const logger = compileAccessLogger(message, depsOf(sinks, runtime), scope);
  expect(scope.problems).toEqual([]);
  logger?.log(record);
  return sinks.lines;
}

const comparison = (op: 'EQ' | 'GE' | 'LE', defaultValue: number, runtimeKey = 'key') => ({
  comparison: { op, value: { defaultValue, runtimeKey } },
});

function passes(
  filter: AccessLogFilter,
  record: RequestRecord,
  runtime: [string, JsonValue][] = [],
): boolean {
  return linesOf(file({ format: 'x' }, filter), record, runtime).length === 1;
}

describe('compileAccessLogger', () => {
  test("without a format, Istio's text format is written to the given path", () => {
    const [line] = linesOf(file({}));
    expect(line).toStartWith(
      '/dev/stdout: [2026-11-23T10:42:01.007Z] "GET /reviews/7?full=1 HTTP/1.1" 200 - via_upstream',
    );
  });

  test('log_format with JSON and with text', () => {
    const base = { omitEmptyValues: false, contentType: '', formatters: [] };
    const json = file({ logFormat: { ...base, jsonFormat: { code: '%RESPONSE_CODE%' } } });
    expect(linesOf(json)).toEqual(['/dev/stdout: {"code":200}']);
    expect(linesOf(file({ logFormat: { ...base, textFormat: '%PROTOCOL%\n' } }))).toEqual([
      '/dev/stdout: HTTP/1.1',
    ]);
  });

  test('stdout logger', () => {
    const value = StdoutAccessLogTable.create();
    const message = { name: 'x', typedConfig: { typeUrl: StdoutAccessLogTable.typeUrl, value } };
    expect(linesOf(message)[0]).toStartWith('/dev/stdout: [2026-');
  });

  test('what cannot be honoured is reported with its path', () => {
    expect(problemsOf(file({ path: '/etc/passwd' }))).toEqual([
      'access_log[0].typed_config.path: "/etc/passwd" may not be written: no flag of this proxy allows it',
    ]);
    expect(problemsOf(file({ path: '/var/log/allowed/a.log' }))).toEqual([]);
    expect(problemsOf(file({ format: '%NO_SUCH% %PROTOCOL%' }))).toEqual([
      'access_log[0].typed_config.format: unknown operator %NO_SUCH%',
    ]);
    expect(
      problemsOf({
        name: 'grpc',
        typedConfig: { typeUrl: 'type.googleapis.com/x.Y', value: new Uint8Array(1) },
      }),
    ).toEqual(['access_log[0].typed_config: access logger type.googleapis.com/x.Y is not supported']);
    expect(problemsOf(file({}, { responseFlagFilter: { flags: ['UF', 'XX'] } }))).toEqual([
      'access_log[0].filter.response_flag_filter.flags[1]: "XX" is not a response flag',
    ]);
  });
});

describe('access log filters', () => {
  const ok = finishedRequest();
  const failed = finishedRequest();
  failed.status = 503;
  failed.flags = FLAG.UF;

  test('status code, with runtime override', () => {
    const filter = { statusCodeFilter: comparison('GE', 500) };
    expect([passes(filter, ok), passes(filter, failed)]).toEqual([false, true]);
    expect(passes(filter, ok, [['key', 200]])).toBe(true);
    expect(passes({ statusCodeFilter: comparison('LE', 200) }, ok)).toBe(true);
    expect(passes({ statusCodeFilter: comparison('EQ', 201) }, ok)).toBe(false);
  });

  test('duration', () => {
    expect(passes({ durationFilter: comparison('GE', 12) }, ok)).toBe(true);
    expect(passes({ durationFilter: comparison('GE', 13) }, ok)).toBe(false);
  });

  test('response flags: named ones, or any', () => {
    expect(passes({ responseFlagFilter: { flags: ['UF'] } }, failed)).toBe(true);
    expect(passes({ responseFlagFilter: { flags: ['UH'] } }, failed)).toBe(false);
    expect(passes({ responseFlagFilter: { flags: [] } }, failed)).toBe(true);
    expect(passes({ responseFlagFilter: { flags: [] } }, ok)).toBe(false);
  });

  test('health checks and traces', () => {
    const check = finishedRequest();
    check.isHealthCheck = true;
    expect([passes({ notHealthCheckFilter: {} }, ok), passes({ notHealthCheckFilter: {} }, check)]).toEqual([
      true,
      false,
    ]);
    expect(passes({ traceableFilter: {} }, ok)).toBe(false);
  });

  test('gRPC status, of the reply or standing for the HTTP status', () => {
    const call = finishedRequest();
    call.grpcStatus = 1;
    const filter = (exclude: boolean): AccessLogFilter => ({
      grpcStatusFilter: { statuses: ['CANCELED', 'UNAVAILABLE'], exclude },
    });
    expect([call, failed, ok].map((record) => passes(filter(false), record))).toEqual([true, true, false]);
    expect([call, failed, ok].map((record) => passes(filter(true), record))).toEqual([false, false, true]);
  });

  test('and, or', () => {
    const [is503, hasFlag] = [
      { statusCodeFilter: comparison('EQ', 503) },
      { responseFlagFilter: { flags: ['UH'] } },
    ];
    expect(passes({ andFilter: { filters: [is503, hasFlag] } }, failed)).toBe(false);
    expect(passes({ orFilter: { filters: [is503, hasFlag] } }, failed)).toBe(true);
  });

  test('sampling follows the request id, so that every hop decides alike', () => {
    const sampled = {
      runtimeFilter: {
        runtimeKey: 'log',
        percentSampled: { numerator: 40, denominator: 'HUNDRED' as const },
        useIndependentRandomness: false,
      },
    };
    // 5f8ad2d1 / 2^32 = 0.373
    expect(passes(sampled, ok)).toBe(true);
    expect(passes(sampled, ok, [['log', 30]])).toBe(false);
    expect(passes({ runtimeFilter: { ...sampled.runtimeFilter, useIndependentRandomness: true } }, ok)).toBe(
      false,
    );
  });

  test('request headers', () => {
    const record = finishedRequest();
    record.requestHeaders = headers(['x-debug', '1']);
    const header = {
      name: 'x-debug',
      presentMatch: true,
      invertMatch: false,
      treatMissingHeaderAsEmpty: false,
    };
    expect([passes({ headerFilter: { header } }, record), passes({ headerFilter: { header } }, ok)]).toEqual([
      true,
      false,
    ]);
  });
});

describe('log to a file', () => {
  test('lines of many loggers reach the file in order after the flush interval', async () => {
    await withTempDir(async (dir) => {
      const path = join(dir, 'access.log');
      const clock = new FakeClock();
      const wheel = new TimerWheel(clock);
      clock.attach(wheel);
      const metrics = new MetricsRegistry();
      const logger = createLogger({ component: 'test', write: () => undefined });
      const sinks = new FileLogSinks({ wheel, metrics, logger, rotation: DEFAULT_ROTATION });
      const deps = { ...depsOf(sinks), isPathAllowed: () => true };
      const one = compileAccessLogger(file({ path, format: 'one %RESPONSE_CODE%' }), deps, newProblems());
      const two = compileAccessLogger(file({ path, format: 'two %PROTOCOL%' }), deps, newProblems());
      one?.log(finishedRequest());
      two?.log(finishedRequest());
      one?.log(finishedRequest());
      clock.advance(100);
      await sinks.close(1000);
      expect(readFileSync(path, 'utf8')).toBe('one 200\ntwo HTTP/1.1\none 200\n');
    });
  });
});
