/** CPU per request of one plain HTTP/1.1 hop beside HAProxy, nginx and Envoy, in one run. */
import { measureHop } from './load.ts';
import type { HopResult } from './load.ts';
import { startEnvoy, startHaproxy, startNginxHop, startOrigin, startSluice, stopAll } from './peers.ts';
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
  const rows: HopResult[] = [];
  for (const start of hops) rows.push(await measureHop(await start(), seconds, connections));
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
