/**
 * 1,000 requests a second in open loop, over four connections: h2load sends on schedule, whatever comes back. Measured
 * cold, from a target's first request on, and again after some 100,000 requests: a runtime that compiles while it runs
 * differs there.
 */
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

const clients = 4;
const perClient = 250;
const warmSeconds = 6;
const shares = [0.5, 0.9, 0.99, 0.999, 1];

export const latencyColumns = ['p50', 'p90', 'p99', 'p99.9', 'max', 'requests'];

/** Two rows of `latencyColumns`, ms, each after its name. */
export async function coldAndWarm(name: string, port: number, seconds: number): Promise<string[][]> {
  const cold = await run(port, seconds);
  const command = ['wrk', '-t1', `-c${clients}`, `-d${warmSeconds}s`, `http://127.0.0.1:${port}/bench`];
  await Bun.spawn(['taskset', '-c', '0', ...command], { stdout: 'ignore' }).exited;
  const warm = await run(port, seconds);
  return [
    [`${name}, cold`, ...describe(cold)],
    [`${name}, warm`, ...describe(warm)],
  ];
}

/** Microseconds of every request, sorted. */
async function run(port: number, seconds: number): Promise<number[]> {
  const folder = mkdtempSync(join(tmpdir(), 'sluice-latency-'));
  const log = join(folder, 'log');
  const load = ['h2load', '--h1', `-c${clients}`, `--rps=${perClient}`, `-D${seconds}`];
  const command = ['taskset', '-c', '0', ...load, `--log-file=${log}`, `http://127.0.0.1:${port}/bench`];
  await Bun.spawn(command, { stdout: 'ignore' }).exited;
  const lines = readFileSync(log, 'utf8').trim().split('\n');
  rmSync(folder, { recursive: true, force: true });
  return lines.map((line) => Number(line.split('\t')[2])).sort((a, b) => a - b);
}

function describe(times: readonly number[]): string[] {
  const at = (share: number): string =>
    ((times[Math.min(times.length - 1, Math.floor(times.length * share))] ?? Number.NaN) / 1000).toFixed(2);
  return [...shares.map(at), String(times.length)];
}
