/** CPU per request of one HTTP/2 hop in the clear beside HAProxy and Envoy, in one run. */
import {
  measureH2Hop,
  startEnvoy,
  startHaproxy,
  startH2Origin,
  startSluice,
  type H2HopResult,
  type Protocols,
} from './h2-peers.ts';
import { stopAll } from './peers.ts';
import { printTable } from './table.ts';

const seconds = Number(process.argv[2] ?? 4);
const protocols: Protocols = 'h2 → h2';

try {
  const origin = await startH2Origin();
  const rows: H2HopResult[] = [];
  for (const start of [startHaproxy, startEnvoy, startSluice])
    rows.push(await measureH2Hop(await start(origin, protocols), protocols, seconds));
  const haproxy = rows[0]?.micros ?? Number.NaN;
  const envoy = rows[1]?.micros ?? Number.NaN;
  printTable(
    'One HTTP/2 hop in the clear, 1 KB, 8 connections × 16 streams, nginx behind',
    ['proxy', 'CPU µs / request', '× HAProxy', '× Envoy', 'requests / s', 'RSS MB'],
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
