import { describe, expect, test } from 'bun:test';
import { turns } from '@sluice/testkit';
import { forwardTo, testRoute } from './test-doubles.ts';
import { freshWorlds } from './test-fresh-world.ts';
import { answering, reply, World } from './test-world.ts';
import type { HttpManagerConfig } from '../listener/listener.ts';
import type { UpstreamScript } from './test-world.ts';

let world: World;
freshWorlds(() => (world = new World()));

const plainGet = 'GET / HTTP/1.1\r\nHost: a\r\n\r\n';

function proxyTo(script: UpstreamScript, more: Partial<HttpManagerConfig> = {}) {
  const upstream = world.upstream(script);
  const cluster = world.cluster('a', [upstream.port]);
  const port = world.listen(() => testRoute(forwardTo('a')), more);
  return { upstream, cluster, port };
}

test('a request goes through, and the response comes back', async () => {
  const { upstream, port } = proxyTo(answering(reply('hello')));
  const client = await world.client(port);
  client.send('GET /x?y=1 HTTP/1.1\r\nHost: reviews:9080\r\nUser-Agent: test\r\n\r\n');
  const response = await client.response();
  expect(response.status).toBe(200);
  expect(response.body).toBe('hello');
  expect(response.head).toContain('x-envoy-upstream-service-time: 0');
  expect(response.head).toContain('server: envoy');
  const sent = upstream.texts[0]!;
  expect(sent).toStartWith('GET /x?y=1 HTTP/1.1\r\nHost: reviews:9080\r\nUser-Agent: test\r\n');
  expect(sent).toMatch(/x-request-id: [0-9a-f-]{36}\r\n/);
  expect(sent).toContain('x-forwarded-proto: http\r\n');
  expect(sent).toContain('x-envoy-expected-rq-timeout-ms: 15000\r\n');
  await world.log.until(1);
  expect(world.log.lines[0]).toMatchObject({
    status: 200,
    flags: 0,
    details: 'via_upstream',
    attempts: 1,
    bytesSent: 5,
  });
});

