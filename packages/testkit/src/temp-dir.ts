/** Temporary directories that vanish with the test. */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { onCleanUp } from './cleanup.ts';

/** Runs `use` with a fresh directory and removes it afterwards, also when `use` throws. */
export async function withTempDir<T>(use: (path: string) => T | Promise<T>): Promise<T> {
  const path = mkdtempSync(join(tmpdir(), 'sluice-test-'));
  try {
    return await use(path);
  } finally {
    rmSync(path, { recursive: true, force: true });
  }
}

/** A fresh directory that is removed at clean-up. */
export function makeTempDir(): string {
  const path = mkdtempSync(join(tmpdir(), 'sluice-test-'));
  onCleanUp(() => rmSync(path, { recursive: true, force: true }));
  return path;
}
