/** Closed-loop load by wrk on core 0, and the CPU a hop spends per request under it. */
import { cpuMicros, memoryMb } from './peers.ts';
import type { Hop } from './peers.ts';

export interface HopResult {
  readonly name: string;
  readonly micros: number;
  readonly rps: number;
  readonly rss: number;
}

const warmSeconds = 2;

export async function measureHop(hop: Hop, seconds: number, connections: number): Promise<HopResult> {
  await load(hop.port, warmSeconds, connections);
  const before = cpuMicros(hop.pids);
  const requests = await load(hop.port, seconds, connections);
  const micros = (cpuMicros(hop.pids) - before) / requests;
  return { name: hop.name, micros, rps: requests / seconds, rss: memoryMb(hop.pids).rss };
}

/** Requests that were answered. */
async function load(port: number, seconds: number, connections: number): Promise<number> {
  const wrk = ['wrk', '-t1', `-c${connections}`, `-d${seconds}s`, `http://127.0.0.1:${port}/bench`];
  const child = Bun.spawn(['taskset', '-c', '0', ...wrk], { stdout: 'pipe' });
  const text = await new Response(child.stdout).text();
  if (/Non-2xx|Socket errors/.test(text)) console.error(text);
  return Number(/(\d+) requests in/.exec(text)?.[1] ?? Number.NaN);
}
