/** Latency of one hop at 1,000 requests a second in open loop. */
import { coldRow, latencyColumns, warmRows } from './open-loop.ts';
import { startEnvoy, startHaproxy, startOrigin, startSluice, stopAll } from './peers.ts';
import { printTable } from './table.ts';

const seconds = Number(process.argv[2] ?? 10);
const rounds = Number(process.argv[3] ?? 5);

try {
  const origin = await startOrigin();
  const targets = [
    { name: 'direct', port: origin },
    await startHaproxy(origin),
    await startEnvoy('Envoy, bare', origin),
    await startSluice('Sluice', origin, { retries: true }),
  ];
  const rows: string[][] = [];
  for (const target of targets) rows.push(await coldRow(target, seconds));
  rows.push(...(await warmRows(targets, seconds, rounds)));
  printTable('1,000 requests a second, open loop, 4 connections, ms', ['target', ...latencyColumns], rows);
} finally {
  await stopAll();
}
