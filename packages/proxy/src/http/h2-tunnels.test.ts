/** WebSockets, other upgrades and CONNECT where HTTP/2 is on one side or both; h2c by Upgrade. */
import { describe, expect, test } from 'bun:test';
import { createHash } from 'node:crypto';
import { defaultH2Settings } from './h2-settings.ts';
import { forwardTo, testRoute } from './test-doubles.ts';
import { freshWorlds } from './test-fresh-world.ts';
import { H2TestClient, H2TestUpstream, type H2Call, type H2Received, type H2Script } from './test-h2.ts';
import {
  ACK,
  framesOf,
  HEADERS,
  PREFACE,
  RST_STREAM,
  begin,
  frame,
  headers,
  received,
  SETTINGS,
} from './test-h2-frames.ts';
import { answering, reply, World, type UpstreamScript } from './test-world.ts';

let world: World;
freshWorlds(() => (world = new World()));

const upgrades = new Map([['websocket', true]]);
const http2 = { ...defaultH2Settings, allowConnect: true };
const key = 'dGhlIHNhbXBsZSBub25jZQ==';
const accept = 's3pPLMBiTxaQ9kYGzzhZRbK+xOo=';

function acceptOf(text: string): string {
  const sent = /sec-websocket-key: (\S+)/i.exec(text)?.[1] ?? '';
  return createHash('sha1').update(`${sent}258EAFA5-E914-47DA-95CA-C5AB0DC85B11`).digest('base64');
}

/** Switches protocols, then sends everything back. */
const h1Socket: UpstreamScript = (peer, text) => {
  const headEnd = text.indexOf('\r\n\r\n');
  if (headEnd < 0) return;
  if (headEnd + 4 === text.length) {
    peer.send(
      `HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Accept: ${acceptOf(text)}\r\nSec-WebSocket-Protocol: chat\r\n\r\n`,
    );
    return;
  }
  peer.send(
    text
      .slice(headEnd + 4)
      .split('|')
      .at(-2) ?? '',
  );
};

const h2Socket: H2Script = ({ stream, headers: head }) => {
  if (head[':protocol'] !== 'websocket') {
    stream.respond({ ':status': 400 });
    stream.end();
    return;
  }
  stream.respond({ ':status': 200, 'sec-websocket-protocol': 'chat' });
  stream.on('data', (chunk: Buffer) => stream.write(chunk.toString().replaceAll('|', '')));
  stream.on('end', () => stream.end());
};

function client(port: number): H2TestClient {
  return world.owns(new H2TestClient(port));
}

async function connect(port: number, fields = {}): Promise<H2Call> {
  const one = client(port);
  await one.until(() => one.session.remoteSettings?.enableConnectProtocol === true);
  return one.call(
    {
      ':method': 'CONNECT',
      ':protocol': 'websocket',
      ':scheme': 'http',
      ':path': '/chat',
      'sec-websocket-version': '13',
      'sec-websocket-protocol': 'chat',
      origin: 'http://a',
      ...fields,
    },
    { end: false },
  );
}

async function h2Upstream(script: H2Script = h2Socket): Promise<H2TestUpstream> {
  return world.owns(await new H2TestUpstream(script, { enableConnectProtocol: true }).listen());
}

const listen = (more = {}, forward = {}): number =>
  world.listen(() => testRoute(forwardTo('a', { timeoutMs: 100, ...forward })), { upgrades, http2, ...more });

