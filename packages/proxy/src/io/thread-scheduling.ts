/**
 * How the kernel schedules one thread of this process (Linux): sched_getattr(2) and sched_setattr(2) by bun:ffi.
 * Read before written, so that what is not meant stays as it was (a process that was started with `nice` stays
 * nice). Nothing here needs a privilege, because nothing here asks for more than the thread has.
 */
import { dlopen, FFIType } from 'bun:ffi';

export interface Scheduling {
  readonly policy: number;
  /** -20 to 19; more is less. */
  readonly nice: number;
  /** Length of a turn; 0 = the system's default. Kernels before 6.12 read 0 and ignore what is asked for. */
  readonly sliceNs: number;
  /** Threads that this one makes get the system's defaults, not what was set here. */
  readonly isResetOnFork: boolean;
}

/** sched(7): ordinary, but without the right to interrupt others on waking. */
export const SCHED_BATCH = 3;

/** By architecture. */
const systemCalls: Readonly<Record<string, { readonly set: number; readonly get: number }>> = {
  x64: { set: 314, get: 315 },
  arm64: { set: 274, get: 275 },
};
/** sizeof(struct sched_attr) as of Linux 5.3. */
const attributeBytes = 56;
const resetOnFork = 1n;

type SystemCall = (
  call: number,
  tid: number,
  attributes: Uint8Array,
  a: number,
  b: number,
) => bigint | number;
let loaded: SystemCall | null | undefined;

/** `tid` 0 = the calling thread. Null where the system has none to tell, or no such thread. */
export function schedulingOf(tid: number): Scheduling | null {
  const attributes = read(tid);
  if (attributes === null) return null;
  return {
    policy: attributes.getUint32(4, true),
    isResetOnFork: (attributes.getBigUint64(8, true) & resetOnFork) !== 0n,
    nice: attributes.getInt32(16, true),
    sliceNs: Number(attributes.getBigUint64(24, true)),
  };
}

/** False where the system does not know of it or refuses: nothing has changed then. */
export function changeScheduling(tid: number, change: Partial<Scheduling>): boolean {
  const attributes = read(tid);
  if (attributes === null) return false;
  if (change.policy !== undefined) attributes.setUint32(4, change.policy, true);
  if (change.isResetOnFork !== undefined)
    attributes.setBigUint64(8, change.isResetOnFork ? resetOnFork : 0n, true);
  if (change.nice !== undefined) attributes.setInt32(16, change.nice, true);
  if (change.sliceNs !== undefined) attributes.setBigUint64(24, BigInt(change.sliceNs), true);
  return succeeded(systemCalls[process.arch]!.set, tid, attributes, 0);
}

function read(tid: number): DataView | null {
  const calls = systemCalls[process.arch];
  if (process.platform !== 'linux' || calls === undefined) return null;
  // On an ArrayBuffer of its own: one that moves while native code holds its address would be another's memory.
  const attributes = new DataView(new ArrayBuffer(attributeBytes));
  return succeeded(calls.get, tid, attributes, attributeBytes) ? attributes : null;
}

/** sched_setattr(tid, attributes, flags) and sched_getattr(tid, attributes, size, flags). */
function succeeded(call: number, tid: number, attributes: DataView, third: number): boolean {
  const system = (loaded ??= load());
  if (system === null) return false;
  return Number(system(call, tid, new Uint8Array(attributes.buffer), third, 0)) === 0;
}

function load(): SystemCall | null {
  try {
    // syscall(2) takes its arguments as longs; those that a call does not have are not read.
    const { i64, ptr } = FFIType;
    const { symbols } = dlopen('libc.so.6', { syscall: { args: [i64, i64, ptr, i64, i64], returns: i64 } });
    return symbols.syscall;
  } catch {
    return null;
  }
}
