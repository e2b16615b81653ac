/** A log that cannot be written costs lines, never the process. */
import { expect, test } from 'bun:test';
import { closeSync, existsSync, openSync, readFileSync, renameSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { makeTempDir } from '@sluice/testkit';
import { openProcessLog } from './process-log.ts';

/** Linux's file that is always full. */
const full = '/dev/full';
const isLinux = existsSync(full);

test.if(isLinux)('a full disk behind standard error ends nobody', async () => {
  const program = `
    const { openProcessLog } = await import(${JSON.stringify(join(import.meta.dir, 'process-log.ts'))});
    const log = openProcessLog(null);
    for (let i = 0; i < 5; i++) { log.write('line\\n'); await Bun.sleep(0); }
    console.log('alive');`;
  const child = Bun.spawn([process.execPath, '-e', program], { stdout: 'pipe', stderr: Bun.file(full) });
  expect(await child.stdout.text()).toBe('alive\n');
  expect(await child.exited).toBe(0);
});

test.if(isLinux)('a full disk behind a file ends nobody', () => {
  const log = openProcessLog(full);
  log.write('line\n');
  log.write('line\n');
});

test('a file that was moved away is opened anew, or written on where that is not possible', () => {
  const dir = makeTempDir();
  const path = join(dir, 'proxy.log');
  const log = openProcessLog(path);
  log.write('one\n');
  renameSync(path, `${path}.1`);
  log.reopen();
  log.write('two\n');
  expect([readFileSync(`${path}.1`, 'utf8'), readFileSync(path, 'utf8')]).toEqual(['one\n', 'two\n']);
  const kept = openSync(path, 'r');
  rmSync(dir, { recursive: true });
  log.reopen();
  log.write('three\n');
  const [two, said, three] = readFileSync(kept, 'utf8').split('\n');
  expect([two, three]).toEqual(['two', 'three']);
  expect(said).toStartWith('the log cannot be opened anew (ENOENT');
  closeSync(kept);
});
