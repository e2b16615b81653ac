/** What this package's tests share: OpenSSL as an oracle, and files for it. */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { isProblem, type Problem } from './problem.ts';

/** The value, where a problem would be a failure of the test. */
export function good<T>(value: T | Problem): T {
  if (isProblem(value)) throw new Error(`${value.code}: ${value.message}`);
  return value;
}

export interface OracleResult {
  readonly status: number;
  readonly output: string;
}

/** Runs `openssl` in a folder of its own that holds `files`. */
export function openssl(
  args: readonly string[],
  files: Readonly<Record<string, string | Uint8Array>>,
): OracleResult {
  const folder = mkdtempSync(join(tmpdir(), 'sluice-openssl-'));
  try {
    for (const [name, content] of Object.entries(files)) writeFileSync(join(folder, name), content);
    const { exitCode, stdout, stderr } = Bun.spawnSync(['openssl', ...args], { cwd: folder });
    return { status: exitCode, output: stdout.toString() + stderr.toString() };
  } finally {
    rmSync(folder, { recursive: true });
  }
}
