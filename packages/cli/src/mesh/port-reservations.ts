/**
 * Ports that meshes of this user have planned and perhaps not bound yet: an application that is just being started,
 * or started again, leaves a moment in which its port looks free. Each mesh says in the user's runtime folder what it
 * has; whoever plans holds a lock, reads what those that run have, and adds its own.
 */
import { readFileSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { identify, isAlive, type ProcessIdentity } from '../process/identity.ts';
import { pointerDir, pointerName, type Env } from './mesh-record.ts';
import { writeFileWhole } from './state-dir.ts';

/** Both ends included. */
export type PortSpan = readonly [low: number, high: number];

interface Reservation {
  readonly process: ProcessIdentity;
  readonly spans: readonly PortSpan[];
}

const lockName = 'planning.lock';
const suffix = '.ports';
const lockPollMs = 5;
/** Planning takes milliseconds; a lock held longer is its owner's trouble, not ours. */
const lockTimeoutMs = 5000;

export class PortReservations {
  readonly #dir: string | undefined;
  readonly #ownFile: string;
  #spans: readonly PortSpan[] = [];

  /** `owner` is the state directory of who plans. */
  constructor(owner: string, env: Env) {
    this.#dir = pointerDir(env);
    this.#ownFile = pointerName(owner).replace(/\.json$/, suffix);
  }

  /**
   * Runs `plan` while nobody else plans, and reserves the spans it gives. `isTaken` tells of ports that other running
   * meshes have reserved.
   */
  async plan<T>(
    plan: (isTaken: (port: number) => boolean) => { readonly result: T; readonly spans: readonly PortSpan[] },
  ): Promise<T> {
    const dir = this.#dir;
    // Without a folder that is ours alone there is nobody to agree with; what is bound is seen anyway.
    if (dir === undefined) return plan(() => false).result;
    const release = await lock(join(dir, lockName));
    try {
      const others = readdirSync(dir).filter((name) => name.endsWith(suffix) && name !== this.#ownFile);
      const taken = others.flatMap((name) => spansOf(join(dir, name)));
      const { result, spans } = plan((port) => taken.some(([low, high]) => port >= low && port <= high));
      this.#spans = [...this.#spans, ...spans];
      const own = identify(process.pid);
      if (own !== undefined)
        writeFileWhole(
          join(dir, this.#ownFile),
          JSON.stringify({ process: own, spans: this.#spans } satisfies Reservation),
        );
      return result;
    } finally {
      release();
    }
  }

  release(): void {
    if (this.#dir !== undefined) rmSync(join(this.#dir, this.#ownFile), { force: true });
  }
}

/** Of a mesh that runs; those of one that was killed are free again. */
function spansOf(path: string): readonly PortSpan[] {
  const reservation = read<Reservation>(path);
  if (reservation?.process === undefined || !isAlive(reservation.process)) return [];
  return reservation.spans ?? [];
}

async function lock(path: string): Promise<() => void> {
  const deadlineMs = performance.now() + lockTimeoutMs;
  const own = JSON.stringify(identify(process.pid));
  for (;;) {
    try {
      writeFileSync(path, own, { flag: 'wx', mode: 0o600 });
      return () => rmSync(path, { force: true });
    } catch (error) {
      if (!(error instanceof Error && 'code' in error && error.code === 'EEXIST')) throw error;
    }
    const owner = read<ProcessIdentity>(path);
    const isAbandoned = owner !== undefined && !isAlive(owner);
    if (isAbandoned || performance.now() > deadlineMs) rmSync(path, { force: true });
    else await Bun.sleep(lockPollMs);
  }
}

/** Undefined for a file that is gone, or not written to its end. */
function read<T>(path: string): T | undefined {
  try {
    return JSON.parse(readFileSync(path, 'utf8')) as T;
  } catch {
    return undefined;
  }
}
