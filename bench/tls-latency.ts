/** Latency through two proxies with mutual TLS between them, at 1,000 requests a second in open loop. */
import { coldRow, latencyColumns, warmRows, type OpenLoopTarget } from './open-loop.ts';
import { startOrigin, stopAll } from './peers.ts';
import { printTable } from './table.ts';
import { kinds, removeFiles, startPair } from './tls-peers.ts';

const seconds = Number(process.argv[2] ?? 10);
const rounds = Number(process.argv[3] ?? 5);

try {
  const origin = await startOrigin();
  const rows: string[][] = [];
  const pairs: OpenLoopTarget[] = [];
  for (const kind of kinds) {
    const pair = await startPair(kind, origin);
    rows.push(await coldRow(pair, seconds));
    pairs.push(pair);
  }
  rows.push(...(await warmRows(pairs, seconds, rounds)));
  printTable(
    'Two proxies with mutual TLS, 1,000 requests a second, open loop, 4 connections, ms',
    ['proxies', ...latencyColumns],
    rows,
  );
} finally {
  await stopAll();
  removeFiles();
}
