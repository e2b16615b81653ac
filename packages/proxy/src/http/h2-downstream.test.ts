/** A client's HTTP/2 connection: heads, resets, limits, drains. */
import { describe, expect, test } from 'bun:test';
import { turns } from '@sluice/testkit';
import { H2ErrorCode } from '@sluice/wire';
import { FLAG } from '../telemetry/response-flags.ts';
import { defaultH2Settings } from './h2-settings.ts';
import { forwardTo, testRoute } from './test-doubles.ts';
import { freshWorlds } from './test-fresh-world.ts';
import { H2TestClient, H2TestUpstream, answersWith, type H2Script } from './test-h2.ts';
import {
  begin,
  DATA,
  END_STREAM,
  frame,
  get,
  GOAWAY,
  headers,
  HEADERS,
  received,
  resetCode,
  RST_STREAM,
} from './test-h2-frames.ts';
import { answering, reply, World, type UpstreamScript } from './test-world.ts';

let world: World;
freshWorlds(() => (world = new World()));

function h2Client(port: number): H2TestClient {
  return world.owns(new H2TestClient(port));
}

function proxy(script: UpstreamScript = answering(reply('ok')), more = {}) {
  const upstream = world.upstream(script);
  const cluster = world.cluster('a', [upstream.port]);
  const port = world.listen(() => testRoute(forwardTo('a')), more);
  return { upstream, cluster, port, client: h2Client(port) };
}

async function h2Proxy(script: H2Script, more = {}) {
  const upstream = world.owns(await new H2TestUpstream(script).listen());
  const cluster = world.cluster('a', [upstream.port], { protocol: 'h2' });
  const port = world.listen(() => testRoute(forwardTo('a')), more);
  return { upstream, cluster, port, client: h2Client(port) };
}

describe('heads', () => {
  test('a request arrives as HTTP/1.1 with its host, one cookie field and nothing of the hop', async () => {
    const { client, upstream } = proxy();
    const call = await client.get('/x?y=1', {
      ':authority': 'shop:8080',
      cookie: ['a=1', 'b=2'],
      te: 'trailers',
      'x-own': 'v',
    });
    expect(call).toMatchObject({ status: 200, body: 'ok' });
    const head = upstream.texts[0]!.toLowerCase();
    expect(head).toStartWith('get /x?y=1 http/1.1\r\n');
    expect(head).toContain('\r\nhost: shop:8080\r\n');
    expect(head).toContain('\r\ncookie: a=1; b=2\r\n');
    expect(head).toContain('\r\nx-own: v\r\n');
    expect(head).toContain('\r\nte: trailers\r\n');
    expect(head).toContain('\r\nconnection: te\r\n');
    expect(head).not.toContain(':authority');
  });

  test('the protocol is HTTP/2 for logs and metrics', async () => {
    const protocols: string[] = [];
    const { client } = proxy(undefined, {
      accessLoggers: [{ log: (record: { protocol: string }) => void protocols.push(record.protocol) }],
    });
    await client.get();
    expect(protocols).toEqual(['HTTP/2']);
  });

  test('a response of HTTP/1.1 leaves its hop-by-hop fields behind', async () => {
    const { client } = proxy(
      answering(
        'HTTP/1.1 200 OK\r\nConnection: x-hop\r\nX-Hop: 1\r\nKeep-Alive: 5\r\nX-Own: v\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n\r\n',
      ),
    );
    const call = await client.get();
    expect(call.body).toBe('ok');
    expect(call.headers['x-own']).toBe('v');
    for (const name of ['connection', 'keep-alive', 'transfer-encoding', 'x-hop'])
      expect(call.headers[name]).toBeUndefined();
  });

  test('HEAD keeps the length of what it did not fetch', async () => {
    const { client } = proxy(answering('HTTP/1.1 200 OK\r\nContent-Length: 1234\r\n\r\n'));
    const call = await client.call({ ':method': 'HEAD', ':path': '/' }).end();
    expect(call).toMatchObject({ status: 200, body: '' });
    expect(call.headers['content-length']).toBe('1234');
  });

  test('interim responses pass', async () => {
    const { client } = proxy((peer, text) => {
      if (text.endsWith('\r\n\r\n'))
        peer.send(`HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n${reply('ok')}`);
    });
    const call = await client.get();
    expect(call.interim).toEqual([103]);
    expect(call.body).toBe('ok');
  });

  test('a client that waits for 100 is told to go on', async () => {
    const { client, upstream } = proxy((peer, text) => {
      if (text.endsWith('body')) peer.send(reply('thanks'));
    });
    const call = client.call(
      { ':method': 'POST', ':path': '/', expect: '100-continue', 'content-length': 4 },
      { end: false },
    );
    call.stream.on('continue', () => call.stream.end('body'));
    await call.end();
    expect(call.body).toBe('thanks');
    expect(upstream.texts[0]!.toLowerCase()).not.toContain('expect:');
  });

  test('replies of the proxy carry status, reason and body', async () => {
    const client = h2Client(world.listen(() => null));
    const call = await client.get();
    expect(call.status).toBe(404);
    expect(call.headers['x-sluice-reason']).toBe('route-not-found');
    expect(JSON.parse(call.body)).toMatchObject({ status: 404, reason: 'route-not-found' });
  });

  test('too many and too large fields are answered with 431, and the connection lives on', async () => {
    const { client, upstream } = proxy(undefined, { maxRequestHeadersBytes: 8192 });
    const call = await client.get('/', { 'x-large': 'y'.repeat(10_000) });
    expect(call.status).toBe(431);
    expect(call.headers['x-sluice-reason']).toBe('request-headers-too-large');
    expect((await client.get()).status).toBe(200);
    expect(upstream.texts.join('')).not.toContain('x-large');
    await world.log.until(2);
    expect(world.log.lines[0]).toMatchObject({
      status: 431,
      flags: FLAG.DPE,
      details: 'http2.codec_error',
    });
  });
});

