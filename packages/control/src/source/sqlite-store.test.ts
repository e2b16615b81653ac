import { Database } from 'bun:sqlite';
import { afterAll, describe, expect, test } from 'bun:test';
import {
  closeSync,
  existsSync,
  mkdtempSync,
  openSync,
  renameSync,
  rmSync,
  statSync,
  writeFileSync,
  writeSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { keyOf } from '@sluice/api';
import { openSqliteStore } from './sqlite-store.ts';
import { migrations, openStateFile, schemaVersion } from './state-file.ts';
import { describeStore, fromFile, problem, storeOptions, virtualService } from './store-suite.ts';

const root = mkdtempSync(join(tmpdir(), 'sluice-store-'));
let directories = 0;
const newDirectory = (): string => join(root, String(directories++));

afterAll(() => rmSync(root, { recursive: true }));

describeStore('SQLite store', (options) => openSqliteStore(openStateFile(newDirectory()), options));

describe('SQLite state', () => {
  test('survives closing: objects, revision, uid, last good generation', () => {
    const directory = newDirectory();
    const file = openStateFile(directory);
    const store = openSqliteStore(file, storeOptions());
    store.replaceFile('/a.yaml', [fromFile('/a.yaml', virtualService('a', { good: 1 }))], []);
    store.replaceFile(
      '/a.yaml',
      [fromFile('/a.yaml', virtualService('a', { bad: 1 }), [problem('spec.bad')])],
      [],
    );
    store.put(virtualService('b'), { origin: { source: 'api' }, mode: 'create' });
    const before = [...store.all()];
    store.close();
    file.close();

    const reopened = openStateFile(directory);
    const again = openSqliteStore(reopened, storeOptions());
    expect([...again.all()]).toEqual(before);
    expect(again.get(keyOf(virtualService('a')))?.serving?.spec).toEqual({ good: 1, retries: 2 });
    expect(again.revision).toBe(3);
    expect(again.files).toEqual(['/a.yaml']);
    expect(again.changesSince(3)).toEqual([]);
    reopened.close();
  });

  test('a watch goes on after a restart, within the bound of the log', () => {
    const directory = newDirectory();
    const options = storeOptions({ logLength: 4 });
    const api = { source: 'api' } as const;
    const file = openStateFile(directory);
    const store = openSqliteStore(file, options);
    for (const name of ['a', 'b', 'c']) store.put(virtualService(name), { origin: api, mode: 'create' });
    store.put(virtualService('b', { x: 1 }), { origin: api, mode: 'update' });
    store.delete(keyOf(virtualService('a')), { origin: api });
    const last = store.changesSince(4);
    store.close();
    file.close();

    const reopened = openStateFile(directory);
    const again = openSqliteStore(reopened, options);
    again.put(virtualService('d'), { origin: api, mode: 'create' });
    const missed = again.changesSince(2) ?? [];
    expect(missed.map(({ revision, key, after }) => [revision, key.name, after?.object.spec])).toEqual([
      [3, 'c', {}],
      [4, 'b', { x: 1 }],
      [5, 'a', undefined],
      [6, 'd', {}],
    ]);
    expect(missed[1]?.before?.object.metadata).toMatchObject({ name: 'b' });
    expect(missed[2]?.before?.object).toEqual(last?.[0]?.before?.object);
    expect(again.changesSince(1)).toBeNull();
    reopened.close();
  });

  test('is private to its user', () => {
    const directory = newDirectory();
    const file = openStateFile(directory);
    openSqliteStore(file, storeOptions()).put(virtualService('a'), {
      origin: { source: 'api' },
      mode: 'create',
    });
    expect(statSync(directory).mode & 0o777).toBe(0o700);
    for (const name of ['state.db', 'state.db-wal', 'control.lock']) {
      expect(statSync(join(directory, name)).mode & 0o777).toBe(0o600);
    }
    file.close();
  });

  test('a full disk fails writes, keeps memory as it was, and reads go on', () => {
    const file = openStateFile(newDirectory());
    const store = openSqliteStore(file, storeOptions());
    const { key } = expectStored(
      store.put(virtualService('a'), { origin: { source: 'api' }, mode: 'create' }),
    );
    const pages = file.database.query<{ page_count: number }, []>('PRAGMA page_count').get()?.page_count ?? 0;
    file.database.run(`PRAGMA max_page_count = ${pages}`);
    const large = virtualService('big', { text: 'x'.repeat(200_000) });
    const result = store.put(large, { origin: { source: 'api' }, mode: 'create' });
    expect(result).toMatchObject({ ok: false, failure: { code: 'state-unwritable' } });
    expect(store.get(keyOf(large))).toBeNull();
    expect(store.get(key)).not.toBeNull();
    expect(store.revision).toBe(1);
    file.database.run('PRAGMA max_page_count = 100000');
    expect(store.put(large, { origin: { source: 'api' }, mode: 'create' }).ok).toBe(true);
    file.close();
  });

  test('what hinders writes is told for as long as it does, and is tried again when asked', () => {
    const directory = newDirectory();
    const file = openStateFile(directory);
    const store = openSqliteStore(file, storeOptions());
    expect(file.trouble()).toBeNull();
    file.database.run('PRAGMA query_only = ON');
    const refused = store.put(virtualService('a'), { origin: { source: 'api' }, mode: 'create' });
    expect(refused).toMatchObject({ ok: false, failure: { code: 'state-unwritable' } });
    expect(file.trouble()).toContain(`the state in ${join(directory, 'state.db')} could not be written`);
    expect(file.trouble()).toContain('make its folder writable');
    file.database.run('PRAGMA query_only = OFF');
    expect(file.trouble()).toBeNull();
    expect(store.put(virtualService('a'), { origin: { source: 'api' }, mode: 'create' }).ok).toBe(true);
    file.close();
  });

  test('a state directory that was taken away is told', () => {
    const directory = newDirectory();
    const file = openStateFile(directory);
    renameSync(directory, `${directory}-gone`);
    expect(file.trouble()).toContain('cannot be looked at');
    renameSync(`${directory}-gone`, directory);
    expect(file.trouble()).toBeNull();
    file.close();
  });

  test('a state that was there and is empty now is refused, not begun anew', () => {
    const directory = newDirectory();
    openStateFile(directory).close();
    writeFileSync(join(directory, 'token'), 'x');
    openStateFile(directory).close();
    rmSync(join(directory, 'state.db'));
    expect(() => openStateFile(directory)).toThrow(/this mesh has run before: its state is lost or damaged/);
    expect(() => openStateFile(directory)).toThrow(/restore a backup/);
    rmSync(join(directory, 'token'));
    openStateFile(directory).close();
  });

  test('damage is found at the start, and later by the first write, which is refused while reads go on', () => {
    const directory = newDirectory();
    const path = join(directory, 'state.db');
    const file = openStateFile(directory);
    const store = openSqliteStore(file, storeOptions());
    for (let i = 0; i < 200; i++)
      store.put(virtualService(`a${i}`, { text: 'x'.repeat(500) }), {
        origin: { source: 'api' },
        mode: 'create',
      });
    file.database.run('PRAGMA wal_checkpoint(TRUNCATE)');
    const size = statSync(path).size;
    const garbage = Buffer.alloc(size - 8192, 0xa5);
    const fd = openSync(path, 'r+');
    writeSync(fd, garbage, 0, garbage.length, 4096);
    closeSync(fd);
    file.database.run('PRAGMA shrink_memory');
    const refused = store.put(virtualService('b'), { origin: { source: 'api' }, mode: 'create' });
    expect(refused).toMatchObject({ ok: false, failure: { code: 'state-unwritable' } });
    expect(file.trouble()).toContain('it is damaged: stop the mesh');
    expect(store.get(keyOf(virtualService('a7')))).not.toBeNull();
    file.close();
    expect(() => openStateFile(directory)).toThrow(/is damaged/);
  });

  test('a state directory that cannot be made is refused in words', () => {
    const file = newDirectory();
    writeFileSync(file, 'a file');
    expect(() => openStateFile(join(file, 'state'))).toThrow(/cannot be written .*name another/);
  });

  test('a second control plane on the same directory is refused in words', () => {
    const directory = newDirectory();
    const file = openStateFile(directory);
    expect(() => openStateFile(directory)).toThrow(/in use by another control plane/);
    file.close();
    openStateFile(directory).close();
  });

  test('a file of a newer version, and one that is not ours, are refused in words', () => {
    const directory = newDirectory();
    openStateFile(directory).close();
    const newer = new Database(join(directory, 'state.db'));
    newer.run(`PRAGMA user_version = ${schemaVersion + 1}`);
    newer.close();
    expect(() => openStateFile(directory)).toThrow(/written by a newer sluice/);

    const foreign = newDirectory();
    openStateFile(foreign).close();
    const database = new Database(join(foreign, 'state.db'));
    database.run('PRAGMA application_id = 7');
    database.close();
    expect(() => openStateFile(foreign)).toThrow(/is not a state file of sluice/);
  });

  test('kill -9 right after an answer loses nothing and frees the directory', async () => {
    const directory = newDirectory();
    const child = Bun.spawn(
      [process.execPath, join(import.meta.dir, 'testdata', 'write-and-wait.ts'), directory],
      {
        stdout: 'pipe',
        stderr: 'inherit',
      },
    );
    const { value } = await child.stdout.getReader().read();
    expect(new TextDecoder().decode(value).trim()).toBe('revision 50');
    child.kill('SIGKILL');
    await child.exited;
    const file = openStateFile(directory);
    const store = openSqliteStore(file, storeOptions());
    expect(store.revision).toBe(50);
    expect(store.list('networking.istio.io', 'VirtualService')).toHaveLength(50);
    file.close();
    expect(existsSync(join(directory, 'state.db'))).toBe(true);
  });
});

function expectStored(result: ReturnType<ReturnType<typeof openSqliteStore>['put']>) {
  if (!result.ok) throw new Error(result.failure.message);
  return result.stored;
}

describe('migrations', () => {
  const addColumn = 'ALTER TABLE object ADD COLUMN note TEXT';

  test('bring an older file up after copying it', () => {
    const directory = newDirectory();
    const file = openStateFile(directory);
    openSqliteStore(file, storeOptions()).put(virtualService('a'), {
      origin: { source: 'api' },
      mode: 'create',
    });
    file.close();
    const newer = openStateFile(directory, [...migrations, addColumn]);
    const row = newer.database.query<{ name: string; note: null }, []>('SELECT name, note FROM object').get();
    expect(row).toEqual({ name: 'a', note: null });
    newer.close();
    const copy = join(directory, `state.db.v${schemaVersion}.bak`);
    expect(statSync(copy).mode & 0o777).toBe(0o600);
    const old = new Database(copy, { readonly: true });
    expect(old.query<{ user_version: number }, []>('PRAGMA user_version').get()?.user_version).toBe(
      schemaVersion,
    );
    old.close();
    expect(() => openStateFile(directory)).toThrow(/written by a newer sluice/);
  });

  test('change nothing when one of them fails', () => {
    const directory = newDirectory();
    openStateFile(directory).close();
    expect(() =>
      openStateFile(directory, [...migrations, addColumn, 'ALTER TABLE nothing ADD COLUMN x']),
    ).toThrow();
    const file = openStateFile(directory);
    const columns = file.database.query<{ name: string }, []>('PRAGMA table_info(object)').all();
    expect(columns.map((column) => column.name)).not.toContain('note');
    file.close();
  });
});
