/** Latency through two proxies with mutual TLS between them, at 1,000 requests a second in open loop. */
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { startOrigin, stopAll } from './peers.ts';
import { printTable } from './table.ts';
import { kinds, removeFiles, startPair } from './tls-peers.ts';

const seconds = Number(process.argv[2] ?? 10);
const clients = 4;
const perClient = 250;
const folder = mkdtempSync(join(tmpdir(), 'sluice-tls-latency-'));
const shares = [0.5, 0.9, 0.99, 0.999, 1];

/** Microseconds of every request, sorted; h2load sends on schedule, whatever comes back. */
async function run(port: number, forSeconds: number, name: string): Promise<number[]> {
  const log = join(folder, `${name}-${port}`);
  const load = [
    'taskset',
    '-c',
    '0',
    'h2load',
    '--h1',
    `-c${clients}`,
    `--rps=${perClient}`,
    `-D${forSeconds}`,
  ];
  const child = Bun.spawn([...load, `--log-file=${log}`, `http://127.0.0.1:${port}/bench`], {
    stdout: 'ignore',
  });
  await child.exited;
  const times = readFileSync(log, 'utf8').trim().split('\n');
  return times.map((line) => Number(line.split('\t')[2])).sort((a, b) => a - b);
}

try {
  const origin = await startOrigin();
  const rows: string[][] = [];
  for (const kind of kinds) {
    const pair = await startPair(kind, origin);
    await run(pair.port, 5, 'warm');
    const times = await run(pair.port, seconds, 'measured');
    const at = (share: number): string =>
      ((times[Math.min(times.length - 1, Math.floor(times.length * share))] ?? Number.NaN) / 1000).toFixed(2);
    rows.push([pair.name, ...shares.map(at), String(times.length)]);
    for (const pid of pair.pids) process.kill(pid);
  }
  printTable(
    'Two proxies with mutual TLS, 1,000 requests a second, open loop, 4 connections, ms',
    ['proxies', 'p50', 'p90', 'p99', 'p99.9', 'max', 'requests'],
    rows,
  );
} finally {
  await stopAll();
  removeFiles();
  rmSync(folder, { recursive: true, force: true });
}
