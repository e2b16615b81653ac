/**
 * Lets go of the pages of the runtime's executable that only starting needed (Linux). They are clean pages of a file:
 * nothing is written anywhere, and what is used again is mapped again from the page cache, sixteen pages at a touch.
 * Bun's start touches 37 MB of its code and constants, of which a proxy that serves needs a third.
 *
 * A mapping with a single page of its own (relocated tables, a breakpoint) is left alone: that page would be lost.
 */
import { readFileSync, readlinkSync } from 'node:fs';
import { libc } from './io/libc.ts';

interface Mapping {
  readonly start: number;
  readonly end: number;
}

/** How much stays mapped is the system's to say; returns the bytes of address space that were let go. */
export function releaseStartupPages(): number {
  if (process.platform !== 'linux') return 0;
  const executable = readlinkSync('/proc/self/exe');
  let released = 0;
  for (const { start, end } of cleanMappings(readFileSync('/proc/self/smaps', 'latin1'), executable))
    if (libc().letGo(start, end - start) === 0) released += end - start;
  return released;
}

/** Mappings of the file that are read-only and hold nothing but its pages; proc(5), /proc/pid/smaps. */
export function cleanMappings(smaps: string, path: string): Mapping[] {
  const found: Mapping[] = [];
  for (const text of smaps.split(/\n(?=[0-9a-f]+-[0-9a-f]+ )/)) {
    const header = /^([0-9a-f]+)-([0-9a-f]+) r-[-x]p \S+ \S+ \d+ +(.*)$/m.exec(text);
    if (header?.[3] !== path || !/^Anonymous: +0 kB$/m.test(text)) continue;
    found.push({ start: Number.parseInt(header[1] ?? '', 16), end: Number.parseInt(header[2] ?? '', 16) });
  }
  return found;
}
