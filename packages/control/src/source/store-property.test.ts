/** Whatever is done to them, both stores agree, and what SQLite holds is what it held in memory. */
import { afterAll, expect, test } from 'bun:test';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import * as fc from 'fast-check';
import { keyOf } from '@sluice/api';
import { openMemoryStore } from './memory-store.ts';
import { openSqliteStore } from './sqlite-store.ts';
import { openStateFile } from './state-file.ts';
import type { ResourceStore } from './store.ts';
import { fromFile, problem, storeOptions, virtualService } from './store-suite.ts';

const root = mkdtempSync(join(tmpdir(), 'sluice-property-'));
afterAll(() => rmSync(root, { recursive: true }));

type Step = (store: ResourceStore) => unknown;

const name = fc.constantFrom('a', 'b', 'c');
const file = fc.constantFrom('/x.yaml', '/y.yaml');
const value = fc.integer({ min: 0, max: 2 });
const origin = fc.constantFrom(
  { source: 'api' } as const,
  { source: 'registration', instance: 'i' } as const,
);

const put = fc.record({ name, value, origin, adopt: fc.boolean() }).map(
  ({ name, value, origin, adopt }): Step =>
    (store) =>
      store.put(virtualService(name, { value }), { origin, mode: 'upsert', adopt }),
);
const remove = fc.record({ name, origin }).map(
  ({ name, origin }): Step =>
    (store) =>
      store.delete(keyOf(virtualService(name)), { origin }),
);
const status = fc.record({ name, value }).map(
  ({ name, value }): Step =>
    (store) =>
      store.putStatus(keyOf(virtualService(name)), { value }),
);
const content = fc.record({ name, value, isBroken: fc.boolean() });
const replace = fc
  .record({ file, objects: fc.array(content, { maxLength: 4 }), isFileBroken: fc.boolean() })
  .map(({ file, objects, isFileBroken }): Step => {
    const read = objects.map(({ name, value, isBroken }) =>
      fromFile(file, virtualService(name, { value }), isBroken ? [problem('spec')] : []),
    );
    return (store) => store.replaceFile(file, read, isFileBroken ? [problem('')] : []);
  });

test('memory and SQLite agree after any steps, and SQLite after reopening too', () => {
  let runs = 0;
  fc.assert(
    fc.property(fc.array(fc.oneof(put, remove, status, replace), { maxLength: 25 }), (steps) => {
      const directory = join(root, String(runs++));
      let uids = 0;
      const newUid = (): string => `uid-${uids++}`;
      const memory = openMemoryStore(storeOptions({ newUid }));
      const ofMemory = steps.map((step) => step(memory));
      uids = 0;
      const state = openStateFile(directory);
      const sqlite = openSqliteStore(state, storeOptions({ newUid }));
      expect(steps.map((step) => step(sqlite))).toEqual(ofMemory);
      const held = sorted(sqlite);
      expect(held).toEqual(sorted(memory));
      const revision = sqlite.revision;
      state.close();
      const reopened = openStateFile(directory);
      const again = openSqliteStore(reopened, storeOptions());
      expect(sorted(again)).toEqual(held);
      expect(again.revision).toBe(revision);
      reopened.close();
    }),
    { numRuns: 60, seed: 11 },
  );
});

test('the changes of a watch, applied to nothing, give what the store holds', () => {
  fc.assert(
    fc.property(fc.array(fc.oneof(put, remove, status, replace), { maxLength: 25 }), (steps) => {
      const store = openMemoryStore(storeOptions());
      const seen = new Map<string, number>();
      let lastRevision = 0;
      store.subscribe((changes) => {
        for (const { key, after, revision } of changes) {
          expect(revision).toBe(++lastRevision);
          if (after === null) seen.delete(key.name);
          else seen.set(key.name, after.revision);
        }
      });
      for (const step of steps) step(store);
      expect([...seen.keys()].sort()).toEqual(sorted(store).map(({ key }) => key.name));
      for (const { key, revision } of store.all()) expect(seen.get(key.name)).toBe(revision);
      expect(store.revision).toBe(lastRevision);
    }),
    { numRuns: 200, seed: 12 },
  );
});

function sorted(store: ResourceStore) {
  return [...store.list('networking.istio.io', 'VirtualService')];
}