describe('WebSocket', () => {
  test('over HTTP/2 becomes an Upgrade for an endpoint of HTTP/1.1, with a key of our own', async () => {
    const upstream = world.upstream(h1Socket);
    world.cluster('a', [upstream.port]);
    const call = await connect(listen());
    await call.until(() => call.status !== 0);
    expect(call.status).toBe(200);
    expect(call.headers['sec-websocket-protocol']).toBe('chat');
    for (const name of ['sec-websocket-accept', 'upgrade', 'connection'])
      expect(call.headers[name]).toBeUndefined();
    const head = upstream.texts[0]!;
    expect(head).toStartWith('GET /chat HTTP/1.1\r\n');
    expect(head).toMatch(/\r\nupgrade: websocket\r\n/i);
    expect(head).toMatch(/\r\nconnection: upgrade\r\n/i);
    expect(Buffer.from(/sec-websocket-key: (\S+)/i.exec(head)![1]!, 'base64').length).toBe(16);
    world.clock.advance(1000);
    call.stream.write('ping|');
    await call.until(() => call.body === 'ping');
    call.stream.end();
    await call.end();
    await world.log.until(1);
    expect(world.log.lines[0]).toMatchObject({ status: 101, flags: 0 });
  });

  test('an answer that does not fit the key fails the request', async () => {
    const upstream = world.upstream((peer, text) => {
      if (text.endsWith('\r\n\r\n'))
        peer.send(
          'HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Accept: wrong\r\n\r\n',
        );
    });
    world.cluster('a', [upstream.port]);
    const call = await connect(listen());
    await call.until(() => call.hasEnded);
    expect(call.status).toBe(502);
    await upstream.until(() => upstream.openCount === 0);
  });

  test('over HTTP/1.1 becomes extended CONNECT for an endpoint of HTTP/2, the key answered here', async () => {
    const upstream = await h2Upstream();
    world.cluster('a', [upstream.port], { protocol: 'h2' });
    const raw = await world.client(listen());
    raw.send(
      `GET /chat HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: ${key}\r\n\r\n`,
    );
    await raw.until(() => raw.text.includes('\r\n\r\n'));
    expect(raw.text).toStartWith('HTTP/1.1 101 Switching Protocols\r\n');
    expect(raw.text).toMatch(/\r\nupgrade: websocket\r\n/i);
    expect(raw.text.toLowerCase()).toContain(`sec-websocket-accept: ${accept}`.toLowerCase());
    expect(upstream.requests[0]).toMatchObject({
      ':method': 'CONNECT',
      ':protocol': 'websocket',
      ':path': '/chat',
      ':authority': 'a',
      'sec-websocket-version': '13',
    });
    for (const name of ['sec-websocket-key', 'upgrade', 'connection', 'host'])
      expect(upstream.requests[0]![name]).toBeUndefined();
    raw.text = '';
    raw.send('ping|');
    await raw.until(() => raw.text === 'ping');
    raw.end();
    await raw.untilClosed();
  });

  test('over HTTP/2 on both sides stays what it is', async () => {
    const upstream = await h2Upstream();
    world.cluster('a', [upstream.port], { protocol: 'h2' });
    const call = await connect(listen());
    await call.until(() => call.status !== 0);
    expect(call.status).toBe(200);
    call.stream.write('ping|');
    await call.until(() => call.body === 'ping');
    call.stream.end();
    await call.end();
    expect(call.resetCode).toBe(0);
  });

  test('an endpoint of HTTP/2 that does not offer it fails the request, not the connection', async () => {
    const upstream = world.owns(await new H2TestUpstream(h2Socket).listen());
    world.cluster('a', [upstream.port], { protocol: 'h2' });
    const call = await connect(listen());
    await call.until(() => call.hasEnded);
    expect(call.status).toBe(502);
    await world.log.until(1);
  });

  test('an endpoint that declines answers as usual', async () => {
    const upstream = world.upstream((peer, text) => {
      if (text.endsWith('\r\n\r\n')) peer.send(reply('no', 'HTTP/1.1 403 Forbidden'));
    });
    world.cluster('a', [upstream.port]);
    const call = await connect(listen());
    await call.until(() => call.hasEnded);
    expect(call).toMatchObject({ status: 403, body: 'no' });
  });

  test('an endpoint of HTTP/1.1 that answers 2xx without switching opens no tunnel', async () => {
    const upstream = world.upstream((peer, text) => {
      if (text.endsWith('\r\n\r\n')) peer.send(reply('a page'));
    });
    world.cluster('a', [upstream.port]);
    const call = await connect(listen());
    await call.until(() => call.hasEnded);
    expect(call.status).toBe(502);
    expect(call.headers['x-sluice-reason']).toBe('upstream-protocol-error');
    expect(call.body).not.toContain('a page');
    await world.log.until(1);
  });

  test('what the route does not allow is refused with 403', async () => {
    world.cluster('a', [world.upstream(() => {}).port]);
    const call = await connect(listen({ upgrades: new Map() }));
    await call.until(() => call.hasEnded);
    expect(call.status).toBe(403);
    expect(call.headers['x-sluice-reason']).toBe('upgrade-refused');
  });

  test('where it was not offered, :protocol is a malformed request', async () => {
    const upstream = world.upstream(() => {});
    world.cluster('a', [upstream.port]);
    const raw = await world.client(listen({ http2: defaultH2Settings }));
    begin(raw);
    raw.send(
      headers(
        1,
        [
          [':method', 'CONNECT'],
          [':protocol', 'websocket'],
          [':scheme', 'http'],
          [':authority', 'a'],
          [':path', '/'],
        ],
        0,
      ),
    );
    await raw.until(() => received(raw).some(({ type }) => type === RST_STREAM));
    expect(upstream.connectionCount).toBe(0);
  });

  test('a client that goes away ends the endpoint’s side, and the other way round', async () => {
    const upstream = world.upstream(h1Socket);
    world.cluster('a', [upstream.port]);
    const first = await connect(listen());
    await first.until(() => first.status === 200);
    first.stream.close(8);
    await upstream.until(() => upstream.openCount === 0);
    const ending = world.upstream((peer, text) => {
      h1Socket(peer, text, 1);
      if (text.endsWith('bye|')) peer.reset();
    });
    world.cluster('a', [ending.port]);
    const second = await connect(listen());
    await second.until(() => second.status === 200);
    second.stream.write('bye|');
    await second.end();
    expect(second.isClosed).toBe(true);
  });
});

