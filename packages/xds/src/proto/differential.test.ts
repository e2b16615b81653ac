/** Every honoured message, made at random, must mean the same to the field tables and to protobuf-es. */
import { beforeAll, describe, expect, test } from 'bun:test';
import {
  fromBinary,
  toBinary,
  toJson as esToJson,
  type DescMessage,
  type Registry,
} from '@bufbuild/protobuf';
import * as fc from 'fast-check';
import { registry } from '../gen/tables.ts';
import { loadEsRegistry } from '../testing/es-registry.ts';
import { hasRawField, MessageGenerator } from '../testing/random-message.ts';
import { decodeMessage } from './decode.ts';
import { encodeMessage } from './encode.ts';
import { parseJsonMessage } from './json-parse.ts';
import { toJson } from './json-write.ts';
import { UnhonouredReport } from './report.ts';

let es: Registry;
beforeAll(async () => {
  es = await loadEsRegistry();
});

const runs = { numRuns: 6, seed: 20261123 };

describe('each honoured message agrees with protobuf-es', () => {
  for (const table of registry.all()) {
    test(table.typeName, () => {
      const desc = es.getMessage(table.typeName) as DescMessage;
      expect(desc.typeName).toBe(table.typeName);
      fc.assert(
        fc.property(fc.integer(), (seed) => {
          const message = new MessageGenerator(seed).message(table);
          const bytes = encodeMessage(table, message);
          expect(decodeMessage(table, bytes)).toEqual(message);

          const theirs = fromBinary(desc, bytes);
          expect(theirs.$unknown).toBeUndefined();
          const report = new UnhonouredReport();
          expect(decodeMessage(table, toBinary(desc, theirs), report)).toEqual(message);
          expect(report.entries).toEqual([]);

          if (hasRawField(table)) return;
          const json = esToJson(desc, theirs, { registry: es });
          expect(toJson(table, message, { names: 'json' }) as unknown).toEqual(json);
          expect(parseJsonMessage(table, json)).toEqual(message);
          expect(parseJsonMessage(table, toJson(table, message))).toEqual(message);
        }),
        runs,
      );
    });
  }
});

test('equal messages have equal bytes whatever the order of their map keys', () => {
  const table = registry.message('Metadata');
  const one = encodeMessage(table, { filterMetadata: { b: { x: 1, y: 2 }, a: {} } } as object);
  const two = encodeMessage(table, { filterMetadata: { a: {}, b: { y: 2, x: 1 } } } as object);
  expect(one).toEqual(two);
});
