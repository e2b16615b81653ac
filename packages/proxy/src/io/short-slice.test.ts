import { readFileSync } from 'node:fs';
import { expect, test } from 'bun:test';
import { askForShortSlice } from './short-slice.ts';

/** As the kernel shows it for the main thread, or null where it shows none. */
function sliceNs(): number | null {
  try {
    const found = /^se\.slice\s*:\s*(\d+)/m.exec(readFileSync('/proc/self/sched', 'latin1'));
    return found === null ? null : Number(found[1]);
  } catch {
    return null;
  }
}

test('the calling thread gets turns of 0.1 ms where the system knows of them, and nothing changes elsewhere', () => {
  const before = sliceNs();
  const hasAsked = askForShortSlice();
  if (before === null) expect(hasAsked).toBeBoolean();
  else expect([100_000, before]).toContain(sliceNs()!);
});
