/**
 * The processes a mesh started, on disk as soon as they run: after a `kill -9` the next start finds what was left
 * and ends it, and nothing else. Written whole by rename, so that it is never half there.
 *
 * A disk that takes nothing costs that memory, not the process: it is told once, and made good by the next change.
 */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { writeFileWhole } from '../mesh/state-dir.ts';
import { signalGroup, type Child } from './child.ts';
import { isAlive, type ProcessIdentity } from './identity.ts';

export interface LedgerEntry extends ProcessIdentity {
  readonly name: string;
}

const fileName = 'processes.json';
const killWaitMs = 2000;
const killPollMs = 10;

export class ProcessLedger {
  readonly #path: string;
  readonly #entries = new Map<number, LedgerEntry>();
  readonly #onTrouble: (text: string) => void;
  #hasTrouble = false;

  constructor(stateDir: string, onTrouble: (text: string) => void) {
    this.#path = join(stateDir, fileName);
    this.#onTrouble = onTrouble;
  }

  /** In as soon as it runs, out when it has ended. */
  track(name: string, child: Child): void {
    this.add(name, child.identity);
    void child.exited.then(() => this.remove(child.pid));
  }

  add(name: string, identity: ProcessIdentity | undefined): void {
    if (identity === undefined) return; // It is gone already.
    this.#entries.set(identity.pid, { name, ...identity });
    this.#write();
  }

  remove(pid: number | undefined): void {
    if (pid !== undefined && this.#entries.delete(pid)) this.#write();
  }

  #write(): void {
    try {
      writeFileWhole(this.#path, `${JSON.stringify([...this.#entries.values()])}\n`);
      this.#hasTrouble = false;
    } catch (error) {
      if (!(error instanceof Error && 'code' in error)) throw error;
      if (this.#hasTrouble) return;
      this.#hasTrouble = true;
      this.#onTrouble(
        `which processes run cannot be written (${error.message}): if this program is killed now, the next start may not find all of them`,
      );
    }
  }
}

/** What a mesh has started and is still there, whether or not `up` is. */
export function aliveProcesses(stateDir: string): readonly LedgerEntry[] {
  return readLedger(join(stateDir, fileName)).filter(isAlive);
}

/** Ends what an earlier run left behind; resolves with the names of what was still there. */
export async function endLeftovers(stateDir: string): Promise<readonly string[]> {
  const alive = aliveProcesses(stateDir);
  for (const { pid } of alive) signalGroup(pid, 'SIGKILL');
  const deadlineMs = performance.now() + killWaitMs;
  while (alive.some(isAlive) && performance.now() < deadlineMs) await Bun.sleep(killPollMs);
  return alive.map(({ name }) => name);
}

/** A file that is missing or damaged names no process. */
function readLedger(path: string): readonly LedgerEntry[] {
  let parsed: unknown;
  try {
    parsed = JSON.parse(readFileSync(path, 'utf8'));
  } catch {
    return [];
  }
  return Array.isArray(parsed) ? parsed.filter(isEntry) : [];
}

function isEntry(value: unknown): value is LedgerEntry {
  const entry = value as Partial<LedgerEntry> | null;
  return (
    typeof entry?.pid === 'number' && typeof entry.startedAt === 'string' && typeof entry.name === 'string'
  );
}
