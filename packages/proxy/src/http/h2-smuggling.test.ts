/** Nothing passes from one protocol into the other that would mean more there than it did here. */
import { describe, expect, test } from 'bun:test';
import { H2ErrorCode } from '@sluice/wire';
import { FLAG } from '../telemetry/response-flags.ts';
import { defaultH2Settings } from './h2-settings.ts';
import { forwardTo, testRoute } from './test-doubles.ts';
import { freshWorlds } from './test-fresh-world.ts';
import { H2TestClient, H2TestUpstream } from './test-h2.ts';
import {
  begin,
  DATA,
  END_STREAM,
  frame,
  framed,
  get,
  GOAWAY,
  HEADERS,
  headers,
  ok,
  received,
  resetCode,
  RST_STREAM,
  type Field,
} from './test-h2-frames.ts';
import { answering, reply, World, type RawClient } from './test-world.ts';

let world: World;
freshWorlds(() => (world = new World()));

async function rawTo(more = {}): Promise<{ client: RawClient; texts: () => string }> {
  const upstream = world.upstream(answering(reply('ok')));
  world.cluster('a', [upstream.port]);
  const client = await world.client(world.listen(() => testRoute(forwardTo('a')), more));
  begin(client);
  return { client, texts: () => upstream.texts.join('') };
}

const withField = (name: string, value: string): readonly Field[] => [...get, [name, value]];
const withPseudo = (name: string, value: string): readonly Field[] =>
  get.map((field) => (field[0] === name ? [name, value] : field));

