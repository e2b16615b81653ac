/** Memory of a hop with one cluster and with 1,000, with 9,000 idle connections, and what idling costs. */
import { connect } from 'node:net';
import type { Socket } from 'node:net';
import { cpuMicros, memoryMb, spawn, startEnvoy, startOrigin, startSluice, stopAll } from './peers.ts';
import type { Hop } from './peers.ts';
import { printTable } from './table.ts';

/** As many as a limit of 20,000 descriptors lets a proxy accept, whose every connection may need another. */
const idleConnections = 9_000;
const idleSeconds = 8;
/** After which opening them is no longer what is measured: the runtime has collected what it left. */
const restMs = 15_000;

try {
  const origin = await startOrigin();
  const rows: string[][] = [];
  for (const extraClusters of [0, 999]) {
    const label = extraClusters === 0 ? '1 cluster' : '1,000 clusters';
    for (const start of [startEnvoy, startSluice]) {
      const hop = await start(`${start === startEnvoy ? 'Envoy' : 'Sluice'}, ${label}`, origin, {
        extraClusters,
      });
      await Bun.sleep(2000);
      rows.push(await describe(hop, extraClusters === 0));
    }
  }
  const empty = spawn(['taskset', '-c', '1', process.execPath, '-e', 'setInterval(() => {}, 1e6)']);
  await Bun.sleep(1000);
  const baseline = await idleShare([empty.pid]);
  printTable(
    'Memory and idling of one process',
    ['process', 'RSS MB', 'PSS MB', 'KB per idle connection (9,000)', 'idle CPU, % of a core'],
    [
      ...rows,
      [
        'empty Bun process',
        memoryMb([empty.pid]).rss.toFixed(0),
        memoryMb([empty.pid]).pss.toFixed(0),
        '',
        baseline.toFixed(2),
      ],
    ],
  );
} finally {
  await stopAll();
}

async function describe(hop: Hop, withConnections: boolean): Promise<string[]> {
  const idle = await idleShare(hop.pids);
  const before = memoryMb(hop.pids);
  const perConnection = withConnections ? await connectionKb(hop, before.rss) : '';
  return [hop.name, before.rss.toFixed(0), before.pss.toFixed(0), perConnection, idle.toFixed(2)];
}

/** Each connection has sent one request and got its answer, and then stays. */
async function connectionKb(hop: Hop, beforeMb: number): Promise<string> {
  const sockets: Socket[] = [];
  for (let from = 0; from < idleConnections; from += 200) {
    const group = await Promise.all(Array.from({ length: 200 }, () => visit(hop.port)));
    sockets.push(...group);
  }
  await Bun.sleep(restMs);
  const kb = ((memoryMb(hop.pids).rss - beforeMb) * 1024) / idleConnections;
  for (const socket of sockets) socket.destroy();
  return kb.toFixed(1);
}

function visit(port: number): Promise<Socket> {
  return new Promise((resolve, reject) => {
    const socket = connect(port, '127.0.0.1', () => socket.write('GET / HTTP/1.1\r\nHost: a\r\n\r\n'));
    socket.once('error', reject);
    socket.once('data', () => resolve(socket));
  });
}

async function idleShare(pids: readonly number[]): Promise<number> {
  const before = cpuMicros(pids);
  await Bun.sleep(idleSeconds * 1000);
  return ((cpuMicros(pids) - before) / (idleSeconds * 1e6)) * 100;
}
