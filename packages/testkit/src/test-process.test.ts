import { afterAll, expect, test } from 'bun:test';
import { existsSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { cleanUp, onCleanUp } from './cleanup.ts';
import { waitFor } from './poll.ts';
import { makeTempDir, withTempDir } from './temp-dir.ts';
import { spawnBun, spawnCommand } from './test-process.ts';

afterAll(cleanUp);

test('lines of both streams are collected, and one is found whenever it came', async () => {
  const child = spawnCommand(['sh', '-c', 'echo out one; echo err two >&2; printf unfinished']);
  expect(await child.waitForLine(/^err \w+$/)).toBe('err two');
  expect(await child.waitForLine('out')).toBe('out one');
  expect(await child.waitForLine('unfinished')).toBe('unfinished');
  expect([await child.exited, child.isRunning]).toEqual([0, false]);
});

test('a line that never comes is reported with exit code and output', async () => {
  const child = spawnCommand(['sh', '-c', 'echo something else; exit 3'], { name: 'liar' });
  await expect(child.waitForLine('ready')).rejects.toThrow(
    /liar did not print ready: it exited with 3\nsomething else/,
  );
});

test('a script runs with Bun, its arguments and environment', async () => {
  const dir = makeTempDir();
  writeFileSync(join(dir, 'x.ts'), 'console.log(process.argv[2], process.env.COLOUR, process.cwd());');
  const child = spawnBun(join(dir, 'x.ts'), ['arg'], { env: { COLOUR: 'blue' }, cwd: dir });
  expect(await child.waitForLine('arg blue')).toBe(`arg blue ${dir}`);
});

test('stop ends a process that ignores SIGTERM, by force', async () => {
  const child = spawnCommand(['sh', '-c', 'trap "" TERM; echo ready; while :; do sleep 0.05; done'], {
    graceMs: 100,
  });
  await child.waitForLine('ready');
  expect(await child.stop()).toBe(137);
});

test('clean-up ends what runs, newest first, and reports what failed', async () => {
  const order: string[] = [];
  const child = spawnCommand(['sleep', '100']);
  onCleanUp(() => void order.push('first'));
  onCleanUp(() => void order.push('taken back'))();
  onCleanUp(() => {
    throw new Error('cannot');
  });
  onCleanUp(() => void order.push('last'));
  await expect(cleanUp()).rejects.toThrow('clean-up failed: Error: cannot');
  expect([order, child.isRunning]).toEqual([['last', 'first'], false]);
});

test('a temporary directory goes with its use, also after an error', async () => {
  let path = '';
  const use = withTempDir((dir) => {
    path = dir;
    expect(existsSync(dir)).toBe(true);
    throw new Error('in use');
  });
  await expect(use).rejects.toThrow('in use');
  expect(existsSync(path)).toBe(false);
});

test('waiting looks again until it sees something, and says what it missed', async () => {
  let looks = 0;
  expect(await waitFor(() => ++looks === 3 && 'seen', { intervalMs: 1 })).toBe('seen');
  const never = waitFor(
    () => {
      throw new Error('not yet');
    },
    { timeoutMs: 5, intervalMs: 1, what: 'the moon' },
  );
  await expect(never).rejects.toThrow('gave up after 5 ms waiting for: the moon');
});