describe('octets that a client sends before the answer', () => {
  const early = 'GET /admin HTTP/1.1\r\nHost: a\r\n\r\n';
  const asks: readonly (readonly [string, object])[] = [
    ['a WebSocket', { ':protocol': 'websocket', ':scheme': 'http', ':authority': 'a', ':path': '/chat' }],
    ['CONNECT', { ':authority': 'a:80' }],
  ];
  const open = async (fields: object): Promise<H2Call> => {
    const one = client(
      listen({ upgrades: new Map([...upgrades, ['connect', true]]) }, { terminatesConnect: false }),
    );
    await one.until(() => one.session.remoteSettings?.enableConnectProtocol === true);
    const call = one.call({ ':method': 'CONNECT', ...fields }, { end: false });
    call.stream.write(early);
    return call;
  };
  for (const [what, fields] of asks) {
    test(`of ${what} are no requests to an endpoint that declines`, async () => {
      const upstream = world.upstream((peer, text) => {
        if (text.endsWith('\r\n\r\n')) peer.send(reply('no', 'HTTP/1.1 403 Forbidden'));
      });
      world.cluster('a', [upstream.port]);
      const call = await open(fields);
      await call.until(() => call.hasEnded);
      expect(call).toMatchObject({ status: 403, body: 'no' });
      await upstream.until(() => upstream.openCount === 0);
      expect(upstream.texts.join('')).not.toContain('/admin');
    });

    test(`of ${what} reach an endpoint that accepts, after it has, and their end as well`, async () => {
      const upstream = world.upstream((peer, text) => {
        if (!text.endsWith('\r\n\r\n') || text.includes('/admin')) return;
        const accept = acceptOf(text);
        peer.send(
          what === 'CONNECT'
            ? 'HTTP/1.1 200 OK\r\n\r\n'
            : `HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Accept: ${accept}\r\n\r\n`,
        );
      });
      world.cluster('a', [upstream.port]);
      const call = await open(fields);
      call.stream.end();
      await upstream.until(() => upstream.texts[0]?.endsWith(`\r\n\r\n${early}`) === true);
      await upstream.until(() => upstream.openCount === 0);
      expect(call.status).toBe(200);
    });
  }
});