describe('connections', () => {
  test('both sides keep alive, and the pool hands out the same connection', async () => {
    const { upstream, port, cluster } = proxyTo(answering(reply('x')));
    const client = await world.client(port);
    for (let i = 0; i < 5; i++) {
      client.send(plainGet);
      expect((await client.response()).status).toBe(200);
    }
    expect(upstream.connectionCount).toBe(1);
    expect(cluster.limits.connections.current).toBe(1);
    expect(cluster.limits.requests.current).toBe(0);
    expect(cluster.limits.pendingRequests.current).toBe(0);
  });

  test('pipelined requests are answered in order', async () => {
    const { upstream, port } = proxyTo((peer, text) => {
      const path = /GET (\S+)/.exec(text)?.[1];
      if (!text.endsWith('\r\n\r\n') || path === undefined) return;
      peer.clear();
      peer.send(reply(path));
    });
    const client = await world.client(port);
    client.send(['/1', '/2', '/3', '/4'].map((path) => `GET ${path} HTTP/1.1\r\nHost: a\r\n\r\n`).join(''));
    const bodies = [];
    for (let i = 0; i < 4; i++) bodies.push((await client.response()).body);
    expect(bodies).toEqual(['/1', '/2', '/3', '/4']);
    expect(upstream.connectionCount).toBe(1);
  });

  test('pipelined octets are capped: the socket is paused beyond 64 KiB, and nothing is lost', async () => {
    let release: () => void = () => {};
    const { port, upstream } = proxyTo((peer, text) => {
      const path = /GET (\S+)/.exec(text)?.[1];
      if (!text.endsWith('\r\n\r\n') || path === undefined) return;
      peer.clear();
      if (path === '/first') release = () => peer.send(reply('first'));
      else peer.send(reply('later'));
    });
    const client = await world.client(port);
    client.send('GET /first HTTP/1.1\r\nHost: a\r\n\r\n');
    const one = `GET /later HTTP/1.1\r\nHost: a\r\nX-Pad: ${'p'.repeat(1000)}\r\n\r\n`;
    client.send(one.repeat(400));
    const served = world.accepted[0]!;
    while (!served.isPaused) await turns();
    const [downstream] = world.connections;
    expect(downstream!.heldBytes).toBeLessThan(64 * 1024 + 512 * 1024 + 1);
    await upstream.until(() => upstream.connectionCount === 1 && upstream.texts[0] !== '');
    release();
    expect((await client.response()).body).toBe('first');
    for (let i = 0; i < 400; i++) expect((await client.response()).body).toBe('later');
  });

  test('Connection: close of the client is honoured', async () => {
    const { port, upstream } = proxyTo(answering(reply('x')));
    const client = await world.client(port);
    client.send('GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n');
    expect((await client.response()).head).toContain('connection: close');
    await client.untilClosed();
    expect(client.wasReset).toBe(false);
    expect(upstream.texts[0]).not.toContain('lose\r\n');
  });

  test('HTTP/1.0 closes by default and keeps alive when asked', async () => {
    const { port } = proxyTo(answering(reply('x')));
    const client = await world.client(port);
    client.send('GET / HTTP/1.0\r\nHost: a\r\nConnection: keep-alive\r\n\r\n');
    expect((await client.response()).head).toContain('connection: keep-alive');
    client.send('GET / HTTP/1.0\r\nHost: a\r\n\r\n');
    expect((await client.response()).head).toContain('connection: close');
    await client.untilClosed();
  });

  test('an upstream that closes after its answer is not used again', async () => {
    const { port, upstream } = proxyTo(
      answering('HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 1\r\n\r\nx'),
    );
    const client = await world.client(port);
    for (let i = 0; i < 2; i++) {
      client.send(plainGet);
      expect((await client.response()).status).toBe(200);
    }
    expect(upstream.connectionCount).toBe(2);
  });

  test('octets behind a response taint the connection: they answer nobody', async () => {
    const { port, upstream } = proxyTo(answering(reply('x') + reply('stolen', 'HTTP/1.1 418 Evil')));
    const client = await world.client(port);
    for (let i = 0; i < 2; i++) {
      client.send(plainGet);
      expect(await client.response()).toMatchObject({ status: 200, body: 'x' });
    }
    expect(upstream.connectionCount).toBe(2);
  });

  test('draining tells clients to close', async () => {
    const { port } = proxyTo(answering(reply('x')));
    const client = await world.client(port);
    world.isDraining = true;
    client.send(plainGet);
    expect((await client.response()).head).toContain('connection: close');
    await client.untilClosed();
  });

  test.each([4000, 8000, 20_000, 50_000])('a target of %d octets goes on whole', async (length) => {
    const target = `/${'p'.repeat(length)}`;
    const { port, upstream } = proxyTo(answering(reply('x')));
    const client = await world.client(port);
    client.send(plainGet.replace(' / ', ` ${target} `));
    expect((await client.response()).status).toBe(200);
    expect(upstream.receivedBytes).toBeGreaterThan(length);
  });

  test('a client that goes away cancels upstream', async () => {
    const { port, upstream, cluster } = proxyTo(() => {});
    const client = await world.client(port);
    client.send(plainGet);
    await upstream.until(() => upstream.connectionCount === 1 && upstream.texts[0] !== '');
    client.end();
    await upstream.until(() => upstream.openCount === 0);
    await world.log.until(1);
    expect(world.log.lines[0]).toMatchObject({
      status: 0,
      details: 'downstream_remote_disconnect',
      flags: 1 << 14,
    });
    expect(cluster.limits.requests.current).toBe(0);
    expect(cluster.stats.counts['requestEnded']).toBe(1);
    expect(cluster.stats.counts['requestCancelled']).toBeUndefined();
  });
});

