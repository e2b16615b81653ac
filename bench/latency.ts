/**
 * Latency of one hop at 1,000 requests a second in open loop (h2load sends on schedule, whatever comes back).
 * Each target is measured cold, from its first request on, and again after some 100,000 requests: a runtime that
 * compiles while it runs differs there.
 */
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { startEnvoy, startHaproxy, startOrigin, startSluice, stopAll } from './peers.ts';
import { printTable } from './table.ts';

const seconds = Number(process.argv[2] ?? 10);
const clients = 4;
const perClient = 250;
const warmSeconds = 5;
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
    for (const state of ['cold', 'warm']) {
      if (state === 'warm') await warm(port);
      const times = await run(port, seconds, state);
      const shares = [0.5, 0.9, 0.99, 0.999, 1].map((share) => at(times, share));
      rows.push([`${name}, ${state}`, ...shares, String(times.length)]);
    }
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

async function warm(port: number): Promise<void> {
  const command = ['wrk', '-t1', `-c${clients}`, `-d${warmSeconds}s`, `http://127.0.0.1:${port}/bench`];
  await Bun.spawn(['taskset', '-c', '0', ...command], { stdout: 'ignore' }).exited;
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
