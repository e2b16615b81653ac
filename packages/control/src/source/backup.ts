/**
 * Backups of the state: a consistent copy of `state.db`, made by SQLite while the control plane runs, and put back
 * while none does. A copy is complete (resources, registrations, allotted ports, revision) and checked both ways.
 */
import { Database } from 'bun:sqlite';
import {
  chmodSync,
  closeSync,
  copyFileSync,
  existsSync,
  mkdirSync,
  openSync,
  renameSync,
  rmSync,
} from 'node:fs';
import { dirname, join } from 'node:path';
import { isControlError, localError } from '../errors.ts';
import { checkVersion, lockStateDir, stateFileName } from './state-file.ts';

export interface BackupSummary {
  readonly path: string;
  readonly schemaVersion: number;
  readonly revision: number;
  readonly resources: number;
}

/** Copies the state of `stateDir` to `path`, which must not exist. Works beside a running control plane. */
export function backUpState(stateDir: string, path: string): BackupSummary {
  const source = join(stateDir, stateFileName);
  if (!existsSync(source)) throw localError('state-missing', `there is no state in ${stateDir}`);
  if (existsSync(path))
    throw localError('backup-exists', `${path} exists already; name another file, or move it away`);
  // Before a key of the authority is in it; SQLite takes a file that is there while it is empty.
  closeSync(openSync(path, 'wx', 0o600));
  const database = new Database(source, { readonly: true });
  try {
    database.run('PRAGMA busy_timeout = 5000');
    database.run('VACUUM INTO ?', [path]);
  } catch (error) {
    rmSync(path, { force: true });
    throw error;
  } finally {
    database.close();
  }
  return inspect(path);
}

/**
 * Puts a backup in place of the state of `stateDir`; what was there is kept beside it as `state.db.before-restore`.
 * Throws `state-damaged`, `state-foreign` or `state-newer` for such a file, `state-in-use` while a control plane runs.
 */
export function restoreState(stateDir: string, path: string): BackupSummary {
  if (!existsSync(path)) throw localError('state-missing', `${path} does not exist`);
  const summary = inspect(path);
  mkdirSync(stateDir, { recursive: true, mode: 0o700 });
  const lock = lockStateDir(stateDir);
  try {
    const target = join(stateDir, stateFileName);
    const incoming = join(dirname(target), `${stateFileName}.incoming`);
    copyFileSync(path, incoming);
    chmodSync(incoming, 0o600);
    if (existsSync(target)) setAside(target);
    for (const suffix of ['-wal', '-shm']) rmSync(`${target}${suffix}`, { force: true });
    renameSync(incoming, target);
  } finally {
    lock.close();
  }
  return { ...summary, path: join(stateDir, stateFileName) };
}

/** The file that is kept is whole by itself; of one that is damaged, its write-ahead log is kept beside it. */
function setAside(target: string): void {
  const kept = `${target}.before-restore`;
  for (const suffix of ['', '-wal', '-shm']) rmSync(`${kept}${suffix}`, { force: true });
  const present = new Database(target);
  try {
    present.run('PRAGMA wal_checkpoint(TRUNCATE)');
  } catch {
    // Whatever is wrong with it, a backup takes its place.
    if (existsSync(`${target}-wal`)) copyFileSync(`${target}-wal`, `${kept}-wal`);
  } finally {
    present.close();
  }
  renameSync(target, kept);
}

function inspect(path: string): BackupSummary {
  const database = new Database(path, { readonly: true });
  try {
    const schemaVersion = checkVersion(database, path);
    if (schemaVersion === 0) throw localError('state-foreign', `${path} is not a state file of sluice`);
    const [check] = database.query<{ integrity_check: string }, []>('PRAGMA integrity_check').all();
    if (check?.integrity_check !== 'ok')
      throw localError('state-damaged', `${path} is damaged: ${check?.integrity_check}`);
    const revision = database.query<{ value: number }, []>('SELECT value FROM revision').get()?.value ?? 0;
    const resources = database.query<{ n: number }, []>('SELECT count(*) AS n FROM object').get()?.n ?? 0;
    return { path, schemaVersion, revision, resources };
  } catch (error) {
    if (isControlError(error)) throw error;
    throw localError(
      'state-damaged',
      `${path} is not a state file of sluice, or damaged (${String(error)})`,
      error,
    );
  } finally {
    database.close();
  }
}
