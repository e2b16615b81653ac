/**
 * The runtime's own threads step back behind those that serve: compilers and the one that returns memory run beside a
 * data loop, in a sidecar usually on its only core. In the first seconds of traffic the compilers want as much
 * of it as the loop does, and at equal weight a request waits for their turns (some 150 ms in the first 7 s at 1,000
 * requests a second, measured).
 *
 * They are found by name and lowered one by one, again and again, because the runtime starts them when it needs them.
 * Not to the bottom: a collection waits for compilers to reach a safe point, and on a core that others fill a thread
 * of the lowest weight might not get there. At nice 10 it keeps a tenth. Threads that collect are left alone.
 */
import { readdirSync, readFileSync } from 'node:fs';
import { changeScheduling, SCHED_BATCH, schedulingOf } from '../io/thread-scheduling.ts';

/** What the system knows of this process's threads; tests replace it. */
export interface ThreadTable {
  tids(): readonly number[];
  /** Empty for a thread that is gone. */
  nameOf(tid: number): string;
  lower(tid: number): void;
}

/** JavaScriptCore's compilers, mimalloc's returner of memory. */
const backgroundNames: ReadonlySet<string> = new Set(['JITWorker', 'mi-scavenger']);
const backgroundNice = 10;

export class BackgroundThreads {
  readonly #table: ThreadTable;
  #lowered = new Set<number>();

  constructor(table: ThreadTable = processThreads) {
    this.#table = table;
  }

  /** Costs a tenth of a millisecond. */
  lower(): void {
    const lowered = new Set<number>();
    for (const tid of this.#table.tids()) {
      if (this.#lowered.has(tid)) lowered.add(tid);
      // Others are asked for their names each time: a new thread bears its maker's at first.
      else if (backgroundNames.has(this.#table.nameOf(tid))) {
        this.#table.lower(tid);
        lowered.add(tid);
      }
    }
    // Ids are used again: those that are gone are forgotten.
    this.#lowered = lowered;
  }
}

const processThreads: ThreadTable = {
  tids() {
    try {
      return readdirSync('/proc/self/task').map(Number);
    } catch {
      // Another system, or no /proc: nothing to lower.
      return [];
    }
  },
  nameOf(tid) {
    try {
      return readFileSync(`/proc/self/task/${tid}/comm`, 'latin1').trim();
    } catch {
      return '';
    }
  },
  lower(tid) {
    const present = schedulingOf(tid);
    // Raising a thread would need a privilege, and is not what was asked for.
    if (present !== null && present.nice <= backgroundNice)
      changeScheduling(tid, { policy: SCHED_BATCH, nice: backgroundNice, sliceNs: 0 });
  },
};