describe('HTTP/2 → HTTP/1.1: a malformed request is reset, and nothing of it forwarded', () => {
  const cases: readonly (readonly [string, readonly Field[]])[] = [
    ['CR LF in a value', withField('x-a', 'b\r\nx-smuggled: 1')],
    ['LF in a value', withField('x-a', 'b\nx-smuggled: 1')],
    ['NUL in a value', withField('x-a', 'b\0c')],
    ['a value that begins with a space', withField('x-a', ' b')],
    ['CR LF in a name', withField('x-a: b\r\nx-smuggled', '1')],
    ['a colon in a name', withField('x-a:b', '1')],
    ['a space in a name', withField('x a', '1')],
    ['an empty name', withField('', '1')],
    ['upper case in a name', withField('X-A', '1')],
    ['transfer-encoding', withField('transfer-encoding', 'chunked')],
    ['connection', withField('connection', 'close')],
    ['keep-alive', withField('keep-alive', '5')],
    ['proxy-connection', withField('proxy-connection', 'keep-alive')],
    ['upgrade', withField('upgrade', 'websocket')],
    ['te other than trailers', withField('te', 'gzip')],
    ['CR LF in the path', withPseudo(':path', '/ HTTP/1.1\r\nx-smuggled: 1')],
    ['a space in the path', withPseudo(':path', '/a b')],
    ['a path that is not absolute', withPseudo(':path', 'a')],
    ['a whole URL as path', withPseudo(':path', 'http://b/')],
    ['an empty path', withPseudo(':path', '')],
    ['a fragment in the path', withPseudo(':path', '/a#b')],
    ['CR LF in the method', withPseudo(':method', 'GET / HTTP/1.1\r\nhost: b\r\n\r\nGET')],
    ['a space in the method', withPseudo(':method', 'GET /')],
    ['CR LF in the authority', withPseudo(':authority', 'a\r\nx-smuggled: 1')],
    ['user info in the authority', withPseudo(':authority', 'b@a')],
    ['a scheme with CR LF', withPseudo(':scheme', 'http\r\nx: y')],
    ['two paths', [...get, [':path', '/b']]],
    ['an unknown pseudo-header', withField(':x', '1')],
    ['a pseudo-header after a field', [...get.slice(0, 3), ['x-a', 'b'], [':path', '/']]],
    ['a pseudo-header of responses', withField(':status', '200')],
    ['no path', get.slice(0, 3)],
    ['no method', get.slice(1)],
    ['a host that is not the authority', withField('host', 'b')],
    ['two hosts', [...get, ['host', 'a'], ['host', 'b']]],
    ['two lengths', [...get, ['content-length', '0'], ['content-length', '0']]],
    ['a length that is none', withField('content-length', '0x10')],
    ['a length of a request without content', withField('content-length', '5')],
  ];
  for (const [what, fields] of cases) {
    test(what, async () => {
      const { client, texts } = await rawTo();
      client.send(headers(1, fields));
      await client.until(() => received(client).some(({ type }) => type === RST_STREAM || type === HEADERS));
      const frames = received(client).filter(({ stream }) => stream === 1);
      expect(frames.map(({ type }) => type)).toEqual([RST_STREAM]);
      expect(resetCode(frames[0]!)).toBe(H2ErrorCode.PROTOCOL_ERROR);
      expect(texts()).toBe('');
      expect(world.log.lines[0]).toMatchObject({ status: 0, flags: FLAG.DPE, path: '' });
      expect(world.log.lines[0]!.details).toMatch(
        /^http2\.(invalid\.header\.field|violation\.of\.messaging\.rule)$/,
      );
      // The connection lives on.
      client.send(headers(3, get));
      await client.until(() => received(client).some(({ stream, type }) => stream === 3 && type === HEADERS));
      expect(texts().split('GET ').length).toBe(2);
    });
  }

  test('where the listener says so, the connection ends with it', async () => {
    const { client, texts } = await rawTo({ http2: { ...defaultH2Settings, closesOnMalformed: true } });
    client.send(headers(1, withField('connection', 'close')));
    await client.untilClosed();
    expect(received(client).some(({ type }) => type === GOAWAY)).toBe(true);
    expect(texts()).toBe('');
  });

  test('more content than its length: the request ends, its connection behind too', async () => {
    const upstream = world.upstream(() => {});
    world.cluster('a', [upstream.port]);
    const client = await world.client(world.listen(() => testRoute(forwardTo('a'))));
    begin(client);
    client.send(headers(1, [[':method', 'POST'], ...get.slice(1), ['content-length', '4']], 0));
    client.send(frame(DATA, 0, 1, 'body'));
    await upstream.until(() => upstream.texts.join('').endsWith('body'));
    client.send(frame(DATA, END_STREAM, 1, 'GET /smuggled HTTP/1.1\r\n\r\n'));
    await client.until(() => received(client).some(({ type }) => type === RST_STREAM));
    await upstream.until(() => upstream.openCount === 0);
    expect(upstream.texts[0]).toEndWith('\r\n\r\nbody');
  });

  test('less content than its length: likewise', async () => {
    const upstream = world.upstream(() => {});
    world.cluster('a', [upstream.port]);
    const client = await world.client(world.listen(() => testRoute(forwardTo('a'))));
    begin(client);
    client.send(headers(1, [[':method', 'POST'], ...get.slice(1), ['content-length', '9']], 0));
    client.send(frame(DATA, 0, 1, 'body'));
    await upstream.until(() => upstream.texts.join('').endsWith('body'));
    client.send(frame(DATA, END_STREAM, 1, ''));
    await client.until(() => received(client).some(({ type }) => type === RST_STREAM));
    await upstream.until(() => upstream.openCount === 0);
  });

  test('trailers that would frame or route a message do not pass', async () => {
    const upstream = world.upstream((peer, text) => {
      if (text.includes('\r\n0\r\n') && text.endsWith('\r\n\r\n')) peer.send(reply('ok'));
    });
    world.cluster('a', [upstream.port]);
    const client = await world.client(world.listen(() => testRoute(forwardTo('a'))));
    begin(client);
    client.send(headers(1, [[':method', 'POST'], ...get.slice(1)], 0));
    client.send(frame(DATA, 0, 1, 'body'));
    client.send(
      headers(1, [
        ['x-sum', '1'],
        ['content-length', '3'],
        ['host', 'b'],
      ]),
    );
    await client.until(() =>
      received(client).some(({ stream, type }) => stream === 1 && (type === HEADERS || type === RST_STREAM)),
    );
    expect(upstream.texts.join('').toLowerCase()).not.toMatch(/\r\n0\r\n(.*\r\n)*(content-length|host):/);
  });
});

