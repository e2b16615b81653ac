import { expect, test } from 'bun:test';
import { LimitSlots, newLimitsMemory, priorityLimits, reclaim } from '../cluster/shared-limits.ts';
import { ConnectionLimits, reservedLimitSlots } from './connection-limits.ts';

const runtime = [
  ['envoy.resource_limits.listener.web.connection_limit', 2],
  ['envoy.resource_limits.listener.in.bound_0.connection_limit', 1],
  ['envoy.resource_limits.listener.open.connection_limit', 0],
  ['overload.global_downstream_max_connections', 7],
] as const;

function twoLoops(processCap: number) {
  const total = newLimitsMemory();
  const shares = [newLimitsMemory(), newLimitsMemory()] as const;
  const loops = shares.map((share) => new ConnectionLimits({ total, share }, runtime, processCap));
  return { total, shares, one: loops[0]!, other: loops[1]! };
}

test('the limit of a listener holds for all loops together', () => {
  const { one, other } = twoLoops(100);
  expect([one.take('web'), other.take('web'), one.take('web')]).toEqual([null, null, 'listener']);
  other.release('web');
  expect([one.take('web'), one.take('in.bound_0'), other.take('in.bound_0')]).toEqual([
    null,
    null,
    'listener',
  ]);
});

test('so does that of the process, and a listener without a limit has no other', () => {
  const { one, other } = twoLoops(3);
  expect([one.take('open'), other.take('unknown'), one.take('web'), other.take('web')]).toEqual([
    null,
    null,
    null,
    'process',
  ]);
  one.release('open');
  // What the process refused was not counted for the listener.
  expect([other.take('web'), other.take('web')]).toEqual([null, 'listener']);
});

test('what a loop held that has crashed is free again', () => {
  const { total, shares, one, other } = twoLoops(2);
  expect([one.take('web'), one.take('web'), other.take('web')]).toEqual([null, null, 'listener']);
  reclaim(total, shares[0], reservedLimitSlots(runtime));
  expect([other.take('web'), other.take('web')]).toEqual([null, null]);
});

test('no cluster has their slots', () => {
  const { total, shares, one } = twoLoops(1);
  const slot = new LimitSlots(reservedLimitSlots(runtime)).slotOf('cluster')!;
  const settings = {
    maxConnections: 1,
    maxPendingRequests: 1,
    maxRequests: 1,
    maxRetries: 1,
    retryBudget: null,
  };
  const { connections } = priorityLimits({ total, share: shares[0] }, slot, 'default', settings);
  expect([connections.tryAcquire(), one.take('web'), one.take('web')]).toEqual([true, null, 'process']);
});
