/** For tests: a world of their own for each of a file, and what must be true of every world at its end. */
import { afterEach, beforeEach, expect } from 'bun:test';
import { cleanUp } from '@sluice/testkit';
import type { TestCluster } from './test-doubles.ts';
import type { World } from './test-world.ts';

/**
 * Makes a world before each test and closes it afterwards, with all that waits for `cleanUp`; an error reported inside
 * it fails the test. To be called at the top level of a test file, with a `make` that also puts the world where the
 * tests find it.
 */
export function freshWorlds(make: () => World): void {
  let world: World;
  beforeEach(() => {
    world = make();
  });
  afterEach(async () => {
    world.close();
    await cleanUp();
    expect(world.errors).toEqual([]);
  });
}

/** Every request and connection attempt that was borrowed from the limits is back, and each start has its end. */
export function expectNothingHeld({ limits, stats, endpoints }: TestCluster): void {
  const { requests, pendingRequests, retries } = limits;
  expect([requests, pendingRequests, retries].map((limit) => limit.current)).toEqual([0, 0, 0]);
  expect(endpoints.map((endpoint) => endpoint.activeRequests)).toEqual(endpoints.map(() => 0));
  expect(stats.counts['requestEnded']).toBe(stats.counts['requestStarted']!);
}
