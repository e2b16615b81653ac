/** Latency of one hop at 1,000 requests a second in open loop. */
import { coldAndWarm, latencyColumns } from './open-loop.ts';
import { startEnvoy, startHaproxy, startOrigin, startSluice, stopAll } from './peers.ts';
import { printTable } from './table.ts';

const seconds = Number(process.argv[2] ?? 10);

try {
  const origin = await startOrigin();
  const targets = [
    { name: 'direct', port: origin },
    await startHaproxy(origin),
    await startEnvoy('Envoy, bare', origin),
    await startSluice('Sluice', origin, { retries: true }),
  ];
  const rows: string[][] = [];
  for (const { name, port } of targets) rows.push(...(await coldAndWarm(name, port, seconds)));
  printTable('1,000 requests a second, open loop, 4 connections, ms', ['target', ...latencyColumns], rows);
} finally {
  await stopAll();
}
