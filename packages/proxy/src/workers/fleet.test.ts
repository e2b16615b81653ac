import { describe, expect, test } from 'bun:test';
import { createLogger, MetricsAggregator } from '@sluice/runtime';
import {
  ClusterLoadAssignmentTable,
  ClusterTable,
  parseJsonMessage,
  RouteConfigurationTable,
} from '@sluice/xds';
import { newLimitsMemory } from '../cluster/shared-limits.ts';
import type { LoopInit, ToLoop } from '../data-loop.ts';
import { Fleet, type LoopPort } from './fleet.ts';
import { inParts, PostQueue } from './post-queue.ts';

interface FakePort extends LoopPort {
  readonly index: number;
  readonly received: ToLoop[];
}

function newFleet(concurrency: number) {
  const ports: FakePort[] = [];
  const later: { run: () => void; delayMs: number }[] = [];
  const clock = { nowMs: 0 };
  const total = newLimitsMemory();
  const lines: string[] = [];
  const fleet = new Fleet({
    concurrency,
    spawn: (index) => {
      const received: ToLoop[] = [];
      const port: FakePort = {
        index,
        received,
        post: (message) => void received.push(message),
        onMessage: () => undefined,
        onExit: () => undefined,
        terminate: () => undefined,
      };
      ports.push(port);
      return port;
    },
    init: (index, share) => ({ kind: 'init', index, limits: { total, share } }) as unknown as LoopInit,
    limitsTotal: total,
    limitSlotsUsed: () => 1,
    metrics: new MetricsAggregator(),
    logger: createLogger({ component: 'test', write: (line) => void lines.push(line) }),
    nowMs: () => clock.nowMs,
    later: (run, delayMs) => void later.push({ run, delayMs }),
    soon: (run) => void later.push({ run, delayMs: 0 }),
    onAccessLog: () => undefined,
    writeLog: (line) => void lines.push(line),
    onReady: () => undefined,
  });
  const settle = (): void => {
    for (let next = later.shift(); next !== undefined; next = later.shift()) next.run();
  };
  fleet.start();
  return { fleet, ports, later, clock, total, lines, settle };
}

const cluster = (name: string): ToLoop => ({
  kind: 'putCluster',
  version: '1',
  limitsSlot: 0,
  cluster: parseJsonMessage(ClusterTable, { name }),
});
const routes = (name: string, hosts: number): ToLoop & { kind: 'putRoutes' } => ({
  kind: 'putRoutes',
  version: '1',
  part: 0,
  isLast: true,
  routes: parseJsonMessage(RouteConfigurationTable, {
    name,
    virtual_hosts: Array.from({ length: hosts }, (_, i) => ({ name: `h${i}`, domains: [`h${i}`] })),
  }),
});

describe('the fleet', () => {
  test('every loop gets every message; a new one what is live, in the order of dependence', () => {
    const { fleet, ports, settle, clock, total, lines } = newFleet(2);
    fleet.send(routes('t', 1));
    fleet.send(cluster('a'));
    fleet.send(cluster('b'));
    fleet.send({ kind: 'removeCluster', name: 'a' });
    settle();
    expect(ports.map((port) => port.received.map((message) => message.kind))).toEqual([
      ['init', 'putRoutes', 'putCluster', 'putCluster', 'removeCluster'],
      ['init', 'putRoutes', 'putCluster', 'putCluster', 'removeCluster'],
    ]);
    const init = ports[0]?.received[0] as LoopInit;
    new Int32Array(init.limits.share)[0] = 3;
    new Int32Array(total)[0] = 5;
    clock.nowMs = 60_000;
    ports[0]?.onExit('boom');
    settle();
    expect(ports[2]?.index).toBe(0);
    expect(ports[2]?.received.map((message) => message.kind)).toEqual(['init', 'putCluster', 'putRoutes']);
    expect(new Int32Array(total)[0]).toBe(2);
    expect(lines.join('')).toContain('a data loop died');
  });

  test('a loop that keeps dying is restarted with pauses', () => {
    const { ports, later } = newFleet(1);
    ports[0]?.onExit('boom');
    expect(later.at(-1)?.delayMs).toBe(1000);
  });

  test('draining ends when all loops have, a dead one included', () => {
    const { fleet, ports, settle } = newFleet(2);
    let drained = 0;
    fleet.drain(1000, false, () => drained++);
    settle();
    ports[0]?.onMessage({ kind: 'drained' });
    expect(drained).toBe(0);
    ports[1]?.onExit('boom');
    settle();
    expect([drained, ports.length]).toEqual([1, 2]);
  });
});

describe('slices', () => {
  test('a slice ends after 2 ms or 24 messages; the rest waits until the loop has taken it', () => {
    let now = 0;
    let costMs = 1.5;
    const posted: string[] = [];
    const turns: (() => void)[] = [];
    const post = (message: ToLoop): void => {
      posted.push(message.kind);
      now += costMs;
    };
    const queue = new PostQueue(
      post,
      () => now,
      (run) => void turns.push(run),
    );
    for (let i = 0; i < 5; i++) queue.push({ kind: 'removeCluster', name: `${i}` });
    const run = (): number[] => {
      const sizes: number[] = [];
      for (let turn = turns.shift(); turn !== undefined; turn = turns.shift()) {
        turn();
        sizes.push(posted.splice(0).filter((kind) => kind !== 'slice').length);
        expect(turns).toEqual([]);
        queue.taken();
      }
      return sizes;
    };
    expect(run()).toEqual([2, 2, 1]);
    costMs = 0;
    for (let i = 0; i < 50; i++) queue.push({ kind: 'removeCluster', name: `${i}` });
    expect(run()).toEqual([24, 24, 2]);
  });

  test('large endpoint lists and route tables go in parts that add up to the whole', () => {
    const lb_endpoints = Array.from({ length: 600 }, (_, i) => ({ endpoint: { hostname: `${i}` } }));
    const assignment = parseJsonMessage(ClusterLoadAssignmentTable, {
      cluster_name: 'c',
      endpoints: [{ priority: 1 }, { lb_endpoints }, { lb_endpoints: lb_endpoints.slice(0, 10) }],
    });
    const parts = inParts({ kind: 'putEndpoints', version: '1', part: 0, isLast: true, assignment });
    expect(parts.map((part) => part.kind === 'putEndpoints' && [part.part, part.isLast])).toEqual([
      [0, false],
      [1, false],
      [2, true],
    ]);
    const all = parts.flatMap((part) =>
      part.kind === 'putEndpoints' ? part.assignment.endpoints.flatMap((group) => group.lbEndpoints) : [],
    );
    expect(all).toHaveLength(610);
    expect(inParts(routes('t', 65))).toHaveLength(3);
    expect(inParts(routes('t', 0))).toHaveLength(1);
  });
});
