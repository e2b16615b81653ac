import { Database } from 'bun:sqlite';
import { afterAll, expect, test } from 'bun:test';
import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { backUpState, restoreState } from './backup.ts';
import { openSqliteStore } from './sqlite-store.ts';
import { openStateFile, schemaVersion } from './state-file.ts';
import { storeOptions, virtualService } from './store-suite.ts';

const root = mkdtempSync(join(tmpdir(), 'sluice-backup-'));
afterAll(() => rmSync(root, { recursive: true }));

const at = (name: string): string => join(root, name);

test('a backup made beside a running control plane puts everything back', () => {
  const file = openStateFile(at('state'));
  const store = openSqliteStore(file, storeOptions());
  store.put(virtualService('a', { x: 1 }), { origin: { source: 'api' }, mode: 'create' });
  const saved = [...store.all()];
  expect(backUpState(at('state'), at('copy.db'))).toMatchObject({ schemaVersion, revision: 1, resources: 1 });
  expect(statSync(at('copy.db')).mode & 0o777).toBe(0o600);
  store.put(virtualService('b'), { origin: { source: 'api' }, mode: 'create' });
  expect(() => restoreState(at('state'), at('copy.db'))).toThrow(/in use by another control plane/);
  store.close();
  file.close();

  expect(restoreState(at('state'), at('copy.db'))).toMatchObject({ revision: 1 });
  const restored = openStateFile(at('state'));
  expect([...openSqliteStore(restored, storeOptions()).all()]).toEqual(saved);
  restored.close();
  const kept = new Database(at('state/state.db.before-restore'), { readonly: true });
  expect(kept.query<{ n: number }, []>('SELECT count(*) AS n FROM object').get()?.n).toBe(2);
  kept.close();
});

test('a backup is put in place of a state that is damaged, which is kept as it was', () => {
  const file = openStateFile(at('hurt'));
  openSqliteStore(file, storeOptions()).put(virtualService('a'), {
    origin: { source: 'api' },
    mode: 'create',
  });
  backUpState(at('hurt'), at('good.db'));
  file.close();
  const garbage = 'no database any more, but long enough to be taken for one'.repeat(40);
  writeFileSync(at('hurt/state.db'), garbage);
  writeFileSync(at('hurt/state.db-wal'), garbage);
  expect(() => openStateFile(at('hurt'))).toThrow(/restore a backup/);
  expect(restoreState(at('hurt'), at('good.db'))).toMatchObject({ resources: 1 });
  const restored = openStateFile(at('hurt'));
  expect([...openSqliteStore(restored, storeOptions()).all()]).toHaveLength(1);
  restored.close();
  expect(readFileSync(at('hurt/state.db.before-restore'), 'utf8')).toBe(garbage);
});

test('a backup that fails leaves nothing behind', () => {
  mkdirSync(at('broken'));
  writeFileSync(at('broken/state.db'), 'not a database, but long enough to have a header'.repeat(4));
  expect(() => backUpState(at('broken'), at('left.db'))).toThrow();
  expect(existsSync(at('left.db'))).toBe(false);
});

test('what is not a backup, damaged, newer, or in the way is refused in words', () => {
  expect(() => backUpState(at('nowhere'), at('x.db'))).toThrow(/there is no state/);
  expect(() => backUpState(at('state'), at('copy.db'))).toThrow(/exists already/);
  writeFileSync(at('text.db'), 'not a database, but long enough to have a header'.repeat(4));
  expect(() => restoreState(at('state'), at('text.db'))).toThrow(/not a state file of sluice/);
  expect(() => restoreState(at('state'), at('missing.db'))).toThrow(/does not exist/);
  const newer = new Database(at('copy.db'));
  newer.run(`PRAGMA user_version = ${schemaVersion + 1}`);
  newer.close();
  expect(() => restoreState(at('state'), at('copy.db'))).toThrow(/written by a newer sluice/);
  openStateFile(at('state')).close();
});
