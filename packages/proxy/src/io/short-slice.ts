/**
 * Short turns on the processor for the thread that serves traffic.
 *
 * The runtime's own threads (compilation, collection, returning memory) share the loop's core, often the only
 * one a sidecar has. A turn lasts 1.4 to 3 ms by the scheduler's default, and a request that comes meanwhile waits
 * for its end. A thread that asks for shorter turns is given an earlier deadline and so interrupts the others at
 * once; its share stays the same. Linux 6.12 and later (sched_attr.sched_runtime of an ordinary task); no privilege.
 */
import { changeScheduling } from './thread-scheduling.ts';

/** The shortest that the kernel grants. Longer ones showed no difference that the noise would (ADR 0022). */
const sliceNs = 100_000;

/** For the calling thread, not for those that it makes. False where the system does not know of it. */
export function askForShortSlice(): boolean {
  return changeScheduling(0, { sliceNs, isResetOnFork: true });
}
