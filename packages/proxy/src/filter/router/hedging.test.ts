/**
 * Two attempts of one request at a time, between real sockets: which response wins, what becomes of the other
 * attempt, and what the record tells.
 */
import { describe, expect, test } from 'bun:test';
import { turns } from '@sluice/testkit';
import { expectNothingHeld, freshWorlds } from '../../http/test-fresh-world.ts';
import { reply } from '../../http/test-world.ts';
import { compileRoutes } from '../../route/route-requests.test-double.ts';
import { FLAG } from '../../telemetry/response-flags.ts';
import type { UpstreamHttpFilter } from '../filter.ts';
import { routerFactory } from './router-factory.ts';
import { expectQuiet, get, HedgedWorld, onTimeout } from './test-hedged.ts';

let world: HedgedWorld;
freshWorlds(() => (world = new HedgedWorld()));

const bad = reply('bad', 'HTTP/1.1 503 Unavailable');

describe('the first acceptable response', () => {
  test('of the second attempt wins; the first is reset, and the record tells of the second', async () => {
    const { client, cluster, first, second, seen } = await world.pair({ hedging: onTimeout });
    expect(cluster.limits.requests.current).toBe(2);
    expect(cluster.limits.retries.current).toBe(1);
    second.peer.send(reply('second'));
    expect((await client.response()).body).toBe('second');
    await first.gone();
    await world.log.until(1);
    expect(world.log.lines[0]).toMatchObject({ status: 200, attempts: 2, flags: 0, details: 'via_upstream' });
    expect(world.log.lines[0]!.decisions).toEqual([
      `hedge: number 1 beside ${first.endpoint}`,
      `hedge: ${second.endpoint} answered first`,
    ]);
    expect(seen[0]!.endpoint!.label).toBe(second.endpoint);
    expectNothingHeld(cluster);
    expect(cluster.stats.counts).toMatchObject({
      requestStarted: 2,
      requestRetried: 1,
    });
    expect(cluster.stats.counts['perTryTimeout']).toBeUndefined();
    expect(second.upstream.openCount).toBe(1);
  });

  test('of the first attempt wins after its per-try timeout; the second is reset', async () => {
    const { client, cluster, first, second, seen } = await world.pair({ hedging: onTimeout });
    first.peer.send(reply('first'));
    expect((await client.response()).body).toBe('first');
    await second.gone();
    await world.log.until(1);
    expect(world.log.lines[0]).toMatchObject({ status: 200, attempts: 2, flags: 0 });
    expect(seen[0]!.endpoint!.label).toBe(first.endpoint);
    // The head of the first one was sent before the clock moved.
    expect(seen[0]!.upstreamHeadSentMs).toBe(1000);
    expectNothingHeld(cluster);
    expect(first.upstream.openCount).toBe(1);
  });

  test('leaves nothing behind for the next request of the connection', async () => {
    const { client, cluster, first, second } = await world.pair({ hedging: onTimeout });
    second.peer.send(reply('second'));
    await client.response();
    first.upstream.texts.fill('');
    second.upstream.texts.fill('');
    for (const [held, body] of [
      [first, 'again first'],
      [second, 'again second'],
    ] as const) {
      client.send(get);
      await held.asked();
      held.peer.send(reply(body));
      expect((await client.response()).body).toBe(body);
    }
    await world.log.until(3);
    expect(world.log.lines.slice(1).map(({ attempts, decisions }) => [attempts, decisions.length])).toEqual([
      [1, 0],
      [1, 0],
    ]);
    expectNothingHeld(cluster);
  });

  test('is not one that the policy would retry while another attempt lives', async () => {
    const { client, cluster, first, second, seen } = await world.pair({ hedging: onTimeout });
    first.peer.send(bad);
    await first.upstream.until(() => cluster.limits.requests.current === 1);
    await expectQuiet(client);
    second.peer.send(reply('good'));
    expect((await client.response()).body).toBe('good');
    await world.log.until(1);
    expect(world.log.lines[0]).toMatchObject({ status: 200, flags: 0 });
    expect(seen[0]!.endpoint!.label).toBe(second.endpoint);
    expect(cluster.endpoints.map(({ stats }) => [stats.errors, stats.successes])).toEqual([
      [1, 0],
      [0, 1],
    ]);
    expectNothingHeld(cluster);
  });

  test('is the last one, however bad it is', async () => {
    const { client, cluster, first, second } = await world.pair({ hedging: onTimeout });
    first.peer.send(bad);
    await first.upstream.until(() => cluster.limits.requests.current === 1);
    second.peer.send(bad);
    expect(await client.response()).toMatchObject({ status: 503, body: 'bad' });
    await world.log.until(1);
    expect(world.log.lines[0]).toMatchObject({ attempts: 2, flags: FLAG.URX, details: 'via_upstream' });
    expectNothingHeld(cluster);
  });

  test('of the attempt that is left may be waited for to the end of the route timeout', async () => {
    const { client, cluster, second, first } = await world.pair({ hedging: onTimeout });
    second.peer.reset();
    await second.gone();
    await expectQuiet(client);
    world.clock.advance(5000);
    await expectQuiet(client);
    first.peer.send(reply('late'));
    expect((await client.response()).body).toBe('late');
    expectNothingHeld(cluster);
  });
});

