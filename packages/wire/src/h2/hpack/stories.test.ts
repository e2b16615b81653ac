import { describe, expect, test } from 'bun:test';
import { existsSync, readFileSync, readdirSync } from 'node:fs';
import { HpackDecoder } from './decoder.ts';
import { HpackEncoder } from './encoder.ts';
import { decodeFields, encodeFields, hexBytes, type Field } from './field-collector.ts';

interface Story {
  readonly cases: readonly {
    readonly wire: string;
    readonly header_table_size?: number;
    readonly headers: readonly Readonly<Record<string, string>>[];
  }[];
}

const folder =
  process.env['SLUICE_CASES'] ?? new URL('../../../../../../shared/cases', import.meta.url).pathname;
const root = `${folder}/hpack`;
const stories = existsSync(root)
  ? readdirSync(root, { recursive: true, encoding: 'utf8' }).filter((name) => name.endsWith('.json'))
  : undefined;
if (stories === undefined)
  console.warn('SKIPPED: HPACK stories are absent; set SLUICE_CASES to the folder that holds hpack/');

describe.skipIf(stories === undefined)('the HPACK stories of other implementations', () => {
  test('there are forty of them', () => {
    expect(stories?.length).toBe(40);
  });

  for (const name of stories ?? []) {
    const { cases } = JSON.parse(readFileSync(`${root}/${name}`, 'utf8')) as Story;

    test(`${name}: every block decodes to its fields`, () => {
      for (const isStable of [true, false]) {
        const decoder = new HpackDecoder();
        for (const c of cases) {
          if (c.header_table_size !== undefined) decoder.setLimit(c.header_table_size);
          expect(decodeFields(decoder, hexBytes(c.wire), isStable)).toEqual(fieldsOf(c.headers));
        }
      }
    });

    test(`${name}: encoded and decoded again, the fields are the same and the octets fewer`, () => {
      for (const tableBytes of [4096, 256, 0]) {
        const decoder = new HpackDecoder();
        const encoder = new HpackEncoder(tableBytes);
        let plain = 0;
        let coded = 0;
        for (const c of cases) {
          const fields = fieldsOf(c.headers);
          const block = encodeFields(encoder, fields);
          expect(decodeFields(decoder, block)).toEqual(fields);
          coded += block.length;
          for (const [field, value] of fields) plain += field.length + value.length + 2;
        }
        expect(coded).toBeLessThan(plain);
      }
    });
  }
});

function fieldsOf(headers: readonly Readonly<Record<string, string>>[]): Field[] {
  return headers.flatMap((header) => Object.entries(header));
}
