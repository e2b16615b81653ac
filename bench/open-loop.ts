/**
 * 1,000 requests a second in open loop, over four connections: h2load sends on schedule, whatever comes back. Measured
 * cold, from a target's first request on, and warm, after some 100,000 requests: a runtime that compiles while it runs
 * differs there. The tail of one warm window is ten requests, so warm targets take turns, several windows each, and the
 * median of each share is told, with the 99.9 % of every window beside it.
 */
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

const clients = 4;
const perClient = 250;
const warmSeconds = 6;
const shares = [0.5, 0.9, 0.99, 0.999, 1];

export const latencyColumns = ['p50', 'p90', 'p99', 'p99.9', 'max', 'p99.9 of each window'];

export interface OpenLoopTarget {
  readonly name: string;
  readonly port: number;
}

/** A row of `latencyColumns`, ms, after its name. To be asked for before anything else was sent there. */
export async function coldRow({ name, port }: OpenLoopTarget, seconds: number): Promise<string[]> {
  return row(`${name}, cold`, [await run(port, seconds)]);
}

/** Warms each target, then measures them in turns. */
export async function warmRows(
  targets: readonly OpenLoopTarget[],
  seconds: number,
  rounds: number,
): Promise<string[][]> {
  const windows = new Map(targets.map((target) => [target, [] as number[][]]));
  for (const { port } of targets) {
    const command = ['wrk', '-t1', `-c${clients}`, `-d${warmSeconds}s`, `http://127.0.0.1:${port}/bench`];
    await Bun.spawn(['taskset', '-c', '0', ...command], { stdout: 'ignore' }).exited;
  }
  for (let round = 0; round < rounds; round++)
    for (const [{ port }, measured] of windows) measured.push(await run(port, seconds));
  return [...windows].map(([{ name }, measured]) => row(`${name}, warm`, measured));
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

function row(name: string, windows: readonly (readonly number[])[]): string[] {
  const at = (share: number): number[] => windows.map((times) => shareOf(times, share)).sort((a, b) => a - b);
  const medians = shares.map((share) => at(share)[windows.length >> 1] ?? Number.NaN);
  return [
    name,
    ...medians.map((ms) => ms.toFixed(2)),
    at(0.999)
      .map((ms) => ms.toFixed(2))
      .join(' '),
  ];
}

/** Of sorted microseconds, in ms. */
function shareOf(times: readonly number[], share: number): number {
  return (times[Math.min(times.length - 1, Math.floor(times.length * share))] ?? Number.NaN) / 1000;
}
