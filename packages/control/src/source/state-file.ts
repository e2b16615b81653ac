/**
 * `state.db` in the state directory: the one SQLite file of a control plane (design §6, State). Here: opening it
 * privately and exclusively, its schema and migrations. What is in it belongs to the journal and the registry.
 *
 * One process at a time: a second database file beside it, `control.lock`, is held locked for as long as the
 * process lives, kill -9 included, while `state.db` itself stays readable for `sluice backup`.
 */
import { Database } from 'bun:sqlite';
import { chmodSync, closeSync, existsSync, mkdirSync, openSync, statfsSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { authoritySchema, lineageSchema } from '../authority/authority-schema.ts';
import { hasErrorCode, localError } from '../errors.ts';
import { watchLogSchema } from './watch-log.ts';

export const stateFileName = 'state.db';
const lockFileName = 'control.lock';
/** Made after the first state was written (access.ts): tells a new state directory from one that lost its state. */
const tokenFileName = 'token';

/** "SLUI": tells our file from any other SQLite file. */
export const applicationId = 0x534c5549;

/** Each entry takes the file from version i to i + 1; entries are only ever appended. */
export const migrations: readonly string[] = [
  `CREATE TABLE revision (id INTEGER PRIMARY KEY CHECK (id = 1), value INTEGER NOT NULL);
   INSERT INTO revision VALUES (1, 0);
   CREATE TABLE object (
     grp TEXT NOT NULL, kind TEXT NOT NULL, namespace TEXT NOT NULL, name TEXT NOT NULL,
     generation INTEGER NOT NULL, revision INTEGER NOT NULL, created_ms INTEGER NOT NULL,
     origin TEXT NOT NULL, content TEXT NOT NULL, serving TEXT, problems TEXT NOT NULL,
     PRIMARY KEY (grp, kind, namespace, name)
   );
   CREATE TABLE registration (
     instance TEXT PRIMARY KEY, content TEXT NOT NULL, token_hash TEXT NOT NULL,
     registered_wall_ms INTEGER NOT NULL, is_healthy INTEGER NOT NULL, health_message TEXT NOT NULL
   );
   CREATE TABLE outbound_port (
     instance TEXT NOT NULL, hostname TEXT NOT NULL, port INTEGER NOT NULL, local_port INTEGER NOT NULL,
     PRIMARY KEY (instance, hostname, port)
   );`,
  authoritySchema,
  lineageSchema,
  watchLogSchema,
];

/** Small writes may still fit into what SQLite has already; the next change that matters does not. */
const minFreeBytes = 1024 * 1024;

export const schemaVersion = migrations.length;

export interface StateFile {
  readonly database: Database;
  readonly path: string;
  /** Runs `work` in one durable transaction, or throws `state-unwritable` with nothing written. */
  transact(work: () => void): void;
  /** Why the disk takes no writes, by a write that failed and still does; null while all is well. */
  trouble(): string | null;
  close(): void;
}

/**
 * Opens or creates the state of `stateDir`. Throws `state-in-use`, `state-newer`, `state-foreign` or `state-damaged`.
 * Tests give other `steps`.
 */
export function openStateFile(stateDir: string, steps: readonly string[] = migrations): StateFile {
  const lock = claimStateDir(stateDir);
  const path = join(stateDir, stateFileName);
  const hasRunBefore = existsSync(join(stateDir, tokenFileName));
  createPrivately(path);
  const database = new Database(path);
  try {
    database.run('PRAGMA journal_mode = WAL');
    database.run('PRAGMA synchronous = FULL');
    database.run('PRAGMA busy_timeout = 5000');
    // Beginning anew where there was a mesh would be silent: another authority, and nothing that was applied.
    if (hasRunBefore && checkVersion(database, path, steps.length) === 0) throw lostState(path);
    migrate(database, path, steps);
    // What a crash left in the log beside the file goes into the file, which notices damage; the log just ends there.
    checkpoint(database);
    checkWhole(database, path);
  } catch (error) {
    database.close();
    lock.close();
    throw describeOpenFailure(error, path);
  }
  let trouble: string | null = null;
  let isDamaged = false;
  const attempt = (work: () => void): void => {
    try {
      transact(database, path, work);
      if (!isDamaged) trouble = null;
    } catch (error) {
      isDamaged ||= isError(error) && damageCodes.has(codeOf(error.cause));
      if (hasErrorCode(error, 'state-unwritable')) trouble = error.message;
      throw error;
    }
  };
  return {
    database,
    path,
    transact: attempt,
    trouble() {
      const ofDisk = diskTrouble(stateDir);
      if (ofDisk !== null) return ofDisk;
      // Whoever asks wants to know of now: the refused write may have been the last.
      if (trouble === null || isDamaged) return trouble;
      try {
        attempt(() => database.run('UPDATE revision SET value = value'));
      } catch (error) {
        if (!hasErrorCode(error, 'state-unwritable')) throw error;
      }
      return trouble;
    },
    close() {
      database.close();
      lock.close();
    },
  };
}

/** Throws `state-in-use`, or `state-unwritable` for a directory that cannot be written. */
function claimStateDir(stateDir: string): { close(): void } {
  try {
    mkdirSync(stateDir, { recursive: true, mode: 0o700 });
    chmodSync(stateDir, 0o700);
    return lockStateDir(stateDir);
  } catch (error) {
    if (!['EACCES', 'EPERM', 'EROFS', 'ENOTDIR'].includes(codeOf(error)))
      throw asStorageError(error, stateDir);
    throw localError(
      'state-unwritable',
      `the state directory ${stateDir} cannot be written (${(error as Error).message}); make it writable for this user, or name another with --state-dir`,
      error,
    );
  }
}

/** Held until closed. Throws `state-in-use` when another process holds it. */
export function lockStateDir(stateDir: string): { close(): void } {
  const path = join(stateDir, lockFileName);
  createPrivately(path);
  const lock = new Database(path);
  try {
    // A journal on disk would need room, and a full disk must not keep a control plane from starting.
    lock.run('PRAGMA journal_mode = MEMORY');
    lock.run('PRAGMA locking_mode = EXCLUSIVE');
    lock.run('BEGIN EXCLUSIVE');
  } catch (error) {
    lock.close();
    if (codeOf(error) !== 'SQLITE_BUSY') throw error;
    throw localError(
      'state-in-use',
      `the state in ${stateDir} is in use by another control plane; stop that one, or give this one its own --state-dir`,
    );
  }
  return { close: () => lock.close() };
}

/** The file's schema version; throws `state-foreign` or `state-newer`. */
export function checkVersion(database: Database, path: string, known = schemaVersion): number {
  const version = pragma(database, 'user_version');
  const id = pragma(database, 'application_id');
  const isEmpty = version === 0 && id === 0;
  if (!isEmpty && id !== applicationId)
    throw localError('state-foreign', `${path} is not a state file of sluice`);
  if (version > known) {
    throw localError(
      'state-newer',
      `${path} has version ${version}, this program knows up to ${known}: it was written by a newer ` +
        'sluice. Start that version, or restore a backup made before the upgrade',
    );
  }
  return version;
}

/** All missing steps in one transaction, after a copy of what was there: a step that fails changes nothing. */
function migrate(database: Database, path: string, steps: readonly string[]): void {
  const version = checkVersion(database, path, steps.length);
  if (version === steps.length) return;
  if (version > 0) backUpBefore(database, `${path}.v${version}.bak`);
  transact(database, path, () => {
    for (const step of steps.slice(version)) database.exec(step);
    database.run(`PRAGMA application_id = ${applicationId}`);
    database.run(`PRAGMA user_version = ${steps.length}`);
  });
}

/** A copy from an earlier attempt is kept: it is the older, and therefore the safer one. */
function backUpBefore(database: Database, path: string): void {
  if (existsSync(path)) return;
  database.run('VACUUM INTO ?', [path]);
  chmodSync(path, 0o600);
}

function transact(database: Database, path: string, work: () => void): void {
  try {
    database.run('BEGIN IMMEDIATE');
    work();
    database.run('COMMIT');
  } catch (error) {
    if (database.inTransaction) database.run('ROLLBACK');
    throw asStorageError(error, path);
  }
}

/** The file is not what was written: told for as long as this process lives, since other parts may still do. */
const damageCodes: ReadonlySet<string> = new Set(['SQLITE_CORRUPT', 'SQLITE_NOTADB']);

/**
 * Codes that say "the disk took no more": quota, full, failing to extend a file, made read-only, or damaged. They
 * are one error, since one thing follows: writes are refused, and what is in memory goes on.
 */
function asStorageError(error: unknown, path: string): unknown {
  const code = codeOf(error);
  const remedy = remedyOf(code);
  if (remedy === undefined) return error;
  const message = `the state in ${path} could not be written (${(error as Error).message}); ${remedy}`;
  return localError('state-unwritable', message, error);
}

function remedyOf(code: string): string | undefined {
  if (code === 'SQLITE_FULL' || code.startsWith('SQLITE_IOERR')) return 'free some space on that disk';
  if (code.startsWith('SQLITE_READONLY') || code.startsWith('SQLITE_CANTOPEN'))
    return 'make its folder writable';
  if (damageCodes.has(code))
    return 'it is damaged: stop the mesh, keep a copy, and restore a backup with sluice restore';
  return undefined;
}

function lostState(path: string): Error {
  return localError(
    'state-damaged',
    `${path} is empty, and this mesh has run before: its state is lost or damaged; restore a backup with sluice restore, or remove ${join(dirname(path), tokenFileName)} to begin anew`,
  );
}

/** A reader (a backup) may hold it up: then it is done at the next start. A full disk is told by the next write. */
function checkpoint(database: Database): void {
  try {
    database.run('PRAGMA wal_checkpoint(TRUNCATE)');
  } catch (error) {
    if (remedyOf(codeOf(error)) === undefined || damageCodes.has(codeOf(error))) throw error;
  }
}

/** Damage is found here rather than by whoever reads the page some day. Throws `state-damaged`. */
function checkWhole(database: Database, path: string): void {
  const found = database.query<{ quick_check: string }, []>('PRAGMA quick_check(1)').get()?.quick_check;
  if (found === 'ok') return;
  throw localError(
    'state-damaged',
    `${path} is damaged (${(found ?? 'no verdict').replaceAll(/[\s*]+/g, ' ').trim()}); restore a backup with sluice restore`,
  );
}

function isError(error: unknown): error is Error {
  return error instanceof Error;
}

function describeOpenFailure(error: unknown, path: string): unknown {
  const code = codeOf(error);
  if (damageCodes.has(code)) {
    return localError(
      'state-damaged',
      `${path} is damaged (${(error as Error).message}); restore a backup with sluice restore`,
      error,
    );
  }
  return error;
}

function diskTrouble(stateDir: string): string | null {
  try {
    const { bavail, bsize, blocks } = statfsSync(stateDir);
    const freeBytes = bavail * bsize;
    // File systems without a size of their own say 0 blocks.
    if (blocks === 0 || freeBytes >= minFreeBytes) return null;
    return `the disk of ${stateDir} is full (${Math.floor(freeBytes / 1024)} KiB are free); free some space on that disk`;
  } catch (error) {
    if (codeOf(error) === '') throw error;
    return `the state directory ${stateDir} cannot be looked at (${(error as Error).message}); put it back, or restore a backup`;
  }
}

function codeOf(error: unknown): string {
  return error instanceof Error && 'code' in error ? String(error.code) : '';
}

function pragma(database: Database, name: string): number {
  const row = database.query<Record<string, number>, []>(`PRAGMA ${name}`).get();
  return row?.[name] ?? 0;
}

/** SQLite gives its journal files the mode of the database file. */
function createPrivately(path: string): void {
  closeSync(openSync(path, 'a', 0o600));
  chmodSync(path, 0o600);
}
