import { describe, expect, test } from 'bun:test';
import { FLAG } from '../telemetry/response-flags.ts';
import { forwardTo, testRoute } from './test-doubles.ts';
import { freshWorlds } from './test-fresh-world.ts';
import { reply, World } from './test-world.ts';

let world: World;
freshWorlds(() => (world = new World()));

const upgrade =
  'GET /chat HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Key: k\r\n\r\n';
const switching = 'HTTP/1.1 101 Switching Protocols\r\nConnection: upgrade\r\nUpgrade: websocket\r\n\r\n';

test('a WebSocket upgrade becomes a tunnel, octets sent early included', async () => {
  const upstream = world.upstream((peer, text) => {
    if (text.endsWith('\r\n\r\n')) peer.send(`${switching}welcome`);
    else if (text.endsWith('ping')) peer.send('pong');
  });
  world.cluster('a', [upstream.port]);
  const client = await world.client(
    world.listen(() => testRoute(forwardTo('a', { timeoutMs: 100 })), {
      upgrades: new Map([['websocket', true]]),
    }),
  );
  client.send(upgrade);
  await client.until(() => client.text.endsWith('welcome'));
  expect(client.text).toMatch(/^HTTP\/1.1 101 /);
  expect(client.text).toMatch(/upgrade: websocket/i);
  expect(upstream.texts[0]).toMatch(/connection: upgrade/i);
  world.clock.advance(1000);
  client.send('ping');
  await client.until(() => client.text.endsWith('pong'));
  client.end();
  await client.untilClosed();
  await world.log.until(1);
  expect(world.log.lines[0]).toMatchObject({ status: 101, flags: 0, bytesReceived: 4, bytesSent: 11 });
});

test('each side may half-close, and the other goes on', async () => {
  const upstream = world.upstream((peer, text) => {
    if (text.endsWith('\r\n\r\n')) {
      peer.send(`${switching}bye`);
      peer.end();
    }
  });
  world.cluster('a', [upstream.port]);
  const client = await world.client(
    world.listen(() => testRoute(forwardTo('a', { upgrades: new Map([['websocket', true]]) }))),
  );
  client.send(upgrade);
  await client.untilClosed();
  expect(client.text).toEndWith('bye');
  client.send('still talking');
  await upstream.until(() => upstream.texts[0]!.endsWith('still talking'));
  client.end();
  await upstream.until(() => upstream.openCount === 0);
});

test('an upgrade that the route does not allow is refused with 403', async () => {
  world.cluster('a', [world.upstream(() => {}).port]);
  const client = await world.client(world.listen(() => testRoute(forwardTo('a'))));
  client.send(upgrade);
  const response = await client.response();
  expect(response.status).toBe(403);
  expect(response.head).toContain('x-sluice-reason: upgrade-refused');
});

test('an upgrade to one of several protocols is refused: the endpoint might choose h2c', async () => {
  const upstream = world.upstream(() => {});
  world.cluster('a', [upstream.port]);
  const port = world.listen(() => testRoute(forwardTo('a')), { upgrades: new Map([['websocket', true]]) });
  for (const lines of ['websocket\r\nUpgrade: h2c', 'websocket, h2c', 'h2c\r\nUpgrade: websocket']) {
    const client = await world.client(port);
    client.send(upgrade.replace('websocket', lines));
    expect(await client.response()).toMatchObject({ status: 403 });
  }
  expect(upstream.connectionCount).toBe(0);
});

test('content beside an Upgrade stays content: no endpoint reads requests in it', async () => {
  const hidden = 'GET /admin HTTP/1.1\r\nHost: a\r\n\r\n';
  const upstream = world.upstream((peer, text) => {
    if (text.endsWith(hidden)) peer.send(reply('plain'));
  });
  world.cluster('a', [upstream.port]);
  const client = await world.client(
    world.listen(() => testRoute(forwardTo('a')), { upgrades: new Map([['websocket', true]]) }),
  );
  client.send(upgrade.replace('GET', 'POST').replace('Host', `Content-Length: ${hidden.length}\r\nHost`));
  client.send(hidden);
  expect(await client.response()).toMatchObject({ status: 200, body: 'plain' });
  const [head = ''] = upstream.texts[0]!.split('\r\n\r\n');
  expect(head).toMatch(new RegExp(`^POST /chat[^]*\\r\\ncontent-length: ${hidden.length}\\r\\n`, 'i'));
  expect(head).not.toMatch(/upgrade/i);
});

test('an upstream that declines answers as usual, and both connections live on', async () => {
  const upstream = world.upstream((peer, text) => {
    if (!text.endsWith('\r\n\r\n')) return;
    peer.clear();
    peer.send(reply('plain'));
  });
  world.cluster('a', [upstream.port]);
  const client = await world.client(
    world.listen(() => testRoute(forwardTo('a')), { upgrades: new Map([['websocket', true]]) }),
  );
  client.send(upgrade);
  expect(await client.response()).toMatchObject({ status: 200, body: 'plain' });
  client.send('GET / HTTP/1.1\r\nHost: a\r\n\r\n');
  expect(await client.response()).toMatchObject({ status: 200, body: 'plain' });
  expect(upstream.connectionCount).toBe(1);
});

