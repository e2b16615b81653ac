import { describe, expect, test } from 'bun:test';
import fc from 'fast-check';
import { HeaderList } from '../headers/header-list.ts';
import { GrpcMessageCounter } from './message-counter.ts';
import { frameGrpcMessage } from './message-framing.ts';
import { GrpcWebTextDecoder, GrpcWebTextEncoder } from './web-text.ts';
import { frameGrpcWebTrailers } from './web-trailers.ts';

const bytes = (text: string): Uint8Array => Buffer.from(text, 'latin1');
const text = (octets: Uint8Array | null): string | null =>
  octets === null ? null : Buffer.from(octets).toString('latin1');

/** `data` in pieces of at most `size`. */
function pieces(data: Uint8Array, size: number): Uint8Array[] {
  const list: Uint8Array[] = [];
  for (let at = 0; at < data.length; at += size) list.push(data.subarray(at, at + size));
  return list;
}

function decodeAll(encoded: Uint8Array, size: number): { out: string | null; isComplete: boolean } {
  const decoder = new GrpcWebTextDecoder();
  const parts: Uint8Array[] = [];
  for (const piece of pieces(encoded, size)) {
    const out = decoder.decode(piece, 0, piece.length);
    if (out === null) return { out: null, isComplete: decoder.isComplete };
    parts.push(out);
  }
  return { out: text(Buffer.concat(parts)), isComplete: decoder.isComplete };
}

describe('the text format, decoded', () => {
  for (const size of [1, 2, 7, 1000]) {
    test(`any octets, split at ${size}`, () => {
      fc.assert(
        fc.property(fc.uint8Array({ maxLength: 100 }), (data) => {
          const { out, isComplete } = decodeAll(bytes(Buffer.from(data).toString('base64')), size);
          expect(out).toBe(Buffer.from(data).toString('latin1'));
          expect(isComplete).toBe(true);
        }),
      );
    });

    test(`padding between messages, split at ${size}`, () => {
      const encoded = bytes(`${btoa('a')}${btoa('bb')}${btoa('ccc')}${btoa('d')}`);
      expect(decodeAll(encoded, size)).toEqual({ out: 'abbcccd', isComplete: true });
    });

    for (const invalid of ['AA=A', '=AAA', 'A===', 'AA-_', 'AA A', 'AAA\n', 'AAAA====', 'AA==='])
      test(`${JSON.stringify(invalid)} is refused, split at ${size}`, () => {
        const { out, isComplete } = decodeAll(bytes(`${invalid}AAA`), size);
        expect(out === null || !isComplete).toBe(true);
        expect(out).toBeNull();
      });

    test(`a text that ends inside a group is incomplete, split at ${size}`, () => {
      expect(decodeAll(bytes('YWJjZA'), size)).toEqual({ out: 'abc', isComplete: false });
    });
  }

  test('nothing is decoded after a failure', () => {
    const decoder = new GrpcWebTextDecoder();
    expect(decoder.decode(bytes('!'), 0, 1)).toBeNull();
    expect(decoder.decode(bytes('AAAA'), 0, 4)).toBeNull();
    decoder.reset();
    expect(text(decoder.decode(bytes('YWJj'), 0, 4))).toBe('abc');
  });
});

describe('the text format, encoded', () => {
  test('chunks that are no messages join without padding, whatever their sizes', () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 100 }), fc.integer({ min: 1, max: 9 }), (data, size) => {
        const encoder = new GrpcWebTextEncoder();
        const parts = pieces(data, size).map((piece) => encoder.encode(piece, 0, piece.length, false));
        parts.push(encoder.encode(data, 0, 0, true));
        expect(text(Buffer.concat(parts))).toBe(Buffer.from(data).toString('base64'));
      }),
    );
  });

  test('a flush pads and the next octet begins a group', () => {
    const encoder = new GrpcWebTextEncoder();
    expect(text(encoder.encode(bytes('xay'), 1, 2, true))).toBe('YQ==');
    expect(text(encoder.encode(bytes('bb'), 0, 2, true))).toBe('YmI=');
    expect(text(encoder.encode(bytes(''), 0, 0, true))).toBe('');
  });
});

describe('messages passing by are counted', () => {
  const stream = Buffer.concat([
    frameGrpcMessage(bytes('')),
    frameGrpcMessage(bytes('hello')),
    frameGrpcMessage(new Uint8Array(70_000)),
    frameGrpcMessage(bytes('')),
  ]);
  for (const size of [1, 2, 3, 7, 1000, 1_000_000])
    test(`split at ${size}`, () => {
      const counter = new GrpcMessageCounter();
      let begun = 0;
      for (const piece of pieces(stream, size)) begun += counter.scan(piece, 0, piece.length);
      expect([begun, counter.count, counter.isAtBoundary]).toEqual([4, 4, true]);
    });

  test('a message counts with its first octet', () => {
    const counter = new GrpcMessageCounter();
    expect(counter.scan(stream, 0, 1)).toBe(1);
    expect(counter.isAtBoundary).toBe(false);
    expect(counter.scan(stream, 1, 5)).toBe(0);
    expect(counter.isAtBoundary).toBe(true);
  });

  test('a length of 4 GiB - 1 is passed over, not kept', () => {
    const counter = new GrpcMessageCounter();
    expect(counter.scan(Uint8Array.of(0, 255, 255, 255, 255, 1, 2, 3), 0, 8)).toBe(1);
    expect(counter.scan(new Uint8Array(100), 0, 100)).toBe(0);
  });
});

test('trailers become a frame, names in lower case', () => {
  const trailers = new HeaderList();
  trailers.append('grpc-status', '5');
  trailers.append('X-Trace-Bin', 'AAE');
  const frame = frameGrpcWebTrailers(trailers);
  const body = 'grpc-status:5\r\nx-trace-bin:AAE\r\n';
  expect([...frame.subarray(0, 5)]).toEqual([0x80, 0, 0, 0, body.length]);
  expect(text(frame.subarray(5))).toBe(body);
});
