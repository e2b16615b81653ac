import { expect, test } from 'bun:test';
import fc from 'fast-check';
import { changedNames } from './changed-names.ts';
import type { AdsResources } from './snapshot.ts';

const bytes = new Uint8Array(0);
const setOf = (versions: Readonly<Record<string, string>>): AdsResources =>
  new Map(Object.entries(versions).map(([name, version]) => [name, { version, bytes }]));

test('names what was added, removed or has another version, and nothing else', () => {
  const versions = fc.dictionary(fc.constantFrom('a', 'b', 'c', 'd', 'e'), fc.constantFrom('1', '2'));
  fc.assert(
    fc.property(versions, versions, (before, after) => {
      const expected = ['a', 'b', 'c', 'd', 'e'].filter((name) => before[name] !== after[name]);
      expect([...changedNames(setOf(before), setOf(after))].sort()).toEqual(expected);
    }),
  );
});

test('a resource that is asked for by other names has changed', () => {
  const before: AdsResources = new Map([['a', { version: '1', bytes, aliases: ['x'] }]]);
  const after: AdsResources = new Map([['a', { version: '1', bytes, aliases: ['y'] }]]);
  expect([...changedNames(before, after)]).toEqual(['a']);
  expect(changedNames(before, after)).toBe(changedNames(before, after));
});