describe('ends', () => {
  test('a client that resets its stream cancels the attempt, not the connection', async () => {
    const { client, upstream } = proxy((peer, text) => {
      if (text.includes('GET /quick')) peer.send(reply('quick'));
    });
    const call = client.call({ ':path': '/slow' });
    await upstream.until(() => upstream.texts[0] !== undefined && upstream.texts[0] !== '');
    call.stream.close(H2ErrorCode.CANCEL);
    await upstream.until(() => upstream.openCount === 0);
    await world.log.until(1);
    expect(world.log.lines[0]).toMatchObject({ status: 0, flags: FLAG.DR, details: 'http2.remote_reset' });
    expect((await client.get('/quick')).body).toBe('quick');
  });

  test('a client that goes away cancels all it asked for', async () => {
    const { client, upstream, cluster } = proxy(() => {});
    for (let i = 0; i < 3; i++) client.call({ ':path': `/${i}` });
    await upstream.until(() => upstream.openCount === 3 && upstream.texts.every((text) => text !== ''));
    client.session.destroy();
    await upstream.until(() => upstream.openCount === 0);
    await world.log.until(3);
    for (const line of world.log.lines) expect(line).toMatchObject({ flags: FLAG.DC });
    expect(cluster.limits.requests.current).toBe(0);
    expect(world.connections.size).toBe(0);
  });

  test('an upstream that dies in the middle of its response resets the stream', async () => {
    const { client } = proxy((peer, text) => {
      if (!text.endsWith('\r\n\r\n')) return;
      peer.send('HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhalf');
      peer.end();
    });
    const call = await client.get();
    expect(call).toMatchObject({ status: 200, body: 'half', resetCode: H2ErrorCode.INTERNAL_ERROR });
  });

  test('an answer that comes before the request is whole ends the request without blame', async () => {
    const { port } = await h2Proxy(({ stream }) => {
      stream.respond({ ':status': 413 });
      stream.end('enough');
    });
    const client = await world.client(port);
    begin(client);
    client.send(headers(1, [[':method', 'POST'], ...get.slice(1)], 0));
    client.send(frame(DATA, 0, 1, 'beginning'));
    await client.until(() =>
      received(client).some(({ type, flags }) => type === DATA && flags === END_STREAM),
    );
    // Who goes on beyond half of the window is told that nobody reads it.
    for (let i = 0; i < 20; i++) client.send(frame(DATA, 0, 1, Buffer.alloc(16_384)));
    await client.until(() => received(client).some(({ type }) => type === RST_STREAM));
    const answer = received(client).filter(({ stream }) => stream === 1);
    expect(answer.map(({ type }) => type)).toEqual([HEADERS, DATA, DATA, RST_STREAM]);
    expect(answer[2]!.flags).toBe(END_STREAM);
    expect(resetCode(answer[3]!)).toBe(H2ErrorCode.NO_ERROR);
  });

  test('a request that stalls is answered with 408', async () => {
    const { client, upstream } = proxy(() => {}, { requestTimeoutMs: 1000 });
    const call = client.call({ ':method': 'POST', ':path': '/' }, { end: false });
    call.stream.write('x');
    await upstream.until(() => upstream.texts.join('').includes('x'));
    world.clock.advance(1100);
    await call.until(() => call.hasEnded);
    expect(call.status).toBe(408);
  });
});

