/** Two attempts of one request at a time: what fails, is refused, is cancelled or waits, and what is left behind. */
import { describe, expect, test } from 'bun:test';
import { blackholePort, turns } from '@sluice/testkit';
import { expectNothingHeld, freshWorlds } from '../../http/test-fresh-world.ts';
import { reply } from '../../http/test-world.ts';
import { FLAG } from '../../telemetry/response-flags.ts';
import { expectQuiet, get, HedgedWorld, onTimeout } from './test-hedged.ts';

let world: HedgedWorld;
freshWorlds(() => (world = new HedgedWorld()));

const bad = reply('bad', 'HTTP/1.1 503 Unavailable');

describe('failure', () => {
  test('of both attempts is one reply', async () => {
    const { client, cluster, first, second } = await world.pair({ hedging: onTimeout });
    first.peer.reset();
    await first.gone();
    await expectQuiet(client);
    second.peer.reset();
    expect((await client.response()).head).toContain('x-sluice-reason: upstream-reset');
    await expectQuiet(client);
    await world.log.until(1);
    expect(world.log.lines).toHaveLength(1);
    expect(world.log.lines[0]).toMatchObject({ status: 503, attempts: 2, flags: FLAG.UC | FLAG.URX });
    expectNothingHeld(cluster);
    client.send(get);
    await first.asked('\r\n\r\n', 2);
    first.peer.send(reply('next'));
    expect((await client.response()).body).toBe('next');
  });

  test('of the second one, where it never got a connection, leaves the first alone', async () => {
    const { client, cluster, first } = await world.first([1], { hedging: onTimeout });
    await first.upstream.until(() => cluster.limits.requests.current === 2);
    while (cluster.limits.requests.current === 2) await turns();
    await expectQuiet(client);
    first.peer.send(reply('first'));
    expect((await client.response()).body).toBe('first');
    await world.log.until(1);
    expect(world.log.lines[0]).toMatchObject({ status: 200, flags: 0 });
    expectNothingHeld(cluster);
  });

  test('by the circuit breaker keeps the second one out, and costs the first nothing', async () => {
    const limits = { requests: 1 };
    const { client, cluster, first } = await world.first([], { hedging: onTimeout }, { limits });
    first.peer.send(reply('first'));
    expect((await client.response()).body).toBe('first');
    await world.log.until(1);
    expect(world.log.lines[0]).toMatchObject({ status: 200, attempts: 1, flags: 0 });
    expect(cluster.stats.counts['pendingOverflow']).toBe(1);
    expectNothingHeld(cluster);
  });

  test('by the retry budget or the count starts none, without a flag', async () => {
    for (const [retry, what] of [
      [{}, 'skipped: retry budget spent'],
      [{ maxRetries: 0 }, 'limit of 0 reached'],
    ] as const) {
      const limits = { retries: 0 };
      const { client, cluster, first } = await world.first([], { hedging: onTimeout, retry }, { limits });
      first.peer.send(reply('first'));
      expect((await client.response()).body).toBe('first');
      const count = world.log.lines.length;
      await world.log.until(Math.max(1, count));
      expect(world.log.lines.at(-1)).toMatchObject({ attempts: 1, flags: 0, decisions: [`retry: ${what}`] });
      expectNothingHeld(cluster);
    }
  });

  test('by the route timeout ends both', async () => {
    const { client, cluster, first, second } = await world.pair({ hedging: onTimeout });
    world.clock.advance(15_000);
    expect((await client.response()).status).toBe(504);
    await first.gone();
    await second.gone();
    await world.log.until(1);
    expect(world.log.lines[0]).toMatchObject({ status: 504, attempts: 2, flags: FLAG.UT });
    expect(cluster.endpoints.map(({ stats }) => stats.timeouts)).toEqual([1, 1]);
    expect(cluster.stats.counts['requestTimeout']).toBe(1);
    expectNothingHeld(cluster);
  });

  test('of the client cancels both', async () => {
    const { client, cluster, first, second } = await world.pair({ hedging: onTimeout });
    client.reset();
    await first.gone();
    await second.gone();
    await world.log.until(1);
    expect(world.log.lines[0]).toMatchObject({ status: 0, attempts: 2, flags: FLAG.DC });
    expect(cluster.stats.counts).toMatchObject({ requestEnded: 2, requestRetried: 1 });
    expectNothingHeld(cluster);
  });

  test('of the client also takes back an attempt that waits for its connection', async () => {
    const blackhole = await blackholePort();
    const { client, cluster } = await world.first([blackhole], { hedging: onTimeout });
    expect(cluster.limits.pendingRequests.current).toBe(1);
    client.reset();
    await world.log.until(1);
    expectNothingHeld(cluster);
  });
});

describe('a second attempt that backs off while the first lives', () => {
  test('is tried again, and is called off when the first answers', async () => {
    const setup = { hedging: onTimeout, retry: { maxRetries: 3, backoffLeastMs: 1000 } };
    const { client, cluster, first, second } = await world.pair(setup);
    second.peer.reset();
    await second.gone();
    while (cluster.limits.requests.current === 2) await turns();
    expect(cluster.limits.retries.current).toBe(1);
    first.peer.send(reply('first'));
    expect((await client.response()).body).toBe('first');
    await world.log.until(1);
    expectNothingHeld(cluster);
    world.clock.advance(60_000);
    await turns(20);
    expect([first.upstream.connectionCount, second.upstream.connectionCount]).toEqual([1, 1]);
  });

  test('may be the one that answers', async () => {
    const setup = { hedging: onTimeout, retry: { maxRetries: 3, backoffLeastMs: 1000 } };
    const { client, cluster, first, second } = await world.pair(setup);
    second.peer.send(bad);
    second.peer.clear();
    while (cluster.limits.requests.current === 2) await turns();
    first.peer.reset();
    await first.gone();
    await expectQuiet(client);
    while (cluster.limits.requests.current === 0) world.clock.advance(10);
    await first.asked('\r\n\r\n', 2);
    first.peer.send(reply('third'));
    expect((await client.response()).body).toBe('third');
    await world.log.until(1);
    expect(world.log.lines[0]).toMatchObject({ status: 200, attempts: 3, flags: 0 });
    expect(cluster.stats.counts['requestRetried']).toBe(2);
    expectNothingHeld(cluster);
  });
});