describe('HTTP/1.1 → HTTP/2', () => {
  test('framing and hop-by-hop fields stay behind, names are lower case', async () => {
    const upstream = await new H2TestUpstream(({ stream }) => {
      let body = '';
      stream.on('data', (chunk: Buffer) => (body += chunk.toString()));
      stream.on('end', () => {
        stream.respond({ ':status': 200 });
        stream.end(body);
      });
    }).listen();
    world.owns(upstream);
    world.cluster('a', [upstream.port], { protocol: 'h2' });
    const client = await world.client(world.listen(() => testRoute(forwardTo('a'))));
    client.send(
      'POST /x HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\nConnection: keep-alive, X-Hop\r\nX-Hop: 1\r\nKeep-Alive: 5\r\nProxy-Connection: x\r\nTE: gzip, trailers\r\nX-Own: V\r\n\r\n4\r\nbody\r\n0\r\n\r\n',
    );
    await client.until(() => client.text.includes('\r\n0\r\n\r\n'));
    const [request] = upstream.requests;
    expect(request).toMatchObject({
      ':method': 'POST',
      ':path': '/x',
      ':authority': 'a',
      ':scheme': 'http',
      'x-own': 'V',
      te: 'trailers',
    });
    for (const name of ['transfer-encoding', 'connection', 'keep-alive', 'proxy-connection', 'x-hop', 'host'])
      expect(request![name]).toBeUndefined();
    expect(client.text).toContain('\r\n4\r\nbody\r\n');
  });

  test('a host that would be no authority is refused', async () => {
    const upstream = world.owns(await new H2TestUpstream(() => {}).listen());
    world.cluster('a', [upstream.port], { protocol: 'h2' });
    const client = await world.client(world.listen(() => testRoute(forwardTo('a'))));
    client.send('GET / HTTP/1.1\r\nHost: b@a\r\n\r\n');
    expect((await client.response()).status).toBe(400);
    expect(upstream.requests).toEqual([]);
  });
});

describe('responses of HTTP/2 endpoints that are malformed', () => {
  const cases: readonly (readonly [string, readonly Field[]])[] = [
    [
      'CR LF in a value',
      [
        [':status', '200'],
        ['x-a', 'b\r\nx-smuggled: 1'],
      ],
    ],
    [
      'upper case in a name',
      [
        [':status', '200'],
        ['X-A', '1'],
      ],
    ],
    [
      'transfer-encoding',
      [
        [':status', '200'],
        ['transfer-encoding', 'chunked'],
      ],
    ],
    ['no status', [['x-a', '1']]],
    ['a status of HTTP/1.1', [[':status', '101']]],
    ['a status of two digits', [[':status', '20']]],
    [
      'a length without content',
      [
        [':status', '200'],
        ['content-length', '5'],
      ],
    ],
  ];
  for (const [what, fields] of cases) {
    test(`${what}: 502, for a client of either protocol`, async () => {
      const upstream = world.upstream(
        framed((peer, { type, stream }) => {
          if (type === HEADERS) peer.send(headers(stream, fields));
        }),
      );
      world.cluster('a', [upstream.port], { protocol: 'h2' });
      const port = world.listen(() => testRoute(forwardTo('a')));
      const raw = await world.client(port);
      raw.send('GET / HTTP/1.1\r\nHost: a\r\n\r\n');
      const response = await raw.response();
      expect(response.status).toBe(502);
      expect(response.head).not.toContain('smuggled');
    });
  }

  test('content beyond the length is cut off with the stream', async () => {
    const upstream = world.upstream(
      framed((peer, { type, stream }) => {
        if (type !== HEADERS) return;
        peer.send(headers(stream, [...ok, ['content-length', '2']], 0));
        peer.send(frame(DATA, 0, stream, 'ok'));
        peer.send(frame(DATA, END_STREAM, stream, 'HTTP/1.1 200 OK\r\n\r\n'));
      }),
    );
    world.cluster('a', [upstream.port], { protocol: 'h2' });
    const client = world.owns(new H2TestClient(world.listen(() => testRoute(forwardTo('a')))));
    const call = await client.get();
    expect(call.body).not.toContain('HTTP/1.1');
    expect(call.resetCode).not.toBe(0);
  });
});
