/** Real Workers: one dies, its successor serves from the same socket's queue. */
import { afterEach, expect, test } from 'bun:test';
import { createLogger, MetricsAggregator } from '@sluice/runtime';
import { cleanUp, onCleanUp, waitFor } from '@sluice/testkit';
import { ListenerTable, parseJsonMessage } from '@sluice/xds';
import { newLimitsMemory } from '../cluster/shared-limits.ts';
import { httpListener } from '../proxy-process.test-double.ts';
import { Fleet, type LoopPort } from './fleet.ts';
import { bindSocket } from './listen-socket.ts';
import { spawnWorker } from './spawn-worker.ts';

afterEach(cleanUp);

test('connections made while a loop is being replaced wait in the queue and are served', async () => {
  const ports: LoopPort[] = [];
  const total = newLimitsMemory();
  const lines: string[] = [];
  const fleet = new Fleet({
    concurrency: 1,
    spawn: (index) => {
      const port = spawnWorker(index);
      ports.push(port);
      return port;
    },
    init: (index, share) => ({
      kind: 'init',
      drainMs: 1_000,
      index,
      limits: { total, share },
      runtime: [],
      hostname: 'h',
      environment: {},
      nodeMetadata: {},
      nodeId: 'n',
      nodeCluster: 'c',
      logLevel: 'info',
      componentLogLevels: {},
      logFormat: 'text',
      allowedLogPaths: [],
    }),
    limitsTotal: total,
    limitSlotsUsed: () => 0,
    metrics: new MetricsAggregator(),
    logger: createLogger({ component: 'test', write: (line) => void lines.push(line) }),
    nowMs: () => performance.now(),
    later: (run, delayMs) => void setTimeout(run, delayMs),
    soon: queueMicrotask,
    onAccessLog: () => undefined,
    writeLog: (line) => void lines.push(line),
    onReady: () => undefined,
  });
  onCleanUp(() => fleet.stop());
  fleet.start();
  const direct = {
    name: 't',
    virtual_hosts: [
      {
        name: 'all',
        domains: ['*'],
        routes: [
          { match: { prefix: '/' }, direct_response: { status: 200, body: { inline_string: 'here' } } },
        ],
      },
    ],
  };
  const listener = parseJsonMessage(ListenerTable, httpListener('main', { route_config: direct }));
  const socket = bindSocket({
    address: '127.0.0.1',
    port: 0,
    ipv4Compat: false,
    transparent: false,
    freebind: false,
    options: [],
    backlog: undefined,
    mode: 0,
  });
  onCleanUp(() => socket.close());
  socket.listen();
  fleet.send({ kind: 'putListener', version: '1', listener });
  fleet.listen('main', [socket]);
  const ask = async (): Promise<string> =>
    (await fetch(`http://127.0.0.1:${socket.port}`, { keepalive: false })).text();
  expect(await ask()).toBe('here');
  ports[0]?.terminate();
  await waitFor(() => lines.some((line) => line.includes('a data loop died')));
  expect(ports).toHaveLength(1);
  expect(await Promise.all([ask(), ask(), ask()])).toEqual(['here', 'here', 'here']);
  expect(ports).toHaveLength(2);
});
