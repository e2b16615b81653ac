import { afterEach, beforeEach, expect, test } from 'bun:test';
import { mkdirSync, mkdtempSync, renameSync, rmSync, symlinkSync, unlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createLogger } from '@sluice/runtime';
import { openFolderSource, type FolderSource, type ReadResourceText } from './folder.ts';
import { openMemoryStore } from './memory-store.ts';
import type { ResourceStore } from './store.ts';
import { fromFile, storeOptions, virtualService } from './store-suite.ts';

let root = '';
let store: ResourceStore;
let source: FolderSource | null = null;
let readFiles: string[] = [];
let logged: string[] = [];
const log = createLogger({ component: 'folder', write: (line) => logged.push(line) });

/** One resource per word: `name` or `name=value`; the word `BROKEN` is a syntax error. */
const readWords: ReadResourceText = (text, file) => {
  readFiles.push(file.slice(root.length + 1));
  const words = text.split(/\s+/).filter((word) => word !== '');
  if (words.includes('BROKEN')) {
    const problem = {
      code: 'syntax',
      severity: 'error',
      message: 'is broken',
      path: '',
      file,
      line: 3,
      column: 7,
    } as const;
    return { objects: [], problems: [problem] };
  }
  const objects = words.map((word) => {
    const [name = '', value] = word.split('=');
    return fromFile(file, virtualService(name, value === undefined ? {} : { value }));
  });
  return { objects, problems: [] };
};

beforeEach(() => {
  root = mkdtempSync(join(tmpdir(), 'sluice-folder-'));
  store = openMemoryStore(storeOptions());
  readFiles = [];
  logged = [];
});

afterEach(() => {
  source?.close();
  source = null;
  rmSync(root, { recursive: true, force: true });
});

const write = (name: string, text: string): void => writeFileSync(join(root, name), text);
const names = (): string =>
  [...store.all()]
    .map(({ key }) => key.name)
    .sort()
    .join(' ');
const open = (...paths: string[]): FolderSource =>
  (source = openFolderSource({ paths: paths.length === 0 ? [root] : paths, store, read: readWords, log }));

/** Resolves when the condition holds after a change of the store; the test's time limit is the only clock. */
function until(condition: () => boolean): Promise<void> {
  if (condition()) return Promise.resolve();
  return new Promise((done) => {
    const unsubscribe = store.subscribe(() => {
      if (!condition()) return;
      unsubscribe();
      done();
    });
  });
}

test('everything is loaded before opening returns: subfolders one level down, three extensions, no settings', () => {
  mkdirSync(join(root, 'more', 'deeper'), { recursive: true });
  write('a.yaml', 'a');
  write('b.yml', 'b');
  write('c.json', 'c');
  write('more/d.yaml', 'd');
  for (const ignored of ['sluice.yaml', 'notes.txt', '.hidden.yaml', 'a.yaml~', 'more/deeper/e.yaml'])
    write(ignored, 'ignored');
  open();
  expect(names()).toBe('a b c d');
});

test('a changed, a new and a deleted file are seen, and only what changed is read', async () => {
  write('a.yaml', 'a');
  write('b.yaml', 'b');
  open();
  readFiles = [];
  write('b.yaml', 'b=2');
  await until(
    () =>
      store.get({ group: 'networking.istio.io', kind: 'VirtualService', namespace: 'default', name: 'b' })
        ?.generation === 2,
  );
  write('c.yaml', 'c');
  await until(() => names() === 'a b c');
  unlinkSync(join(root, 'a.yaml'));
  await until(() => names() === 'b c');
  expect(readFiles).toEqual(['b.yaml', 'c.yaml']);
});

test('a save by rename is seen, and the temporary file is not a resource', async () => {
  write('a.yaml', 'a');
  open();
  write('.a.yaml.swp', 'x');
  write('a.yaml.tmp', 'a a2');
  renameSync(join(root, 'a.yaml.tmp'), join(root, 'a.yaml'));
  await until(() => names() === 'a a2');
});

test('a file moved aside and written anew loses nothing in between', async () => {
  write('a.yaml', 'a');
  open();
  const deleted: string[] = [];
  store.subscribe((changes) =>
    deleted.push(...changes.filter((change) => change.type === 'delete').map((change) => change.key.name)),
  );
  renameSync(join(root, 'a.yaml'), join(root, 'a.yaml~'));
  source?.look();
  write('a.yaml', 'a a2');
  await until(() => names() === 'a a2');
  expect(deleted).toEqual([]);
});

test('a file that is emptied and filled again loses nothing in between', async () => {
  write('a.yaml', 'a');
  open();
  const deleted: string[] = [];
  store.subscribe((changes) =>
    deleted.push(...changes.filter((change) => change.type === 'delete').map((change) => change.key.name)),
  );
  write('a.yaml', '');
  source?.look();
  write('a.yaml', 'a=2 b');
  await until(() => names() === 'a b');
  expect(deleted).toEqual([]);
});

