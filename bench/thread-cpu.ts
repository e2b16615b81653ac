/** CPU time by name of thread, from the scheduler: /proc/PID/stat counts in steps of 10 ms, too coarse for one event. */
import { readdirSync, readFileSync } from 'node:fs';

/** Of all threads of the processes so far; a process's first thread is `main`. */
export function threadCpuMs(pids: readonly number[]): Map<string, number> {
  const byName = new Map<string, number>();
  for (const pid of pids) {
    for (const task of readdirSync(`/proc/${pid}/task`)) {
      const path = `/proc/${pid}/task/${task}`;
      const name = task === String(pid) ? 'main' : readFileSync(`${path}/comm`, 'latin1').trim();
      const ms = Number(readFileSync(`${path}/schedstat`, 'latin1').split(' ')[0]) / 1e6;
      byName.set(name, (byName.get(name) ?? 0) + ms);
    }
  }
  return byName;
}

export function differenceOf(
  after: ReadonlyMap<string, number>,
  before: ReadonlyMap<string, number>,
  parts: number,
): Map<string, number> {
  return new Map([...after].map(([name, ms]) => [name, (ms - (before.get(name) ?? 0)) / parts]));
}

export function totalMs(byName: ReadonlyMap<string, number>): number {
  return [...byName.values()].reduce((sum, ms) => sum + ms, 0);
}
