/**
 * Log files of a mesh: one per application, sidecar and control plane, kept small. Children write to them directly
 * in append mode, so that nothing is lost when we are killed; a file that grows too large is copied aside and
 * emptied, which appending writers do not notice.
 */
import {
  appendFileSync,
  copyFileSync,
  existsSync,
  mkdirSync,
  readFileSync,
  renameSync,
  rmSync,
  statSync,
  truncateSync,
} from 'node:fs';
import { join } from 'node:path';
import { stateFiles } from '../mesh/state-dir.ts';

/** Bytes after which a log is set aside; one predecessor is kept. */
const maxLogBytes = 16 * 1024 * 1024;
/** Bytes at a log's end that are looked at for its last lines. */
const tailBytes = 64 * 1024;

export type LogKind = 'app' | 'proxy' | 'control';

export function logPath(stateDir: string, kind: LogKind, instance = ''): string {
  const logs = join(stateDir, stateFiles.logs);
  return kind === 'control'
    ? join(logs, stateFiles.controlLog)
    : join(logs, kind === 'app' ? 'apps' : 'proxies', `${instance}.log`);
}

export function prepareLogs(stateDir: string): void {
  for (const kind of ['apps', 'proxies'])
    mkdirSync(join(stateDir, stateFiles.logs, kind), { recursive: true, mode: 0o700 });
}

/** At the start of a run: what an earlier one wrote moves aside. */
export function beginLog(path: string): void {
  if (existsSync(path)) renameSync(path, `${path}.1`);
}

/** To be called now and then while the mesh runs. */
export function capLog(path: string): void {
  if (!existsSync(path) || statSync(path).size <= maxLogBytes) return;
  try {
    copyFileSync(path, `${path}.1`);
  } catch (error) {
    // No room for the copy: what it would have kept is what has to go.
    if (!(error instanceof Error && 'code' in error)) throw error;
    rmSync(`${path}.1`, { recursive: true, force: true });
  }
  truncateSync(path, 0);
}

/** False when the disk did not take it: a line that is lost must not end who wrote it. */
export function appendLog(path: string, text: string): boolean {
  try {
    appendFileSync(path, text, { mode: 0o600 });
    return true;
  } catch (error) {
    if (!(error instanceof Error && 'code' in error)) throw error;
    return false;
  }
}

/** The last lines, for messages; empty when there is no log. */
export function lastLines(path: string, count: number): readonly string[] {
  if (!existsSync(path)) return [];
  const text = readFileSync(path, 'utf8').slice(-tailBytes);
  return text.trimEnd().split('\n').slice(-count);
}
