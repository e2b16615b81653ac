/** Logs are kept small, and never end who writes them. */
import { expect, test } from 'bun:test';
import { existsSync, mkdirSync, readFileSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { makeTempDir } from '@sluice/testkit';
import { appendLog, capLog } from './log-files.ts';

test('a line that the disk does not take is told, not thrown', () => {
  const dir = makeTempDir();
  expect(appendLog(join(dir, 'a.log'), 'x\n')).toBe(true);
  expect(appendLog(join(dir, 'gone', 'a.log'), 'x\n')).toBe(false);
});

test('a log that is too large is set aside; without room for the copy it is emptied all the same', () => {
  const path = join(makeTempDir(), 'a.log');
  writeFileSync(path, 'x'.repeat(16 * 1024 * 1024 + 1));
  capLog(path);
  expect([statSync(path).size, statSync(`${path}.1`).size]).toEqual([0, 16 * 1024 * 1024 + 1]);
  const full = join(makeTempDir(), 'b.log');
  writeFileSync(full, 'y'.repeat(16 * 1024 * 1024 + 1));
  mkdirSync(`${full}.1`);
  capLog(full);
  expect(readFileSync(full, 'utf8')).toBe('');
  expect(existsSync(full)).toBe(true);
});
