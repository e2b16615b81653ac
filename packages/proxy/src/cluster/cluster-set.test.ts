import { describe, expect, test } from 'bun:test';
import { ClusterLoadAssignmentTable, ClusterTable, parseJsonMessage } from '@sluice/xds';
import { pickContext } from './balancer.suite.ts';
import { checkingEnvironment } from '../tls/tls-environment.ts';
import { ClusterSet } from './cluster-set.ts';
import type { ClusterStats } from './cluster.ts';
import { newLimitsMemory, LimitSlots, priorityLimits, reclaim } from './shared-limits.ts';

const total = newLimitsMemory();
const limits = (): { total: SharedArrayBuffer; share: SharedArrayBuffer } => ({
  total,
  share: newLimitsMemory(),
});

function newSet(nowMs = () => 0): ClusterSet {
  return new ClusterSet({
    limits: limits(),
    nowMs,
    random: () => 0,
    bindStats: () => ({}) as ClusterStats,
    tls: checkingEnvironment(),
  });
}

const cluster = (json: object) =>
  parseJsonMessage(ClusterTable, {
    name: 'c',
    type: 'EDS',
    eds_cluster_config: { eds_config: { ads: {} } },
    ...json,
  });
const assignment = (...ports: number[]) =>
  parseJsonMessage(ClusterLoadAssignmentTable, {
    cluster_name: 'c',
    endpoints: [
      {
        lb_endpoints: ports.map((port_value) => ({
          endpoint: { address: { socket_address: { address: '10.0.0.1', port_value } } },
        })),
      },
    ],
  });

describe('clusters of a loop', () => {
  test('endpoint objects live as long as their address stays; those that leave drain their pool', () => {
    const set = newSet();
    set.put(cluster({}), '1', 0);
    expect(set.find('c')?.isWarm).toBe(false);
    set.putEndpoints(assignment(1, 2), 'a', 0, true);
    const [first, second] = set.find('c')?.endpoints ?? [];
    let drained = 0;
    for (const each of [first, second])
      if (each) each.pool = { drain: () => void drained++, retireOutdated() {} };
    set.putEndpoints(assignment(2, 3), 'b', 0, true);
    expect(set.find('c')?.endpoints[0]).toBe(second!);
    expect(set.find('c')?.endpoints.map((each) => each.port)).toEqual([2, 3]);
    expect(drained).toBe(1);
    expect(first?.pool).not.toBeNull();
  });

  test('an updated cluster goes on with the endpoints it has', () => {
    const set = newSet();
    set.put(cluster({}), '1', 0);
    set.putEndpoints(assignment(1), 'a', 0, true);
    const before = set.find('c')?.endpoints[0];
    set.put(cluster({ connect_timeout: '9s' }), '2', 0);
    expect(set.find('c')?.connectTimeoutMs).toBe(9000);
    expect(set.find('c')?.endpoints[0]).toBe(before!);
  });

  test('a change of kind waits for the new endpoints while the old ones serve', () => {
    const set = newSet();
    set.put(
      cluster({ type: 'STATIC', eds_cluster_config: undefined, load_assignment: { endpoints: [] } }),
      '1',
      0,
    );
    const old = set.find('c');
    set.put(cluster({}), '2', 0);
    expect(set.find('c')).toBe(old);
    set.putEndpoints(assignment(1), 'a', 0, true);
    expect(set.find('c')?.version).toBe('2');
  });

  test('endpoint lists that come in parts take effect with the last one', () => {
    const set = newSet();
    set.put(cluster({}), '1', 0);
    set.putEndpoints(assignment(1), 'a', 0, false);
    expect(set.find('c')?.endpoints).toHaveLength(0);
    set.putEndpoints(assignment(2), 'a', 1, true);
    expect(set.find('c')?.endpoints.map((each) => each.port)).toEqual([1, 2]);
  });

  test('original destinations are made on demand and forgotten when idle', () => {
    let now = 0;
    const set = newSet(() => now);
    set.put(
      cluster({
        type: 'ORIGINAL_DST',
        eds_cluster_config: undefined,
        lb_policy: 'CLUSTER_PROVIDED',
        cleanup_interval: '5s',
      }),
      '1',
      0,
    );
    const made = set.find('c')?.pick(pickContext(1, { originalAddress: '10.1.2.3', originalPort: 80 }));
    expect(made?.label).toBe('10.1.2.3:80');
    now = 4999;
    set.sweep(now);
    expect(set.find('c')?.endpoints).toHaveLength(1);
    now = 5000;
    set.sweep(now);
    expect(set.find('c')?.endpoints).toHaveLength(0);
    expect(set.find('c')?.pick(pickContext(1))).toBeNull();
  });
});

describe('limits of the whole process', () => {
  const settings = {
    maxConnections: 2,
    maxPendingRequests: 9,
    maxRequests: 9,
    maxRetries: 1,
    retryBudget: null,
  };

  test('two workers share one limit, and what a dead one held is given back', () => {
    const [one, two] = [limits(), limits()];
    const [a, b] = [priorityLimits(one, 7, 'default', settings), priorityLimits(two, 7, 'default', settings)];
    expect([a.connections.tryAcquire(), b.connections.tryAcquire(), a.connections.tryAcquire()]).toEqual([
      true,
      true,
      false,
    ]);
    reclaim(total, one.share, 8);
    expect(b.connections.current).toBe(1);
    expect(b.connections.tryAcquire()).toBe(true);
    b.connections.release();
    b.connections.release();
    expect(b.connections.current).toBe(0);
  });

  test('a retry budget is a share of what is active, with a floor', () => {
    const memory = limits();
    const budget = { percent: 20, minConcurrency: 1 };
    const { requests, retries } = priorityLimits(memory, 9, 'high', {
      ...settings,
      maxRequests: 100,
      retryBudget: budget,
    });
    expect(retries.isRatio).toBe(true);
    expect(retries.max).toBe(1);
    for (let i = 0; i < 20; i++) requests.tryAcquire();
    expect(retries.max).toBe(4);
  });

  test('slots are reused after their cluster is gone', () => {
    const slots = new LimitSlots();
    expect([slots.slotOf('a'), slots.slotOf('b'), slots.slotOf('a')]).toEqual([0, 1, 0]);
    slots.release('a');
    expect(slots.slotOf('c')).toBe(0);
    expect(slots.used).toBe(2);
  });
});