describe('connections', () => {
  test('are drained by GOAWAY: what was asked is answered, then they close', async () => {
    let answer: () => void = () => {};
    const { client } = proxy((peer, text) => {
      if (text.endsWith('\r\n\r\n')) answer = () => peer.send(reply('late'));
    });
    const call = client.call({ ':path': '/' });
    while (answer.toString().length < 10) await turns();
    const [connection] = world.connections;
    connection!.drain();
    await client.until(() => client.goAways.length > 0);
    answer();
    await call.end();
    expect(call.body).toBe('late');
    await client.until(() => client.isClosed);
    expect(client.goAways).toEqual(client.goAways.map(() => 0));
  });

  test('that are idle are drained at once', async () => {
    const { client } = proxy();
    await client.get();
    const [connection] = world.connections;
    connection!.drain();
    await client.until(() => client.isClosed);
    while (world.connections.size > 0) await turns();
  });

  test('end after so many requests', async () => {
    const { client } = proxy(undefined, { maxRequestsPerConnection: 2 });
    expect((await client.get()).status).toBe(200);
    expect((await client.get()).status).toBe(200);
    await client.until(() => client.isClosed);
  });

  test('end when idle for too long', async () => {
    const { client } = proxy(undefined, { connectionIdleTimeoutMs: 1000 });
    expect((await client.get()).status).toBe(200);
    world.clock.advance(1010);
    await client.until(() => client.isClosed);
  });

  test('that are busy end when too old, after what they carry', async () => {
    let answer: () => void = () => {};
    const { client, upstream } = proxy(
      (peer, text) => {
        if (text.endsWith('\r\n\r\n')) answer = () => peer.send(reply('late'));
      },
      { maxConnectionDurationMs: 1000 },
    );
    const call = client.call({ ':path': '/' });
    await upstream.until(() => upstream.texts.join('') !== '');
    world.clock.advance(1010);
    await client.until(() => client.goAways.length > 0);
    answer();
    expect((await call.end()).body).toBe('late');
    await client.until(() => client.isClosed);
  });

  test('without an answer to PING are given up', async () => {
    const keepalive = { intervalMs: 1000, timeoutMs: 500, jitterPercent: 0, idleIntervalMs: 0 };
    const upstream = world.upstream(() => {});
    world.cluster('a', [upstream.port]);
    const port = world.listen(() => testRoute(forwardTo('a')), {
      http2: { ...defaultH2Settings, keepalive },
    });
    const client = await world.client(port);
    // Preface, empty SETTINGS, and nothing after.
    client.send('PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n');
    client.send(Uint8Array.of(0, 0, 0, 4, 0, 0, 0, 0, 0, 0, 0, 0, 4, 1, 0, 0, 0, 0));
    await client.until(() => client.receivedBytes > 0);
    world.clock.advance(1010);
    world.clock.advance(510);
    await client.untilClosed();
  });

  test('without an acknowledgement of SETTINGS are given up', async () => {
    const { port } = proxy();
    const client = await world.client(port);
    client.send('PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n');
    client.send(Uint8Array.of(0, 0, 0, 4, 0, 0, 0, 0, 0));
    await client.until(() => client.receivedBytes > 0);
    world.clock.advance(10_010);
    await client.untilClosed();
  });

  test('whose client does not finish a head are given up', async () => {
    const { port, upstream } = proxy(undefined, { requestHeadersTimeoutMs: 1000 });
    const client = await world.client(port);
    begin(client);
    client.send(headers(1, get).subarray(0, 20));
    while (world.accepted.length === 0 || world.accepted[0]!.bytesRead < 62) await turns();
    world.clock.advance(1010);
    await client.untilClosed();
    expect(received(client).some(({ type }) => type === GOAWAY)).toBe(true);
    expect(world.log.lines[0]).toMatchObject({ flags: FLAG.DT, details: 'request_header_timeout' });
    expect(upstream.connectionCount).toBe(0);
  });

  test('take no more streams than they say', async () => {
    const { client, upstream } = proxy(() => {}, {
      http2: { ...defaultH2Settings, maxConcurrentStreams: 2 },
    });
    await client.until(() => client.session.remoteSettings?.maxConcurrentStreams === 2);
    for (let i = 0; i < 2; i++) client.call({ ':path': `/${i}` });
    await upstream.until(() => upstream.openCount === 2);
    expect(client.session.remoteSettings).toMatchObject({ maxConcurrentStreams: 2 });
  });
});

test('a preface in pieces is still one', async () => {
  const { port } = proxy();
  const client = await world.client(port);
  for (const octet of 'PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n') {
    client.send(octet);
    await turns();
  }
  client.send(Uint8Array.of(0, 0, 0, 4, 0, 0, 0, 0, 0));
  await client.until(() => client.receivedBytes > 9);
});

test('a client that begins like a preface and is none is read as HTTP/1.1', async () => {
  const { port, upstream } = proxy();
  const client = await world.client(port);
  client.send('P');
  await turns();
  client.send('ROPFIND /x HTTP/1.1\r\nHost: a\r\n\r\n');
  expect((await client.response()).body).toBe('ok');
  expect(upstream.texts[0]).toStartWith('PROPFIND /x');
});

test('answers of HTTP/2 upstreams pass whole', async () => {
  const { client } = await h2Proxy(answersWith('hello', { 'x-own': 'v', 'set-cookie': ['a=1', 'b=2'] }));
  const call = await client.get();
  expect(call).toMatchObject({ status: 200, body: 'hello' });
  expect(call.headers['x-own']).toBe('v');
  expect(call.headers['set-cookie']).toEqual(['a=1', 'b=2']);
});