test('a renamed file moves its resources with their identity', async () => {
  write('a.yaml', 'a');
  open();
  const key = { group: 'networking.istio.io', kind: 'VirtualService', namespace: 'default', name: 'a' };
  const uid = store.get(key)?.object.metadata.uid;
  renameSync(join(root, 'a.yaml'), join(root, 'z.yaml'));
  write('b.yaml', 'b');
  await until(() => names() === 'a b');
  expect(store.get(key)?.object.metadata.uid).toBe(uid ?? '');
  expect(store.files.map((file) => file.slice(root.length + 1)).sort()).toEqual(['b.yaml', 'z.yaml']);
});

test('a swapped symlink is seen, as mounted ConfigMaps do it', async () => {
  for (const version of ['v1', 'v2']) mkdirSync(join(root, `..${version}`));
  write('..v1/a.yaml', 'a');
  write('..v2/a.yaml', 'a b');
  symlinkSync('..v1', join(root, '..data'));
  symlinkSync('..data/a.yaml', join(root, 'a.yaml'));
  open();
  expect(names()).toBe('a');
  symlinkSync('..v2', join(root, '..data_tmp'));
  renameSync(join(root, '..data_tmp'), join(root, '..data'));
  await until(() => names() === 'a b');
});

test('a broken file keeps its last good resources and its problem names the place', async () => {
  write('a.yaml', 'a');
  write('b.yaml', 'b');
  open();
  write('a.yaml', 'a BROKEN');
  write('b.yaml', 'b b2');
  await until(() => names() === 'a b b2');
  while (!store.fileProblems.has(join(root, 'a.yaml'))) source?.look();
  expect(names()).toBe('a b b2');
  expect(logged.join('')).toContain(`${join(root, 'a.yaml')}:3:7: error`);
});

test('a second definition waits, and takes over when the first goes', async () => {
  write('a.yaml', 'x=first');
  write('b.yaml', 'x=second');
  open();
  const key = { group: 'networking.istio.io', kind: 'VirtualService', namespace: 'default', name: 'x' };
  expect(store.get(key)?.object.spec).toEqual({ value: 'first' });
  expect(store.fileProblems.get(join(root, 'b.yaml'))?.[0]?.code).toBe('duplicate-resource');
  unlinkSync(join(root, 'a.yaml'));
  await until(() => (store.get(key)?.object.spec as { value?: string } | undefined)?.value === 'second');
  expect(store.fileProblems.size).toBe(0);
});

test('a folder that vanishes keeps its resources; one that is not there at the start is refused', async () => {
  const folder = join(root, 'mesh');
  mkdirSync(folder);
  write('mesh/a.yaml', 'a');
  open(folder);
  renameSync(folder, join(root, 'elsewhere'));
  source?.look();
  source?.look();
  expect(names()).toBe('a');
  expect(logged.join('')).toContain('its resources stay as they were');
  mkdirSync(folder);
  write('mesh/b.yaml', 'b');
  await until(() => names() === 'b');
  expect(() => openFolderSource({ paths: [join(root, 'nowhere')], store, read: readWords, log })).toThrow(
    /does not exist/,
  );
});

test('what a file held before a restart and no longer holds is deleted at the start', () => {
  const old = join(root, 'old.yaml');
  store.replaceFile(old, [fromFile(old, virtualService('gone'))], []);
  write('a.yaml', 'a');
  open();
  expect(names()).toBe('a');
});

test('an optional folder may be missing, is taken over when it appears, and then counts as any other', () => {
  mkdirSync(join(root, 'there'));
  const mesh = join(root, 'mesh');
  source = openFolderSource({
    paths: [join(root, 'there')],
    optionalPaths: [mesh],
    store,
    read: readWords,
    log,
  });
  expect(names()).toBe('');
  expect(logged.join('')).not.toContain('cannot be read');
  mkdirSync(mesh);
  write('mesh/a.yaml', 'late');
  while (names() !== 'late') source.look();
  renameSync(mesh, join(root, 'gone'));
  source.look();
  expect(names()).toBe('late');
  expect(logged.join('')).toContain('a resource folder cannot be read; its resources stay as they were');
});

test('a checkout of many files is one line in the log, and what is wrong with one of them another', () => {
  mkdirSync(join(root, 'many'));
  for (let i = 0; i < 50; i++) write(`many/f${i}.yaml`, i === 7 ? 'BROKEN' : `r${i}`);
  open(join(root, 'many'));
  const text = logged.join('');
  expect(text).toContain('files=50');
  expect(text).not.toContain('resource file read');
  expect(text.match(/f7.yaml:3:7/g)).toHaveLength(1);
});
