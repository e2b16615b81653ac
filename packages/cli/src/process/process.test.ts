/** Real processes: who they are, their groups, and what an earlier run left. */
import { describe, expect, test } from 'bun:test';
import { mkdirSync, readFileSync, readdirSync, rmdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { makeTempDir, waitFor, withTempDir } from '@sluice/testkit';
import { describeExit, spawnChild, type ChildSpec } from './child.ts';
import { identify, isAlive } from './identity.ts';
import { endLeftovers, ProcessLedger } from './ledger.ts';

function spec(argv: readonly string[], onText: (text: string) => void = () => {}): ChildSpec {
  return { argv, cwd: '/', env: { PATH: process.env['PATH'] ?? '' }, output: { onText } };
}

describe('identity', () => {
  test('is the same for the same process only', () => {
    const own = identify(process.pid);
    expect(own).toBeDefined();
    expect(identify(process.pid)).toEqual(own);
    expect(own !== undefined && isAlive(own)).toBe(true);
    expect(isAlive({ pid: process.pid, startedAt: 'another time' })).toBe(false);
    expect(identify(2 ** 22 + 7)).toBeUndefined();
  });
});

describe('children', () => {
  test('give their output and their exit', async () => {
    let text = '';
    const child = spawnChild(spec(['sh', '-c', 'echo out; echo err >&2; exit 3'], (part) => (text += part)));
    expect(describeExit(await child.exited)).toBe('exited with 3');
    await waitFor(() => text.includes('out') && text.includes('err'));
  });

  test('end with everything they started', async () => {
    const output: string[] = [];
    const child = spawnChild(spec(['sh', '-c', 'sleep 1000 & echo $!; wait'], (part) => output.push(part)));
    const grandchild = Number(await waitFor(() => output.join('').trim()));
    expect(identify(grandchild)).toBeDefined();
    child.signal('SIGTERM');
    expect(describeExit(await child.exited)).toBe('was killed by SIGTERM');
    await waitFor(() => identify(grandchild) === undefined);
  });

  test('run without a log that cannot be opened, and say so', async () => {
    const told: string[] = [];
    const file = join(makeTempDir(), 'no', 'such', 'folder.log');
    const child = spawnChild({
      ...spec(['sh', '-c', 'echo unheard; exit 5']),
      output: { file, onUnusable: (reason) => told.push(reason) },
    });
    expect(await child.exited).toEqual({ code: 5, signal: null });
    expect(told).toHaveLength(1);
    expect(told[0]).toContain('ENOENT');
  });

  test('that cannot be started say why instead of throwing', async () => {
    const missing = await spawnChild(spec(['no-such-program-xyz'])).exited;
    expect(describeExit(missing)).toMatch(/there is no program no-such-program-xyz/);
    const text = join(makeTempDir(), 'text');
    writeFileSync(text, 'no program\n', { mode: 0o755 });
    expect(describeExit(await spawnChild(spec([text])).exited)).toMatch(/cannot be executed|exited with/);
  });
});

describe('the ledger', () => {
  test('lets the next run end what is left, and nothing else', async () => {
    const dir = makeTempDir();
    const left = spawnChild(spec(['sleep', '1000']));
    const innocent = spawnChild(spec(['sleep', '1000']));
    const ledger = new ProcessLedger(dir, () => {});
    ledger.add('left', left.identity);
    // A pid that came around again belongs to somebody else by now.
    ledger.add(
      'innocent',
      innocent.identity === undefined ? undefined : { ...innocent.identity, startedAt: 'earlier' },
    );
    expect(await endLeftovers(dir)).toEqual(['left']);
    expect((await left.exited).signal).toBe('SIGKILL');
    expect(innocent.identity !== undefined && isAlive(innocent.identity)).toBe(true);
    innocent.signal('SIGKILL');
    await innocent.exited;
  });

  test('a disk that takes nothing is told once, ends nobody, and is made good by the next change', () =>
    withTempDir((dir) => {
      const told: string[] = [];
      const ledger = new ProcessLedger(dir, (text) => told.push(text));
      // A folder where the file belongs refuses writes for root, too.
      mkdirSync(join(dir, 'processes.json'));
      ledger.add('a', { pid: process.pid, startedAt: 'now' });
      ledger.add('b', { pid: 2 ** 22, startedAt: 'now' });
      expect(told).toHaveLength(1);
      expect(told[0]).toContain('which processes run cannot be written');
      expect(readdirSync(dir)).toEqual(['processes.json']);
      rmdirSync(join(dir, 'processes.json'));
      ledger.remove(2 ** 22);
      expect(JSON.parse(readFileSync(join(dir, 'processes.json'), 'utf8'))).toMatchObject([{ name: 'a' }]);
      expect(told).toHaveLength(1);
      return Promise.resolve();
    }));

  test('a damaged or missing file names nothing', () =>
    withTempDir(async (dir) => {
      expect(await endLeftovers(dir)).toEqual([]);
      writeFileSync(join(dir, 'processes.json'), '[{"pid": 1}, null, 7');
      expect(await endLeftovers(dir)).toEqual([]);
    }));
});
