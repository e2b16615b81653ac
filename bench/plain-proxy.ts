/**
 * The data path alone, without configuration or workers, beside HAProxy and nginx in the same run: what to profile.
 * `SLUICE_BENCH_PROFILE=DIR` writes a CPU profile there.
 * Usage: bun bench/plain-proxy.ts [seconds per proxy] [connections]
 */
import { join } from 'node:path';
import { measureHop } from './load.ts';
import type { HopResult } from './load.ts';
import { adopt, startHaproxy, startNginxHop, startOrigin, stopAll } from './peers.ts';
import type { Hop } from './peers.ts';
import { printTable } from './table.ts';

const seconds = Number(process.argv[2] ?? 4);
const connections = Number(process.argv[3] ?? 32);

try {
  const origin = await startOrigin();
  const results: HopResult[] = [];
  for (const start of [startHaproxy, startNginxHop, startDataPath]) {
    results.push(await measureHop(await start(origin), seconds, connections));
  }
  const haproxy = results[0]?.micros ?? Number.NaN;
  printTable(
    `The data path alone, 1 KB, ${connections} connections`,
    ['proxy', 'CPU µs / request', '× HAProxy', 'requests / s', 'RSS MB'],
    results.map(({ name, micros, rps, rss }) => [
      name,
      micros.toFixed(1),
      (micros / haproxy).toFixed(2),
      String(Math.round(rps)),
      rss.toFixed(0),
    ]),
  );
} finally {
  await stopAll();
}

async function startDataPath(originPort: number): Promise<Hop> {
  const profile = process.env['SLUICE_BENCH_PROFILE'];
  const flags = profile === undefined ? [] : ['--cpu-prof', `--cpu-prof-dir=${profile}`];
  const target = join(import.meta.dir, 'plain-proxy-target.ts');
  const child = Bun.spawn(['taskset', '-c', '1', process.execPath, ...flags, target, String(originPort)], {
    stdout: 'pipe',
    stderr: 'inherit',
  });
  adopt(child);
  const { value } = await child.stdout.getReader().read();
  return {
    name: 'data path',
    port: Number(new TextDecoder().decode(value).trim()),
    adminPort: 0,
    pids: [child.pid],
  };
}