describe('bodies', () => {
  test('a request body with a length and a chunked response with trailers', async () => {
    const { port, upstream } = proxyTo((peer, text) => {
      if (text.endsWith('hello'))
        peer.send(
          'HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nTrailer: x-sum\r\n\r\n3\r\nabc\r\n0\r\nx-sum: 7\r\n\r\n',
        );
    });
    const client = await world.client(port);
    client.send('POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\nhello');
    await client.until(() => client.text.endsWith('0\r\nx-sum: 7\r\n\r\n'));
    expect(client.text).toContain('3\r\nabc\r\n');
    expect(upstream.texts[0]).toMatch(/Content-Length: 5\r\n/);
    await world.log.until(1);
    expect(world.log.lines[0]).toMatchObject({ bytesReceived: 5, bytesSent: 3 });
  });

  test('a chunked request with trailers reaches the upstream chunked, with trailers', async () => {
    const { port, upstream } = proxyTo((peer, text) => {
      if (text.includes('x-t: 1')) peer.send(reply('ok'));
    });
    const client = await world.client(port);
    client.send('POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n4\r\nwxyz\r\n');
    await upstream.until(() => upstream.texts[0]?.includes('wxyz') === true);
    client.send('0\r\nx-t: 1\r\n\r\n');
    expect((await client.response()).body).toBe('ok');
    expect(upstream.texts[0]).toEndWith('4\r\nwxyz\r\n0\r\nx-t: 1\r\n\r\n');
  });

  test('HEAD, 204 and 304 have no body and keep the connection', async () => {
    const replies = [
      'HTTP/1.1 200 OK\r\nContent-Length: 99\r\n\r\n',
      'HTTP/1.1 204 No Content\r\n\r\n',
      'HTTP/1.1 304 Not Modified\r\nContent-Length: 7\r\n\r\n',
    ];
    const { port, upstream } = proxyTo((peer, text) => {
      if (!text.endsWith('\r\n\r\n')) return;
      peer.clear();
      peer.send(replies.shift() ?? reply('last'));
    });
    const client = await world.client(port);
    client.send('HEAD / HTTP/1.1\r\nHost: a\r\n\r\n');
    await client.until(() => client.text.endsWith('\r\n\r\n'));
    expect(client.text).toMatch(/content-length: 99/i);
    client.text = '';
    client.send(plainGet);
    await client.until(() => client.text.endsWith('\r\n\r\n'));
    expect(client.text).toStartWith('HTTP/1.1 204');
    expect(client.text).not.toMatch(/content-length|transfer-encoding/i);
    client.text = '';
    client.send(plainGet);
    await client.until(() => client.text.endsWith('\r\n\r\n'));
    expect(client.text).toStartWith('HTTP/1.1 304');
    client.text = '';
    client.send(plainGet);
    expect((await client.response()).body).toBe('last');
    expect(upstream.connectionCount).toBe(1);
  });

  test('a response until close is chunked for 1.1 and ended by close for 1.0', async () => {
    const { port } = proxyTo((peer, text) => {
      if (!text.endsWith('\r\n\r\n')) return;
      peer.send('HTTP/1.1 200 OK\r\n\r\nuntil the end');
      peer.end();
    });
    const client = await world.client(port);
    client.send(plainGet);
    await client.until(() => client.text.endsWith('0\r\n\r\n'));
    expect(client.text).toContain('d\r\nuntil the end\r\n');
    const old = await world.client(port);
    old.send('GET / HTTP/1.0\r\nHost: a\r\n\r\n');
    await old.untilClosed();
    expect(old.text).toEndWith('\r\n\r\nuntil the end');
    expect(old.text).not.toContain('chunked');
  });

  test('Expect: 100-continue is answered here, and not passed on', async () => {
    const { port, upstream } = proxyTo((peer, text) => {
      if (text.endsWith('12345')) peer.send(reply('ok'));
    });
    const client = await world.client(port);
    client.send('PUT / HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\nExpect: 100-continue\r\n\r\n');
    await client.until(() => client.text.startsWith('HTTP/1.1 100 Continue\r\n\r\n'));
    client.text = '';
    client.send('12345');
    expect((await client.response()).status).toBe(200);
    expect(upstream.texts[0]).not.toMatch(/expect:/i);
  });

  test('with proxy_100_continue the wish and the 100 are passed on', async () => {
    const { port, upstream } = proxyTo(
      (peer, text) => {
        if (text.endsWith('12345')) peer.send(reply('ok'));
        else if (text.includes('\r\n\r\n')) peer.send('HTTP/1.1 100 Continue\r\n\r\n');
      },
      { proxy100Continue: true },
    );
    const client = await world.client(port);
    client.send('PUT / HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\nExpect: 100-continue\r\n\r\n');
    await client.until(() => client.text.startsWith('HTTP/1.1 100 Continue\r\n'));
    client.text = '';
    client.send('12345');
    expect((await client.response()).status).toBe(200);
    expect(upstream.texts[0]).toMatch(/expect: 100-continue/i);
  });

  test('103 goes to the client before the final response', async () => {
    const { port } = proxyTo((peer) => {
      peer.send('HTTP/1.1 103 Early Hints\r\nLink: </s.css>\r\n\r\n' + reply('ok'));
    });
    const client = await world.client(port);
    client.send(plainGet);
    await client.until(() => client.text.includes('HTTP/1.1 200'));
    expect(client.text).toStartWith('HTTP/1.1 103 Early Hints\r\nLink: </s.css>\r\n\r\n');
  });

  test('an early response ends the exchange, closes the connection, and lets the upload run dry', async () => {
    const { port, upstream } = proxyTo((peer, text) => {
      if (text.includes('\r\n\r\n')) peer.send(reply('no', 'HTTP/1.1 403 Forbidden'));
    });
    const client = await world.client(port);
    client.send('POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 1000000\r\n\r\npart');
    const response = await client.response();
    expect(response.status).toBe(403);
    expect(response.head).toContain('connection: close');
    client.send('x'.repeat(300_000));
    await client.untilClosed();
    expect(client.wasReset).toBe(false);
    await upstream.until(() => upstream.openCount === 0);
  });
});
