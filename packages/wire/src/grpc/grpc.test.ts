import { describe, expect, test } from 'bun:test';
import * as fc from 'fast-check';
import { GrpcMessageDecoder, frameGrpcMessage, writeGrpcPrefix } from './message-framing.ts';
import {
  decodeGrpcMessage,
  encodeGrpcMessage,
  formatGrpcTimeout,
  grpcStatusName,
  grpcStatusOfHttp,
  httpStatusOfGrpc,
  parseGrpcStatus,
  parseGrpcTimeoutMs,
} from './status.ts';

function decode(bytes: Uint8Array, pieces: readonly number[], maxBytes?: number): string[] {
  const lines: string[] = [];
  const decoder = new GrpcMessageDecoder(
    {
      onMessage: (m) => lines.push(`message ${[...m].join(',')}`),
      onFramingError: (code) => lines.push(code),
    },
    maxBytes,
  );
  for (let at = 0, k = 0; at < bytes.length; k++) {
    const size = Math.min(bytes.length - at, pieces[k % pieces.length]!);
    const piece = bytes.slice(at, at + size);
    decoder.execute(piece, 0, size);
    at += size;
  }
  decoder.finish();
  return lines;
}

describe('messages', () => {
  test('come out as they went in, however they are split', () => {
    fc.assert(
      fc.property(
        fc.array(fc.uint8Array({ maxLength: 40 }), { maxLength: 5 }),
        fc.array(fc.integer({ min: 1, max: 30 }), { minLength: 1 }),
        (messages, pieces) => {
          const bytes = Buffer.concat(messages.map(frameGrpcMessage));
          expect(decode(new Uint8Array(bytes), pieces)).toEqual(
            messages.map((m) => `message ${[...m].join(',')}`),
          );
        },
      ),
      { seed: 3 },
    );
  });
  test('beyond the limit, compressed, unknown or cut off are refused, and nothing follows', () => {
    const good = frameGrpcMessage(Uint8Array.of(7));
    for (const size of [1, 2, 7, 1000]) {
      expect(decode(Uint8Array.of(...good, 0, 0, 0, 0, 9, 1), [size], 8)).toEqual([
        'message 7',
        'grpc-message-too-large',
      ]);
      expect(decode(Uint8Array.of(0, 255, 255, 255, 255, ...good), [size])).toEqual([
        'grpc-message-too-large',
      ]);
      expect(decode(Uint8Array.of(1, 0, 0, 0, 1, 1, ...good), [size])).toEqual([
        'grpc-compression-unsupported',
      ]);
      expect(decode(Uint8Array.of(2, 0, 0, 0, 0), [size])).toEqual(['grpc-framing-invalid']);
      expect(decode(Uint8Array.of(...good, 0, 0), [size])).toEqual(['message 7', 'grpc-framing-invalid']);
      expect(decode(Uint8Array.of(0, 0, 0, 0, 2, 1), [size])).toEqual(['grpc-framing-invalid']);
    }
  });
  test('a prefix needs room', () => {
    expect(writeGrpcPrefix(new Uint8Array(4), 0, 1)).toBe(-1);
    expect([...frameGrpcMessage(new Uint8Array(258)).subarray(0, 5)]).toEqual([0, 0, 0, 1, 2]);
  });
});

describe('grpc-message', () => {
  test('is percent-encoded UTF-8 and comes back', () => {
    expect(encodeGrpcMessage('100% é\n')).toBe('100%25 %C3%A9%0A');
    fc.assert(
      fc.property(fc.string({ unit: 'grapheme' }), (text) => {
        const encoded = encodeGrpcMessage(text);
        expect(encoded).toMatch(/^[\x20-\x7e]*$/);
        expect(decodeGrpcMessage(encoded)).toBe(text);
      }),
      { seed: 4 },
    );
  });
  test('broken escapes are kept', () => {
    expect(decodeGrpcMessage('50%')).toBe('50%');
    expect(decodeGrpcMessage('%zz%4')).toBe('%zz%4');
    expect(decodeGrpcMessage('%ff')).toBe('\ufffd');
  });
});

test('statuses map to HTTP and back as the protocol says', () => {
  expect(
    [200, 400, 401, 403, 404, 429, 500, 502, 503, 504, 302].map((s) => grpcStatusName(grpcStatusOfHttp(s))),
  ).toEqual([
    'UNKNOWN',
    'INTERNAL',
    'UNAUTHENTICATED',
    'PERMISSION_DENIED',
    'UNIMPLEMENTED',
    'UNAVAILABLE',
    'UNKNOWN',
    'UNAVAILABLE',
    'UNAVAILABLE',
    'UNAVAILABLE',
    'UNKNOWN',
  ]);
  expect([0, 1, 4, 5, 7, 8, 12, 14, 16, 99].map(httpStatusOfGrpc)).toEqual([
    200, 499, 504, 404, 403, 429, 501, 503, 401, 500,
  ]);
  expect(['0', '14', '17', '-1', '01', '', 'x', undefined].map(parseGrpcStatus)).toEqual([
    0, 14, 2, 2, 2, 2, 2, 2,
  ]);
});

test('grpc-timeout is read strictly, rounded up, and written in eight digits', () => {
  expect(['1S', '5m', '1u', '1n', '0m', '2M', '1H', '99999999H'].map(parseGrpcTimeoutMs)).toEqual([
    1000, 5, 1, 1, 0, 120_000, 3_600_000, 359_999_996_400_000,
  ]);
  for (const bad of ['', '1', 'S', '123456789S', '1s', '-1S', '1.5S', ' 1S', '1S '])
    expect(parseGrpcTimeoutMs(bad)).toBeUndefined();
  fc.assert(
    fc.property(fc.integer({ min: 0, max: 1e12 }), (ms) => {
      const parsed = parseGrpcTimeoutMs(formatGrpcTimeout(ms))!;
      expect(parsed >= ms && parsed <= ms + 60_000).toBe(true);
    }),
    { seed: 5 },
  );
});