describe('what belongs to one attempt', () => {
  test('upstream filters see the head and the end of each, once', async () => {
    const told: string[] = [];
    const filter: UpstreamHttpFilter = {
      onAttemptHead: (_x, headers, attempt) => {
        headers.append('x-attempt', String(attempt));
        told.push(`head ${attempt}`);
        return 'continue';
      },
      onAttemptEnd: (_x, attempt) => void told.push(`end ${attempt}`),
    };
    const { client, first, second } = await world.pair({ hedging: onTimeout, upstreamFilters: [filter] });
    second.peer.send(reply('second'));
    await client.response();
    await world.log.until(1);
    expect(told).toEqual(['head 1', 'head 2', 'end 1', 'end 2']);
    expect([first, second].map(({ upstream }) => /x-attempt: (\d)/.exec(upstream.texts[0]!)?.[1])).toEqual([
      '1',
      '2',
    ]);
  });

  test('of 1xx only 100 is passed on while several live, and all of the one that is left', async () => {
    const { client, first, second } = await world.pair(
      { hedging: onTimeout, manager: { proxy100Continue: true } },
      `POST / HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\nContent-Length: 0\r\n\r\n`,
    );
    first.peer.send('HTTP/1.1 103 Early Hints\r\nLink: </first>\r\n\r\n');
    await expectQuiet(client);
    second.peer.send('HTTP/1.1 100 Continue\r\n\r\n');
    await client.until(() => client.text === 'HTTP/1.1 100 Continue\r\n\r\n');
    second.peer.reset();
    await second.gone();
    await turns(20);
    first.peer.send('HTTP/1.1 103 Early Hints\r\nLink: </only>\r\n\r\n');
    first.peer.send(reply('first'));
    await client.until(() => client.text.endsWith('first'));
    expect(client.text).toContain('</only>');
    expect(client.text).not.toContain('</first>');
  });

  test('an idle timeout ends its attempt and not the other', async () => {
    const { client, cluster, first, second } = await world.pair({
      hedging: onTimeout,
      retry: { perTryIdleTimeoutMs: 150 },
    });
    world.clock.advance(60);
    await first.gone();
    await expectQuiet(client);
    second.peer.send(reply('second'));
    expect((await client.response()).body).toBe('second');
    expect(cluster.stats.counts['perTryTimeout']).toBe(1);
    expectNothingHeld(cluster);
  });

  test('an upgrade has one attempt', async () => {
    const first = world.held();
    const { port, cluster } = world.hedged([first.upstream.port], {
      hedging: { initialAttempts: 3, onPerTryTimeout: true },
      manager: { upgrades: new Map([['websocket', true]]) },
    });
    const client = await world.client(port);
    client.send('GET / HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n');
    await first.asked();
    world.clock.advance(100);
    first.peer.send('HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n');
    await client.until(() => client.text.includes('101'));
    expect(first.upstream.connectionCount).toBe(1);
    expect(cluster.stats.counts['requestStarted']).toBe(1);
    client.reset();
    await world.log.until(1);
    expectNothingHeld(cluster);
  });
});

test('no configuration asks for it: hedge_policy is refused on routes and on virtual hosts', () => {
  const hedge_policy = { hedge_on_per_try_timeout: true };
  const routes = [{ match: { prefix: '/' }, route: { cluster: 'c', hedge_policy } }];
  const { problems } = compileRoutes({
    virtual_hosts: [{ name: 'all', domains: ['*'], routes, hedge_policy }],
  });
  expect(problems.map(({ path, message }) => `${path}: ${message}`).sort()).toEqual([
    'virtual_hosts[0].hedge_policy: not honoured: not supported by this proxy',
    'virtual_hosts[0].routes[0].route.hedge_policy: not honoured: not supported by this proxy',
  ]);
  const router = { strictCheckHeaders: [], suppressEnvoyHeaders: true };
  expect(routerFactory.compile(router, [])).toEqual({ suppressEnvoyHeaders: true, hedging: null });
});