test('CONNECT on a forward proxy reaches the endpoint as plain TCP', async () => {
  const upstream = world.upstream((peer, text) => peer.send(`echo ${text}`));
  const cluster = world.cluster('a', [upstream.port]);
  const client = await world.client(
    world.listen((request) => (request.authority === 'db:5432' ? testRoute(forwardTo('a')) : null), {
      isForwardProxy: true,
      upgrades: new Map([['connect', true]]),
    }),
  );
  client.send('CONNECT db:5432 HTTP/1.1\r\nHost: db:5432\r\n\r\n');
  await client.until(() => client.text.endsWith('\r\n\r\n'));
  expect(client.text).toStartWith('HTTP/1.1 200 OK\r\n');
  expect(client.text).not.toMatch(/content-length|transfer-encoding/i);
  client.text = '';
  client.send('hello');
  await client.until(() => client.text === 'echo hello');
  expect(upstream.texts[0]).toBe('hello');
  client.end();
  await upstream.until(() => upstream.openCount === 0);
  await world.log.until(1);
  expect(cluster.limits.connections.current).toBe(0);
});

describe('where CONNECT is allowed', () => {
  const listen = (): number =>
    world.listen(() => testRoute(forwardTo('a')), {
      isForwardProxy: true,
      upgrades: new Map([['connect', true]]),
    });

  test('an Upgrade to “connect” opens no tunnel: it is a request like any other', async () => {
    const upstream = world.upstream((peer, text) => {
      if (!text.endsWith('\r\n\r\n')) return;
      peer.clear();
      peer.send(reply('plain'));
    });
    world.cluster('a', [upstream.port]);
    const client = await world.client(listen());
    client.send('GET /x HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: Connect\r\n\r\n');
    expect(await client.response()).toMatchObject({ status: 200, body: 'plain' });
    // What follows is the next request, for the proxy to judge, and no longer the tunnel's.
    client.send('GET /y HTTP/1.1\r\nHost: a\r\n\r\n');
    expect(await client.response()).toMatchObject({ status: 200, body: 'plain' });
    await world.log.until(2);
    expect(world.log.lines.map(({ path }) => path)).toEqual(['/x', '/y']);
  });

  test('an Upgrade beside CONNECT changes nothing', async () => {
    const upstream = world.upstream((peer, text) => peer.send(`echo ${text}`));
    world.cluster('a', [upstream.port]);
    const client = await world.client(listen());
    client.send(
      'CONNECT db:5432 HTTP/1.1\r\nHost: db:5432\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n',
    );
    await client.until(() => client.text.endsWith('\r\n\r\n'));
    client.text = '';
    client.send('hello');
    await client.until(() => client.text === 'echo hello');
    expect(upstream.texts[0]).toBe('hello');
  });
});

test('CONNECT to a dead endpoint is a 503', async () => {
  const upstream = world.upstream(() => {});
  upstream.stop(true);
  world.cluster('a', [upstream.port]);
  const client = await world.client(
    world.listen(() => testRoute(forwardTo('a')), {
      isForwardProxy: true,
      upgrades: new Map([['connect', true]]),
    }),
  );
  client.send('CONNECT db:5432 HTTP/1.1\r\nHost: db:5432\r\n\r\n');
  expect((await client.response()).status).toBe(503);
  await world.log.until(1);
  expect(world.log.lines[0]!.flags).toBe(FLAG.UF);
});

test('absolute-form is routed by its authority and sent on in origin-form', async () => {
  const upstream = world.upstream((peer, text) => {
    if (text.endsWith('\r\n\r\n')) peer.send(reply('ok'));
  });
  world.cluster('a', [upstream.port]);
  const client = await world.client(
    world.listen((request) => (request.authority === 'reviews:9080' ? testRoute(forwardTo('a')) : null), {
      isForwardProxy: true,
    }),
  );
  client.send('GET http://reviews:9080/x?y HTTP/1.1\r\nHost: other\r\n\r\n');
  expect((await client.response()).body).toBe('ok');
  expect(upstream.texts[0]).toStartWith('GET /x?y HTTP/1.1\r\nHost: reviews:9080\r\n');
});

describe('a tunnel', () => {
  const upgrades = new Map([['websocket', true]]);
  const echoing = () =>
    world.upstream((peer, text) => {
      if (text.endsWith('\r\n\r\n')) peer.send(switching);
      else peer.send(text.slice(-1));
    });
  async function open(more: object, route: object = {}) {
    world.cluster('a', [echoing().port]);
    const client = await world.client(
      world.listen(() => testRoute(forwardTo('a', route)), { upgrades, ...more }),
    );
    client.send(upgrade);
    await client.until(() => client.text.endsWith('\r\n\r\n'));
    client.text = '';
    return client;
  }

  test('has an idle timeout of its own, not that of requests', async () => {
    const client = await open({ streamIdleTimeoutMs: 1_000, tunnelIdleTimeoutMs: 10_000 });
    world.clock.advance(9_000);
    client.send('a');
    await client.until(() => client.text === 'a');
    world.clock.advance(9_000);
    client.send('b');
    await client.until(() => client.text === 'ab');
    world.clock.advance(10_100);
    await client.untilClosed();
    await world.log.until(1);
    expect(world.log.lines[0]).toMatchObject({ status: 101, flags: FLAG.SI });
  });

  test('obeys the idle timeout of its route first', async () => {
    const client = await open({ tunnelIdleTimeoutMs: 10_000 }, { idleTimeoutMs: 500 });
    world.clock.advance(600);
    await client.untilClosed();
  });

  test('is counted while it is open', async () => {
    const client = await open({});
    expect(world.tunnels).toEqual({ opened: 1, closed: 0 });
    client.reset();
    await world.log.until(1);
    expect(world.tunnels).toEqual({ opened: 1, closed: 1 });
  });

  test('an upgrade that is declined is none', async () => {
    const upstream = world.upstream((peer, text) => {
      if (text.endsWith('\r\n\r\n')) peer.send(reply('no'));
    });
    world.cluster('a', [upstream.port]);
    const client = await world.client(world.listen(() => testRoute(forwardTo('a')), { upgrades }));
    client.send(upgrade);
    expect((await client.response()).body).toBe('no');
    expect(world.tunnels.opened).toBe(0);
  });
});
