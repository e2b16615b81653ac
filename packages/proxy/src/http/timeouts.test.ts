import { describe, expect, test } from 'bun:test';
import { turns } from '@sluice/testkit';
import { FLAG } from '../telemetry/response-flags.ts';
import { forwardTo, retryOn, testRoute } from './test-doubles.ts';
import { freshWorlds } from './test-fresh-world.ts';
import { World } from './test-world.ts';

let world: World;
freshWorlds(() => (world = new World()));

const get = 'GET / HTTP/1.1\r\nHost: a\r\n\r\n';

describe('timeouts', () => {
  const silent = () => world.upstream(() => {});

  test('the route timeout is 504 UT', async () => {
    const upstream = silent();
    world.cluster('a', [upstream.port]);
    const client = await world.client(world.listen(() => testRoute(forwardTo('a', { timeoutMs: 500 }))));
    client.send(get);
    await upstream.until(() => upstream.connectionCount === 1 && upstream.texts[0] !== '');
    world.clock.advance(490);
    expect(client.text).toBe('');
    world.clock.advance(20);
    expect((await client.response()).head).toContain('x-sluice-reason: request-timeout');
    await world.log.until(1);
    expect(world.log.lines[0]).toMatchObject({ status: 504, flags: FLAG.UT, details: 'response_timeout' });
    await upstream.until(() => upstream.openCount === 0);
  });

  test('a request header may tighten it, and never loosen it', async () => {
    const upstream = silent();
    world.cluster('a', [upstream.port]);
    const port = world.listen(() => testRoute(forwardTo('a', { timeoutMs: 500 })));
    for (const [value, dueMs] of [
      ['100', 110],
      ['9000', 510],
    ] as const) {
      const client = await world.client(port);
      const connections = upstream.connectionCount;
      client.send(`GET / HTTP/1.1\r\nHost: a\r\nx-envoy-upstream-rq-timeout-ms: ${value}\r\n\r\n`);
      await upstream.until(
        () => upstream.connectionCount > connections && upstream.texts[connections] !== '',
      );
      world.clock.advance(dueMs);
      expect((await client.response()).status).toBe(504);
    }
    expect(upstream.texts.join('')).not.toContain('rq-timeout-ms: 9000');
  });

  test('the per-try timeout leads to a retry, then to 504', async () => {
    const upstream = silent();
    world.cluster('a', [upstream.port]);
    const retry = retryOn({ fiveXx: true }, { perTryTimeoutMs: 100, maxRetries: 1 });
    const client = await world.client(world.listen(() => testRoute(forwardTo('a', { retry }))));
    client.send(get);
    await world.advanceUntil(() => client.text !== '');
    expect((await client.response()).head).toContain('x-sluice-reason: per-try-timeout');
    await world.log.until(1);
    expect(world.log.lines[0]).toMatchObject({ attempts: 2, flags: FLAG.UT | FLAG.URX });
  });

  test('the stream idle timeout: 408 while the request is incomplete, 504 after, abort in a response', async () => {
    const upstream = world.upstream((peer, text) => {
      if (text.startsWith('GET /half')) peer.send('HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nhalf');
    });
    world.cluster('a', [upstream.port]);
    const port = world.listen(() => testRoute(forwardTo('a', { timeoutMs: 0, idleTimeoutMs: 1000 })));
    const slow = await world.client(port);
    slow.send('POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 10\r\n\r\nhal');
    await upstream.until(() => upstream.texts.join('').endsWith('hal'));
    world.clock.advance(1010);
    expect((await slow.response()).status).toBe(408);
    const waiting = await world.client(port);
    waiting.send(get);
    await upstream.until(() => upstream.connectionCount === 2 && upstream.texts[1] !== '');
    world.clock.advance(1010);
    expect((await waiting.response()).status).toBe(504);
    const half = await world.client(port);
    half.send('GET /half HTTP/1.1\r\nHost: a\r\n\r\n');
    await half.until(() => half.text.endsWith('half'));
    world.clock.advance(1010);
    await half.untilClosed();
    await world.log.until(3);
    expect(world.log.lines.map((line) => line.flags)).toEqual([FLAG.SI, FLAG.SI, FLAG.SI]);
  });

  test('an idle connection is closed, a head that dribbles in gets 408', async () => {
    const port = world.listen(() => null, { connectionIdleTimeoutMs: 2000, requestHeadersTimeoutMs: 300 });
    const idle = await world.client(port);
    await turns();
    const slow = await world.client(port);
    slow.send('GET / HT');
    while (world.accepted.length < 2 || world.accepted[1]!.bytesRead === 0) await turns();
    world.clock.advance(150);
    slow.send('TP/1.1\r\n');
    while (world.accepted[1]!.bytesRead < 12) await turns();
    world.clock.advance(160);
    expect((await slow.response()).status).toBe(408);
    world.clock.advance(2000);
    await idle.untilClosed();
    expect(idle.text).toBe('');
  });

  test('a connection is closed at its greatest age, idle or after its answer', async () => {
    const port = world.listen(() => null, { maxConnectionDurationMs: 5000 });
    const idle = await world.client(port);
    idle.send(get);
    expect((await idle.response()).head).not.toContain('connection: close');
    world.clock.advance(5010);
    await idle.untilClosed();
    const upstream = silent();
    world.cluster('a', [upstream.port]);
    const busyPort = world.listen(() => testRoute(forwardTo('a', { timeoutMs: 6000 })), {
      maxConnectionDurationMs: 5000,
    });
    const busy = await world.client(busyPort);
    busy.send(get);
    await upstream.until(() => upstream.connectionCount === 1 && upstream.texts[0] !== '');
    world.clock.advance(6010);
    expect((await busy.response()).head).toContain('connection: close');
    await busy.untilClosed();
  });
});
