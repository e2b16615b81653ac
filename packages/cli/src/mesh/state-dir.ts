/** The state directory: where it is, what is in it, and how its files are written. */
import { chmodSync, lstatSync, mkdirSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { createHash } from 'node:crypto';
import { tmpdir } from 'node:os';
import { basename, dirname, join, resolve } from 'node:path';
import { cliError } from '../errors.ts';

export const stateDirName = '.sluice';

/** Names of what lives in a state directory beside the control plane's own files. */
export const stateFiles = {
  token: 'token',
  mesh: 'mesh.json',
  ports: 'ports.json',
  logs: 'logs',
  controlLog: 'control.log',
  bootstraps: 'bootstrap',
  generated: 'generated',
  identity: 'identity',
} as const;

export interface ChosenStateDir {
  readonly path: string;
  /** Set when the folder could not hold it: why, for the user. */
  readonly fallbackReason?: string;
}

/**
 * The state directory of a mesh folder: inside it, or in the temporary folder when it cannot be written. Throws
 * `file-unusable` when somebody else is there.
 */
export function chooseStateDir(meshDir: string, explicit: string | undefined): ChosenStateDir {
  if (explicit !== undefined) return { path: resolve(explicit) };
  const inside = join(meshDir, stateDirName);
  if (canHoldState(inside)) return { path: inside };
  const id = createHash('sha256').update(resolve(meshDir)).digest('hex').slice(0, 12);
  const path = join(tmpdir(), `sluice-${process.getuid?.() ?? 0}-${basename(resolve(meshDir))}-${id}`);
  claimShared(path);
  return { path, fallbackReason: `${meshDir} cannot be written` };
}

/** Makes a directory that only this user can look into. */
export function makePrivateDir(path: string): void {
  mkdirSync(path, { recursive: true, mode: 0o700 });
  chmodSync(path, 0o700);
}

/** Writes by rename, readable by this user only. */
export function writeFileWhole(path: string, text: string): void {
  const incoming = join(dirname(path), `.${basename(path)}.${process.pid}.tmp`);
  try {
    writeFileSync(incoming, text, { mode: 0o600 });
    renameSync(incoming, path);
  } catch (error) {
    rmSync(incoming, { force: true });
    throw error;
  }
}

/**
 * Anybody can make a folder of this name before us, keep it his own, and read the keys that come to be in it: even
 * root, whom it would be writable for, takes only what it has made itself.
 */
function claimShared(path: string): void {
  try {
    mkdirSync(path, { mode: 0o700 });
    return;
  } catch (error) {
    if (!(error instanceof Error && 'code' in error && error.code === 'EEXIST')) throw error;
  }
  const found = lstatSync(path);
  if (found.isDirectory() && found.uid === process.getuid?.()) return;
  throw cliError('file-unusable', `${path} belongs to another user: name a folder with --state-dir`);
}

/** Tried rather than asked: permissions, read-only file systems and users without limits all answer differently. */
function canHoldState(path: string): boolean {
  const probe = join(path, `.probe.${process.pid}`);
  try {
    mkdirSync(path, { recursive: true, mode: 0o700 });
    writeFileSync(probe, '');
    rmSync(probe);
    return true;
  } catch {
    return false;
  }
}
