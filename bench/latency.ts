/** Latency of one hop at 1,000 requests a second in open loop (h2load sends on schedule, whatever comes back). */
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { startEnvoy, startHaproxy, startOrigin, startSluice, stopAll } from './peers.ts';
import { printTable } from './table.ts';

const seconds = Number(process.argv[2] ?? 10);
const clients = 4;
const perClient = 250;
const folder = mkdtempSync(join(tmpdir(), 'sluice-latency-'));

try {
  const origin = await startOrigin();
  const targets = [
    { name: 'direct', port: origin },
    await startHaproxy(origin),
    await startEnvoy('Envoy, bare', origin),
    await startSluice('Sluice', origin, { retries: true }),
  ];
  const rows: string[][] = [];
  for (const { name, port } of targets) {
    await run(port, 3, 'warm');
    const times = await run(port, seconds, 'measured');
    rows.push([name, ...[0.5, 0.9, 0.99, 0.999, 1].map((share) => at(times, share)), String(times.length)]);
  }
  printTable(
    '1,000 requests a second, open loop, 4 connections, ms',
    ['target', 'p50', 'p90', 'p99', 'p99.9', 'max', 'requests'],
    rows,
  );
} finally {
  await stopAll();
  rmSync(folder, { recursive: true, force: true });
}

/** Microseconds of every request, sorted. */
async function run(port: number, forSeconds: number, name: string): Promise<number[]> {
  const log = join(folder, `${name}-${port}`);
  const command = [
    'taskset',
    '-c',
    '0',
    'h2load',
    '--h1',
    `-c${clients}`,
    `--rps=${perClient}`,
    `-D${forSeconds}`,
  ];
  const child = Bun.spawn([...command, `--log-file=${log}`, `http://127.0.0.1:${port}/bench`], {
    stdout: 'ignore',
  });
  await child.exited;
  return readFileSync(log, 'utf8')
    .trim()
    .split('\n')
    .map((line) => Number(line.split('\t')[2]))
    .sort((a, b) => a - b);
}

function at(times: readonly number[], share: number): string {
  const index = Math.min(times.length - 1, Math.floor(times.length * share));
  return ((times[index] ?? Number.NaN) / 1000).toFixed(2);
}
