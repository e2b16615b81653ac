/**
 * How many downstream connections may be open: at a listener, as the runtime layers say, and in the whole process, which
 * its file descriptors bound. Both are counted over all data loops, in memory that they share.
 */
import type { Limit } from '../cluster/cluster.ts';
import { sharedLimit, type SharedLimitsMemory } from '../cluster/shared-limits.ts';
import { connectionLimitsOf, type RuntimeValues } from '../listener/connection-limit.ts';
import type { ConnectionLimit } from './refused-connections.ts';

/** Slots before those of clusters: the process's, then one for each listener with a limit, by name. */
export function reservedLimitSlots(runtime: RuntimeValues): number {
  return 1 + connectionLimitsOf(runtime).size;
}

export class ConnectionLimits {
  readonly #process: Limit;
  readonly #listeners = new Map<string, Limit>();

  /** `runtime` is the same in all loops, and so are the slots. */
  constructor(memory: SharedLimitsMemory, runtime: RuntimeValues, processCap: number) {
    this.#process = sharedLimit(memory, 0, processCap);
    for (const [listener, max] of connectionLimitsOf(runtime))
      this.#listeners.set(listener, sharedLimit(memory, 1 + this.#listeners.size, max));
  }

  /** Null = one more connection of the listener is counted; else which limit is reached. */
  take(listener: string): ConnectionLimit | null {
    const own = this.#listeners.get(listener);
    if (own !== undefined && !own.tryAcquire()) return 'listener';
    if (this.#process.tryAcquire()) return null;
    own?.release();
    return 'process';
  }

  /** Of a connection that was taken and has closed. */
  release(listener: string): void {
    this.#listeners.get(listener)?.release();
    this.#process.release();
  }
}
