import { describe, expect, test } from 'bun:test';
import { ByteWriter } from './byte-writer.ts';
import { compileJsonFormat } from './format-json.ts';
import { compileTextFormat } from './format-text.ts';
import { grpcStatusIn, noteGrpcOutcome } from './grpc-status.ts';
import type { RequestRecord } from './record.ts';
import { finishedRequest, headers, TEST_PROCESS } from './records.test-double.ts';

function call(): RequestRecord {
  const record = finishedRequest();
  record.requestHeaders = headers(['content-type', 'application/grpc+proto']);
  record.responseHeaders = headers();
  return record;
}

describe('the status of a call', () => {
  test('is that of the trailers, then of the head, then of the HTTP status', () => {
    const record = call();
    record.status = 503;
    noteGrpcOutcome(record);
    expect([record.isGrpc, record.grpcStatus]).toEqual([true, 14]);
    const trailersOnly = call();
    trailersOnly.responseHeaders = headers(['grpc-status', '5']);
    noteGrpcOutcome(trailersOnly);
    expect(trailersOnly.grpcStatus).toBe(5);
    trailersOnly.grpcStatus = -1;
    trailersOnly.responseTrailers = headers(['grpc-status', '0']);
    noteGrpcOutcome(trailersOnly);
    expect(trailersOnly.grpcStatus).toBe(0);
  });

  test('does not replace what a filter has set, and is none for other requests', () => {
    const record = call();
    record.grpcStatus = 7;
    noteGrpcOutcome(record);
    expect(record.grpcStatus).toBe(7);
    const plain = finishedRequest();
    plain.responseHeaders = headers(['grpc-status', '5']);
    noteGrpcOutcome(plain);
    expect([plain.isGrpc, plain.grpcStatus]).toEqual([false, -1]);
  });

  test('is unknown where it is no number', () => {
    for (const value of ['', 'OK', '-1', '12345', '1 '])
      expect(grpcStatusIn(headers(['grpc-status', value]))).toBe(2);
    expect(grpcStatusIn(headers(['grpc-status', '16']))).toBe(16);
    expect(grpcStatusIn(headers())).toBe(-1);
  });
});

describe('in logs', () => {
  function text(format: string, status: number): string {
    const record = finishedRequest();
    record.grpcStatus = status;
    const problems: string[] = [];
    const out = new ByteWriter();
    compileTextFormat(format, false, TEST_PROCESS, problems)(out, record);
    expect(problems).toEqual([]);
    return Buffer.from(out.bytes.subarray(0, out.length)).toString().trimEnd();
  }

  test('in both spellings and as a number; a dash where there is none', () => {
    const all =
      '%GRPC_STATUS% %GRPC_STATUS(CAMEL_STRING)% %GRPC_STATUS(SNAKE_STRING)% %GRPC_STATUS(NUMBER)% %GRPC_STATUS_NUMBER%';
    expect(text(all, 4)).toBe('DeadlineExceeded DeadlineExceeded DEADLINE_EXCEEDED 4 4');
    expect(text(all, 0)).toBe('OK OK OK 0 0');
    expect(text(all, -1)).toBe('- - - - -');
    expect(text('%GRPC_STATUS%', 99)).toBe('99');
  });

  test('a number in JSON stays a number', () => {
    const record = finishedRequest();
    record.grpcStatus = 14;
    const out = new ByteWriter();
    const template = { n: '%GRPC_STATUS(NUMBER)%', s: '%GRPC_STATUS%' };
    compileJsonFormat(template, false, TEST_PROCESS, [])(out, record);
    expect(JSON.parse(Buffer.from(out.bytes.subarray(0, out.length)).toString())).toEqual({
      n: 14,
      s: 'Unavailable',
    });
  });

  test('another spelling is refused by name', () => {
    const problems: string[] = [];
    compileTextFormat('%GRPC_STATUS(loud)%', false, TEST_PROCESS, problems);
    expect(problems).toEqual([
      'operator %GRPC_STATUS% takes CAMEL_STRING, SNAKE_STRING or NUMBER, found "loud"',
    ]);
  });
});
