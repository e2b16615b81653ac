/** Latency through two proxies with mutual TLS between them, at 1,000 requests a second in open loop. */
import { coldAndWarm, latencyColumns } from './open-loop.ts';
import { startOrigin, stopAll } from './peers.ts';
import { printTable } from './table.ts';
import { kinds, removeFiles, startPair } from './tls-peers.ts';

const seconds = Number(process.argv[2] ?? 10);

try {
  const origin = await startOrigin();
  const rows: string[][] = [];
  for (const kind of kinds) {
    const pair = await startPair(kind, origin);
    rows.push(...(await coldAndWarm(pair.name, pair.port, seconds)));
    for (const pid of pair.pids) process.kill(pid);
  }
  printTable(
    'Two proxies with mutual TLS, 1,000 requests a second, open loop, 4 connections, ms',
    ['proxies', ...latencyColumns],
    rows,
  );
} finally {
  await stopAll();
  removeFiles();
}