describe('CONNECT', () => {
  const proxied = { upgrades: new Map([['connect', true]]), isForwardProxy: true };

  test('is not what :protocol “connect” means: no tunnel of a request with a path', async () => {
    const upstream = world.upstream((peer, text) => peer.send(`echo ${text}`));
    world.cluster('a', [upstream.port]);
    const call = await connect(listen(proxied), { ':protocol': 'Connect' });
    await call.until(() => call.status !== 0);
    expect(call.status).toBe(403);
    expect(call.headers['x-sluice-reason']).toBe('upgrade-refused');
    expect(upstream.connectionCount).toBe(0);
  });

  test('over HTTP/2 reaches the endpoint as plain TCP', async () => {
    const upstream = world.upstream((peer, text) => peer.send(`echo ${text}`));
    world.cluster('a', [upstream.port]);
    const one = client(world.listen(() => testRoute(forwardTo('a')), proxied));
    const call = one.call({ ':method': 'CONNECT', ':authority': 'db:5432' }, { end: false });
    await call.until(() => call.status !== 0);
    expect(call.status).toBe(200);
    call.stream.write('hello');
    await call.until(() => call.body === 'echo hello');
    expect(upstream.texts[0]).toBe('hello');
    call.stream.end();
    await upstream.until(() => upstream.openCount === 0);
  });

  test('that the route does not end is sent on, in either protocol', async () => {
    const through: H2Script = ({ stream }: H2Received) => {
      stream.respond({ ':status': 200 });
      stream.on('data', (chunk: Buffer) => stream.write(`echo ${chunk.toString()}`));
    };
    const upstream = await h2Upstream(through);
    world.cluster('a', [upstream.port], { protocol: 'h2' });
    const port = world.listen(() => testRoute(forwardTo('a', { terminatesConnect: false })), proxied);
    const raw = await world.client(port);
    raw.send('CONNECT db:5432 HTTP/1.1\r\nHost: db:5432\r\n\r\n');
    await raw.until(() => raw.text.endsWith('\r\n\r\n'));
    expect(raw.text).toStartWith('HTTP/1.1 200 ');
    raw.text = '';
    raw.send('hello');
    await raw.until(() => raw.text === 'echo hello');
    expect(upstream.requests[0]).toMatchObject({ ':method': 'CONNECT', ':authority': 'db:5432' });
    const old = world.upstream((peer, text) => {
      if (text.endsWith('\r\n\r\n')) peer.send('HTTP/1.1 200 OK\r\n\r\n');
      else peer.send('echo');
    });
    world.cluster('a', [old.port]);
    const call = client(port).call({ ':method': 'CONNECT', ':authority': 'db:5432' }, { end: false });
    await call.until(() => call.status === 200);
    call.stream.write('hello');
    await call.until(() => call.body === 'echo');
    expect(old.texts[0]).toStartWith('CONNECT db:5432 HTTP/1.1\r\n');
  });
});

describe('h2c by Upgrade', () => {
  const ask = (settings = 'AAMAAABkAAQAAP__'): string =>
    `GET /x HTTP/1.1\r\nHost: a\r\nConnection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: ${settings}\r\n\r\n`;

  test('is taken up where the listener allows it: stream 1 is the request', async () => {
    const upstream = world.upstream(answering(reply('ok')));
    world.cluster('a', [upstream.port]);
    const raw = await world.client(world.listen(() => testRoute(forwardTo('a')), { upgradesToH2c: true }));
    raw.send(ask());
    await raw.until(() => raw.text.includes('\r\n\r\n'));
    expect(raw.text).toStartWith('HTTP/1.1 101 Switching Protocols\r\n');
    raw.send(PREFACE);
    raw.send(frame(SETTINGS, 0, 0));
    raw.send(frame(SETTINGS, ACK, 0));
    const frames = () => framesOf(Buffer.from(raw.text, 'latin1').subarray(raw.text.indexOf('\r\n\r\n') + 4));
    await raw.until(() => frames().some(({ stream, flags }) => stream === 1 && (flags & 1) === 1));
    expect(frames().find(({ type }) => type === HEADERS)!.stream).toBe(1);
    const head = upstream.texts[0]!.toLowerCase();
    expect(head).toStartWith('get /x http/1.1\r\n');
    expect(head).not.toMatch(/upgrade|http2-settings/);
    raw.send(
      headers(3, [
        [':method', 'GET'],
        [':scheme', 'http'],
        [':authority', 'a'],
        [':path', '/y'],
      ]),
    );
    await raw.until(() => frames().some(({ stream, flags }) => stream === 3 && (flags & 1) === 1));
    await world.log.until(2);
    expect(world.log.lines.map(({ path }) => path)).toEqual(['/x', '/y']);
  });

  test('elsewhere, and where it is malformed, the answer is in HTTP/1.1', async () => {
    world.cluster('a', [world.upstream(answering(reply('ok'))).port]);
    const off = await world.client(world.listen(() => testRoute(forwardTo('a'))));
    off.send(ask());
    expect((await off.response()).status).toBe(200);
    const on = await world.client(world.listen(() => testRoute(forwardTo('a')), { upgradesToH2c: true }));
    on.send(ask('not base64!'));
    expect((await on.response()).status).toBe(200);
  });
});
