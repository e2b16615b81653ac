/** CPU per request of one plain HTTP/1.1 hop beside HAProxy, nginx and Envoy, in one run. */
import {
  cpuMicros,
  memoryMb,
  startEnvoy,
  startHaproxy,
  startNginxHop,
  startOrigin,
  startSluice,
  stopAll,
} from './peers.ts';
import type { Hop } from './peers.ts';
import { printTable } from './table.ts';

const seconds = Number(process.argv[2] ?? 4);
const connections = 32;

try {
  const origin = await startOrigin();
  const hops: readonly (() => Promise<Hop>)[] = [
    () => startHaproxy(origin),
    () => startNginxHop(origin),
    () => startEnvoy('Envoy, bare', origin),
    () => startEnvoy('Envoy, retries and access log', origin, { retries: true, accessLog: '/dev/null' }),
    () => startSluice('Sluice', origin, { retries: true }),
    () => startSluice('Sluice with access log', origin, { retries: true, accessLog: '/dev/null' }),
  ];
  const rows: { name: string; micros: number; rps: number; rss: number }[] = [];
  for (const start of hops) rows.push(await measure(await start()));
  const haproxy = rows[0]?.micros ?? Number.NaN;
  const envoy = rows[2]?.micros ?? Number.NaN;
  printTable(
    'One HTTP/1.1 hop, 1 KB, keep-alive, 32 connections',
    ['proxy', 'CPU µs / request', '× HAProxy', '× Envoy bare', 'requests / s', 'RSS MB'],
    rows.map(({ name, micros, rps, rss }) => [
      name,
      micros.toFixed(1),
      (micros / haproxy).toFixed(2),
      (micros / envoy).toFixed(2),
      String(Math.round(rps)),
      rss.toFixed(0),
    ]),
  );
} finally {
  await stopAll();
}

async function measure(hop: Hop): Promise<{ name: string; micros: number; rps: number; rss: number }> {
  await load(hop.port, 2);
  const before = cpuMicros(hop.pids);
  const requests = await load(hop.port, seconds);
  const micros = (cpuMicros(hop.pids) - before) / requests;
  return { name: hop.name, micros, rps: requests / seconds, rss: memoryMb(hop.pids).rss };
}

async function load(port: number, forSeconds: number): Promise<number> {
  const child = Bun.spawn(
    [
      'taskset',
      '-c',
      '0',
      'wrk',
      '-t1',
      `-c${connections}`,
      `-d${forSeconds}s`,
      `http://127.0.0.1:${port}/bench`,
    ],
    { stdout: 'pipe' },
  );
  const text = await new Response(child.stdout).text();
  if (/Non-2xx|Socket errors/.test(text)) console.error(text);
  return Number(/(\d+) requests in/.exec(text)?.[1] ?? Number.NaN);
}
