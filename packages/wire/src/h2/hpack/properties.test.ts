import { expect, test } from 'bun:test';
import fc from 'fast-check';
import { HpackDecoder } from './decoder.ts';
import { HpackEncoder } from './encoder.ts';
import { decodeFields, encodeFields, type Field } from './field-collector.ts';
import { decodeHuffman, encodeHuffman, huffmanDecodedBound, huffmanLength } from './huffman.ts';

const RUNS = 300;

const name = fc.oneof(
  fc.constantFrom(
    'accept',
    'user-agent',
    'x-request-id',
    'cookie',
    'content-type',
    'te',
    'x-a',
    'set-cookie',
  ),
  fc.stringMatching(/^[a-z0-9!#$%&'*+.^_`|~-]{1,40}$/),
);
const value = fc.oneof(
  fc.constantFrom('', '*/*', 'gzip, deflate', 'application/grpc', 'a'),
  fc.string({ unit: fc.integer({ min: 0, max: 255 }).map((c) => String.fromCharCode(c)), maxLength: 80 }),
);
const field: fc.Arbitrary<Field> = fc.oneof(
  fc.tuple(name, value),
  fc.tuple(fc.constantFrom(':path', ':authority', ':scheme', ':method'), fc.stringMatching(/^[!-~]{0,40}$/)),
  fc.tuple(fc.constant(':status'), fc.integer({ min: 100, max: 599 }).map(String)),
);
/** Few distinct blocks, so that tables are used, and sizes that change between them. */
const steps = fc.array(fc.array(field, { maxLength: 12 }), { minLength: 1, maxLength: 6 }).chain((blocks) =>
  fc.array(
    fc.record({
      fields: fc.constantFrom(...blocks),
      tableBytes: fc.option(fc.constantFrom(0, 60, 200, 4096, 10_000)),
    }),
    { maxLength: 25 },
  ),
);

test('what is encoded decodes to the same, whatever came before and however the table changes', () => {
  fc.assert(
    fc.property(steps, fc.constantFrom(0, 100, 4096), fc.boolean(), (sequence, ownBytes, isStable) => {
      const encoder = new HpackEncoder(ownBytes);
      const decoder = new HpackDecoder();
      for (const { fields, tableBytes } of sequence) {
        if (tableBytes !== null) {
          encoder.setPeerLimit(tableBytes);
          decoder.setLimit(tableBytes);
        }
        expect(decodeFields(decoder, encodeFields(encoder, fields), isStable)).toEqual([...fields]);
        expect(decoder.tableByteCount).toBe(encoder.tableByteCount);
        expect(encoder.tableByteCount).toBeLessThanOrEqual(ownBytes);
      }
    }),
    { numRuns: RUNS, seed: 7541 },
  );
});

test('no octets make the decoder throw, or its table exceed its size', () => {
  fc.assert(
    fc.property(fc.array(fc.uint8Array({ maxLength: 60 }), { maxLength: 8 }), (blocks) => {
      const decoder = new HpackDecoder();
      for (const block of blocks) {
        decodeFields(decoder, block);
        expect(decoder.tableByteCount).toBeLessThanOrEqual(4096);
      }
    }),
    { numRuns: RUNS * 3, seed: 7541 },
  );
});

test('Huffman coding is undone by decoding', () => {
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 200 }), (octets) => {
      const coded = new Uint8Array(huffmanLength(octets, 0, octets.length));
      expect(encodeHuffman(octets, 0, octets.length, coded, 0)).toBe(coded.length);
      const decoded = new Uint8Array(huffmanDecodedBound(coded.length));
      const end = decodeHuffman(coded, 0, coded.length, decoded, 0);
      expect(Buffer.from(decoded.slice(0, end)).equals(octets)).toBe(true);
    }),
    { numRuns: RUNS, seed: 7541 },
  );
});
