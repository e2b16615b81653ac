/**
 * Finds h2spec, installs the pinned version with Go where it is missing, and runs it.
 *
 * v2.2.1 is the newest version that Go's module proxy serves: later tags carry a go.mod whose path does not
 * match their number. Its tests are numbered by RFC 7540.
 */
import { existsSync } from 'node:fs';
import { homedir } from 'node:os';

const MODULE = 'github.com/summerwind/h2spec/cmd/h2spec@v2.2.1+incompatible';
/** All tests of that version, the strict ones among them; a newer one in the path has more. */
export const H2SPEC_TESTS = 146;
/** Seconds that h2spec waits for an answer; it waits this long wherever silence is the right answer. */
const ANSWER_TIMEOUT_S = 2;

export interface H2specResult {
  readonly output: string;
  readonly passed: number;
  readonly skipped: number;
  readonly failed: number;
}

/** Path of the program; null if it is neither there nor can be installed. */
export function findH2spec(): string | null {
  const inPath = Bun.which('h2spec');
  if (inPath !== null) return inPath;
  const folder = `${homedir()}/go/bin`;
  const path = `${folder}/h2spec`;
  if (existsSync(path)) return path;
  const go = Bun.which('go');
  if (go === null) return null;
  const install = Bun.spawnSync([go, 'install', MODULE], {
    env: { ...process.env, GOBIN: folder, GOFLAGS: '-mod=mod' },
    stderr: 'inherit',
  });
  return install.exitCode === 0 && existsSync(path) ? path : null;
}

/** Runs all tests, strict ones too, against a server on this machine. */
export async function runH2spec(program: string, port: number, isTls: boolean): Promise<H2specResult> {
  const args = ['-S', '-h', '127.0.0.1', '-p', String(port), '-o', String(ANSWER_TIMEOUT_S)];
  const child = Bun.spawn([program, ...args, ...(isTls ? ['-t', '-k'] : [])], {
    stdout: 'pipe',
    stderr: 'pipe',
  });
  const [output, errors] = await Promise.all([child.stdout.text(), child.stderr.text(), child.exited]);
  const summary = /(\d+) tests, (\d+) passed, (\d+) skipped, (\d+) failed/.exec(output);
  if (summary === null) throw new Error(`h2spec printed no summary: ${output.slice(-400)}${errors}`);
  return {
    output,
    passed: Number(summary[2]),
    skipped: Number(summary[3]),
    failed: Number(summary[4]),
  };
}
