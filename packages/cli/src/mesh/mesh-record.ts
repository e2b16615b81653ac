/**
 * What a running `sluice up` leaves for other commands to find: where its API is and which process it is. Kept in
 * the state directory, with a pointer in the user's runtime folder, so that commands work from other folders too.
 * Holds no secrets.
 */
import { createHash } from 'node:crypto';
import { lstatSync, mkdirSync, readFileSync, readdirSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { isAlive, type ProcessIdentity } from '../process/identity.ts';
import { stateFiles, writeFileWhole } from './state-dir.ts';

export interface MeshRecord {
  readonly name: string;
  /** Folder of sluice.yaml. */
  readonly dir: string;
  readonly stateDir: string;
  readonly process: ProcessIdentity;
  /** `host:port`. */
  readonly api: string;
  readonly xds: string;
  readonly secure: string;
  readonly metrics: string;
  readonly startedAt: string;
}

export type Env = Readonly<Record<string, string | undefined>>;

export function writeMeshRecord(record: MeshRecord, env: Env): void {
  const text = `${JSON.stringify(record, null, 2)}\n`;
  writeFileWhole(join(record.stateDir, stateFiles.mesh), text);
  const pointers = pointerDir(env);
  if (pointers !== undefined) writeFileWhole(join(pointers, pointerName(record.stateDir)), text);
}

export function removeMeshRecord(stateDir: string, env: Env): void {
  rmSync(join(stateDir, stateFiles.mesh), { force: true });
  const pointers = pointerDir(env);
  if (pointers !== undefined) rmSync(join(pointers, pointerName(stateDir)), { force: true });
}

/** The record of a state directory, running or left behind; undefined when there is none. */
export function readMeshRecord(stateDir: string): MeshRecord | undefined {
  return parseRecord(join(stateDir, stateFiles.mesh));
}

export function isRunning(record: MeshRecord): boolean {
  return isAlive(record.process);
}

/** Every mesh of this user that runs now. */
export function runningMeshes(env: Env): readonly MeshRecord[] {
  return recordedMeshes(env).filter(isRunning);
}

/** Also those whose `up` was killed. */
export function recordedMeshes(env: Env): readonly MeshRecord[] {
  const pointers = pointerDir(env);
  if (pointers === undefined) return [];
  const names = readdirSync(pointers).filter((name) => name.endsWith('.json'));
  const records = names.flatMap((name) => parseRecord(join(pointers, name)) ?? []);
  return records.sort((a, b) => (a.stateDir < b.stateDir ? -1 : 1));
}

/** Undefined when the folder is not this user's alone: another could have made it and point anywhere. */
export function pointerDir(env: Env): string | undefined {
  const uid = process.getuid?.() ?? 0;
  const runtime = env['XDG_RUNTIME_DIR'];
  const path =
    runtime !== undefined && runtime !== '' ? join(runtime, 'sluice') : join(tmpdir(), `sluice-run-${uid}`);
  try {
    mkdirSync(path, { recursive: true, mode: 0o700 });
    const stat = lstatSync(path);
    return stat.isDirectory() && stat.uid === uid && (stat.mode & 0o077) === 0 ? path : undefined;
  } catch {
    return undefined;
  }
}

export function pointerName(stateDir: string): string {
  return `${createHash('sha256').update(stateDir).digest('hex').slice(0, 16)}.json`;
}

function parseRecord(path: string): MeshRecord | undefined {
  try {
    const parsed = JSON.parse(readFileSync(path, 'utf8')) as Partial<MeshRecord>;
    const isWhole =
      typeof parsed.api === 'string' &&
      typeof parsed.stateDir === 'string' &&
      typeof parsed.process?.pid === 'number';
    return isWhole ? (parsed as MeshRecord) : undefined;
  } catch {
    return undefined; // Missing, or cut short by a full disk: as good as not there.
  }
}
