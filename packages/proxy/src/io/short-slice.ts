/**
 * Short turns on the processor for the thread that serves traffic.
 *
 * The runtime's own threads (compilation, collection, returning memory) share the loop's core, often the only
 * one a sidecar has. A turn lasts 3 ms by the scheduler's default, and a request that comes meanwhile waits for
 * its end. A thread that asks for short turns is given an earlier deadline and so interrupts the others at once;
 * its share stays the same. Linux 6.12 and later (sched_attr.sched_runtime of an ordinary task); no privilege.
 */
import { dlopen, FFIType } from 'bun:ffi';

/** sched_setattr(2) by architecture. */
const systemCalls: Readonly<Record<string, number>> = { x64: 314, arm64: 274 };
/** sizeof(struct sched_attr) as of Linux 5.3. */
const attributeBytes = 56;
/** The shortest that the kernel grants. */
const sliceNs = 100_000n;

/** For the calling thread. False where the system does not know of it: nothing has changed then. */
export function askForShortSlice(): boolean {
  const call = systemCalls[process.arch];
  if (process.platform !== 'linux' || call === undefined) return false;
  try {
    // syscall(2) takes its arguments as longs; those that a call does not have are not read.
    const { symbols } = dlopen('libc.so.6', {
      syscall: { args: [FFIType.i64, FFIType.i64, FFIType.ptr, FFIType.i64], returns: FFIType.i64 },
    });
    // On an ArrayBuffer of its own: one that moves while native code reads it would be another's memory.
    const attributes = new DataView(new ArrayBuffer(attributeBytes));
    attributes.setUint32(0, attributeBytes, true);
    attributes.setBigUint64(24, sliceNs, true);
    return symbols.syscall(call, 0, new Uint8Array(attributes.buffer), 0) === 0n;
  } catch {
    return false;
  }
}
