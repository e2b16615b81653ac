/**
 * One `sluice up` per state directory. The lock is a file with the owner's identity: that of a process which is
 * gone, killed at whatever moment, is taken over.
 */
import { readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { cliError } from '../errors.ts';
import { readMeshRecord } from '../mesh/mesh-record.ts';
import { identify, isAlive, type ProcessIdentity } from '../process/identity.ts';

const lockName = 'up.lock';

/** Throws `mesh-running` naming the one that has it. */
export function lockFolder(stateDir: string): { release(): void } {
  const path = join(stateDir, lockName);
  const own = identify(process.pid);
  for (let attempt = 0; ; attempt++) {
    try {
      writeFileSync(path, JSON.stringify(own), { flag: 'wx', mode: 0o600 });
      return { release: () => rmSync(path, { force: true }) };
    } catch (error) {
      const isTaken = error instanceof Error && 'code' in error && error.code === 'EEXIST';
      if (!isTaken || attempt > 3) throw error;
    }
    const owner = readOwner(path);
    if (owner !== undefined && isAlive(owner)) throw alreadyRunning(stateDir, owner);
    rmSync(path, { force: true });
  }
}

function readOwner(path: string): ProcessIdentity | undefined {
  try {
    const parsed = JSON.parse(readFileSync(path, 'utf8')) as Partial<ProcessIdentity> | null;
    return typeof parsed?.pid === 'number' && typeof parsed.startedAt === 'string'
      ? (parsed as ProcessIdentity)
      : undefined;
  } catch {
    return undefined; // Cut short, or just removed.
  }
}

function alreadyRunning(stateDir: string, owner: ProcessIdentity): Error {
  const record = readMeshRecord(stateDir);
  const where = record === undefined ? '' : `, with its page at http://${record.api}/`;
  return cliError(
    'mesh-running',
    `this mesh runs already (process ${owner.pid}${where}): use that one, stop it with Ctrl-C, or start a second one with --state-dir`,
  );
}
