/** Finding meshes, remembering them, and agreeing on ports. */
import { describe, expect, test } from 'bun:test';
import { chmodSync, mkdirSync, readdirSync, rmSync, statSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { makeTempDir } from '@sluice/testkit';
import { parseArgs } from '../args/parse.ts';
import { meshFlags } from '../args/flags.ts';
import { identify } from '../process/identity.ts';
import { findMesh, findStateDir } from './find-mesh.ts';
import {
  readMeshRecord,
  removeMeshRecord,
  runningMeshes,
  writeMeshRecord,
  type MeshRecord,
} from './mesh-record.ts';
import { PortReservations } from './port-reservations.ts';
import { chooseStateDir, makePrivateDir, writeFileWhole } from './state-dir.ts';

function world() {
  const root = makeTempDir();
  const env = { XDG_RUNTIME_DIR: join(root, 'runtime') };
  const folder = (name: string): string => {
    mkdirSync(join(root, name, '.sluice'), { recursive: true });
    writeFileSync(join(root, name, '.sluice', 'token'), `token of ${name}\n`);
    return join(root, name);
  };
  const find = (cwd: string, words: readonly string[] = [], more: Record<string, string> = {}) =>
    findMesh({ args: parseArgs(words, meshFlags), env: { ...env, ...more }, cwd });
  return { root, env, folder, find };
}

function record(dir: string, more: Partial<MeshRecord> = {}): MeshRecord {
  const own = identify(process.pid);
  if (own === undefined) throw new Error('no identity');
  return {
    name: 'shop',
    dir,
    stateDir: join(dir, '.sluice'),
    process: own,
    api: '127.0.0.1:25080',
    xds: '',
    secure: '',
    metrics: '',
    startedAt: '',
    ...more,
  };
}

describe('which mesh is meant', () => {
  test('that of the folder, or of one above it; running, it says where its API is', () => {
    const { folder, find, env } = world();
    const shop = folder('shop');
    mkdirSync(join(shop, 'mesh', 'deep'), { recursive: true });
    expect(find(join(shop, 'mesh', 'deep'))).toMatchObject({
      apiUrl: 'http://127.0.0.1:15080',
      token: 'token of shop',
      record: undefined,
    });
    writeMeshRecord(record(shop), env);
    expect(find(shop).apiUrl).toBe('http://127.0.0.1:25080');
    removeMeshRecord(join(shop, '.sluice'), env);
    expect(readMeshRecord(join(shop, '.sluice'))).toBeUndefined();
  });

  test('one whose "up" was killed, and that serves on without it, is told with what to do', () => {
    const { root, folder, find, env } = world();
    const shop = folder('shop');
    const gone = { pid: 2 ** 22 + 1, startedAt: 'never' };
    writeMeshRecord(record(shop, { process: gone }), env);
    expect(() => find(root)).toThrow('no mesh runs here: start one with "sluice up"');
    const own = identify(process.pid);
    writeFileSync(join(shop, '.sluice', 'processes.json'), JSON.stringify([{ name: 'web', ...own }]));
    expect(() => find(root)).toThrow(
      `no mesh runs here: "sluice up" of ${shop} was killed and left 1 process behind; "sluice up ${shop}" ends them and starts it again`,
    );
    expect(find(shop)).toMatchObject({
      apiUrl: 'http://127.0.0.1:25080',
      record: undefined,
      abandonment: expect.stringContaining('was killed and left 1 process behind'),
    });
    writeFileSync(join(shop, '.sluice', 'processes.json'), '[]');
    expect(find(shop)).toMatchObject({ apiUrl: 'http://127.0.0.1:15080', abandonment: undefined });
  });

  test('else the one that runs, those below this folder first; several are asked about', () => {
    const { root, folder, find, env } = world();
    const [one, two] = [folder('a/one'), folder('b/two')];
    expect(() => find(root)).toThrow('no mesh runs here: start one with "sluice up"');
    writeMeshRecord(record(one), env);
    expect(find(root).stateDir).toBe(join(one, '.sluice'));
    writeMeshRecord(record(two, { name: 'other' }), env);
    expect(find(join(root, 'b')).stateDir).toBe(join(two, '.sluice'));
    expect(() => find(root)).toThrow(
      /several meshes run: choose one[\s\S]*one\/\.sluice[\s\S]*two\/\.sluice {2}\(other\)/,
    );
    writeMeshRecord(record(two, { process: { pid: process.pid, startedAt: 'earlier' } }), env);
    expect(runningMeshes(env).map(({ dir }) => dir)).toEqual([one]);
  });

  test('or the one that flags and environment name', () => {
    const { root, folder, find } = world();
    const shop = folder('shop');
    expect(find(root, ['--state-dir', 'shop/.sluice']).token).toBe('token of shop');
    expect(find('/', [], { SLUICE_STATE_DIR: join(shop, '.sluice') }).token).toBe('token of shop');
    expect(
      find('/', ['--server', 'localhost:1', '--token-file', join(shop, '.sluice', 'token')]),
    ).toMatchObject({ apiUrl: 'http://localhost:1', stateDir: undefined });
    expect(() => find('/', ['--server', 'localhost:1'])).toThrow('--server needs --token-file');
    expect(() => find('/', ['--state-dir', '/nowhere'])).toThrow(
      'the token file /nowhere/token cannot be read',
    );
    expect(findStateDir({ args: parseArgs(['--state-dir', 'x'], meshFlags), env: {}, cwd: '/here' })).toBe(
      '/here/x',
    );
  });

  test('pointers in a folder that others may write are not believed', () => {
    const { env, folder } = world();
    writeMeshRecord(record(folder('shop')), env);
    chmodSync(join(env.XDG_RUNTIME_DIR, 'sluice'), 0o777);
    expect(runningMeshes(env)).toEqual([]);
  });
});

describe('the state directory', () => {
  test('is inside the folder, private, and its files are never half written', () => {
    const dir = makeTempDir();
    expect(chooseStateDir(dir, undefined)).toEqual({ path: join(dir, '.sluice') });
    expect(chooseStateDir(dir, '/elsewhere')).toEqual({ path: '/elsewhere' });
    makePrivateDir(join(dir, '.sluice'));
    writeFileWhole(join(dir, '.sluice', 'a'), 'text');
    expect(statSync(join(dir, '.sluice')).mode & 0o777).toBe(0o700);
    expect(statSync(join(dir, '.sluice', 'a')).mode & 0o777).toBe(0o600);
    expect(readdirSync(join(dir, '.sluice'))).toEqual(['a']);
  });

  test.if(process.platform === 'linux')(
    'is in the temporary folder when the folder cannot be written',
    () => {
      const { path, fallbackReason } = chooseStateDir('/proc', undefined);
      expect(fallbackReason).toBe('/proc cannot be written');
      expect(path.startsWith(tmpdir())).toBe(true);
      expect(chooseStateDir('/proc', undefined).path).toBe(path);
      rmSync(path, { recursive: true });
      symlinkSync(makeTempDir(), path);
      try {
        expect(() => chooseStateDir('/proc', undefined)).toThrow('belongs to another user');
      } finally {
        rmSync(path);
      }
    },
  );
});

describe('port reservations', () => {
  const firstFree = (isTaken: (port: number) => boolean) => {
    const port = [1, 2, 3, 4, 5, 6, 7, 8].find((one) => !isTaken(one)) ?? 0;
    return { result: port, spans: [[port, port]] as const };
  };

  test('many planners at once never get the same port, and free theirs when they end', async () => {
    const env = { XDG_RUNTIME_DIR: makeTempDir() };
    const planners = Array.from({ length: 6 }, (_, index) => new PortReservations(`/mesh/${index}`, env));
    const ports = await Promise.all(planners.map((planner) => planner.plan(firstFree)));
    expect(ports.toSorted()).toEqual([1, 2, 3, 4, 5, 6]);
    planners[ports.indexOf(2)]?.release();
    expect(await new PortReservations('/mesh/new', env).plan(firstFree)).toBe(2);
  });

  test('a planner may take its own ports again, and those of one that was killed', async () => {
    const env = { XDG_RUNTIME_DIR: makeTempDir() };
    const planner = new PortReservations('/mesh', env);
    expect(await planner.plan(firstFree)).toBe(1);
    expect(await planner.plan(firstFree)).toBe(1);
    const gone = { process: { pid: process.pid, startedAt: 'earlier' }, spans: [[2, 8]] };
    writeFileSync(join(env.XDG_RUNTIME_DIR, 'sluice', 'gone.ports'), JSON.stringify(gone));
    writeFileSync(join(env.XDG_RUNTIME_DIR, 'sluice', 'planning.lock'), JSON.stringify(gone.process));
    expect(await new PortReservations('/other', env).plan(firstFree)).toBe(2);
  });
});
