/**
 * Peers that do everything wrong, against a real proxy process. After each of them the process lives, a
 * neighbour's connection that was open all the time still works, and no connection is left behind.
 */
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from 'bun:test';
import {
  cleanUp,
  connectPeer,
  createRandom,
  startHttpOrigin,
  startOrigin,
  waitFor,
  type PeerConnection,
} from '@sluice/testkit';
import { admin, residentMb, startProxy, type ProxyUnderTest } from './proxy-fixture.ts';

afterAll(cleanUp);

const reply = 'HTTP/1.1 200 OK\r\nx-origin: yes\r\ncontent-length: 10\r\n\r\n0123456789';
const chunkedReply =
  'HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n5\r\n01234\r\n5\r\n56789\r\n0\r\nx-t: 1\r\n\r\n';
const post = 'POST /p HTTP/1.1\r\nHost: echo.test\r\nContent-Length: 10\r\n\r\n0123456789';

let proxy: ProxyUnderTest;
let neighbour: PeerConnection;
/** What the misbehaving upstream does with its next connection, after the request's head. */
let misbehave: (connection: PeerConnection) => Promise<void> | void = () => undefined;

beforeAll(async () => {
  const bad = startOrigin(async (connection) => {
    if ((await connection.readHead()) !== undefined) await misbehave(connection);
  });
  proxy = await startProxy(
    { echo: startHttpOrigin().port, bad: bad.port },
    { manager: { stream_idle_timeout: '3s', request_headers_timeout: '1s' } },
  );
});

beforeEach(async () => {
  neighbour = await connectPeer(proxy.port);
  await expectService(neighbour);
});

afterEach(async () => {
  expect(proxy.process.isRunning).toBe(true);
  await expectService(neighbour);
  neighbour.reset();
  const fresh = await connectPeer(proxy.port);
  await expectService(fresh);
  fresh.reset();
  await waitFor(async () => (await activeConnections()) === 0, { what: 'no connection to be left behind' });
});

async function expectService(peer: PeerConnection): Promise<void> {
  await peer.write('GET /good HTTP/1.1\r\nHost: echo.test\r\n\r\n');
  expect(await peer.readThrough('"body":"","connectionIndex":')).toContain('"target":"/good"');
  expect(await peer.readThrough('}')).toEndWith('}');
}

async function activeConnections(): Promise<number> {
  const text = await (await admin(proxy, '/stats?filter=downstream_cx_active')).text();
  return Number(/http\.e2e\.downstream_cx_active: (\d+)/.exec(text)?.[1] ?? Number.NaN);
}

/** All that comes back. A client that ends its side counts as gone, as it does to Envoy, so this one does not. */
async function exchange(bytes: string): Promise<string> {
  const peer = await connectPeer(proxy.port);
  await peer.write(bytes);
  const text = Buffer.from(await peer.readToEnd()).toString('latin1');
  peer.reset();
  return text;
}

/** Backpressure has arrived: a count has begun and no longer moves. */
async function settled(count: () => number): Promise<void> {
  let last = -1;
  await waitFor(() => count() > 0 && last === (last = count()), { intervalMs: 200, what: 'backpressure' });
}

describe('clients', () => {
  test('garbage is answered with 400 or not at all', async () => {
    const random = createRandom(7);
    for (let i = 0; i < 50; i++) {
      const bytes = Buffer.from(Array.from({ length: 200 }, () => Math.floor(random.next() * 256)));
      const peer = await connectPeer(proxy.port);
      await peer.write(bytes);
      peer.end();
      expect(Buffer.from(await peer.readToEnd()).toString('latin1')).toMatch(/^($|HTTP\/1\.1 [45]\d\d )/);
    }
    expect(await exchange('\x16\x03\x01\x02\x00\x01\x00\x01\xfc\r\n\r\n')).toMatch(/^HTTP\/1\.1 400 /);
  });

  test('a request may stop at every one of its bytes', async () => {
    for (let length = 0; length < post.length; length++) {
      const peer = await connectPeer(proxy.port);
      await peer.write(post.slice(0, length));
      if (length % 2 === 0) peer.reset();
      else peer.end();
      await (length % 2 === 0 ? peer.closed : peer.readToEnd());
      peer.reset();
    }
  });

  test('one byte at a time is a request like any other', async () => {
    const peer = await connectPeer(proxy.port);
    for (const byte of post) await peer.write(byte);
    expect(await peer.readThrough('"body":"0123456789"')).toStartWith('HTTP/1.1 200');
    peer.reset();
  });

  test('half a head is given up after the header timeout', async () => {
    const peer = await connectPeer(proxy.port);
    await peer.write('GET /half HTTP/1.1\r\nHost: ec');
    expect(Buffer.from(await peer.readToEnd()).toString()).toMatch(/^HTTP\/1\.1 408 /);
  });

  test('100,000 headers and a head without end are refused with 431, a target without end with 414', async () => {
    const many = Array.from({ length: 100_000 }, (_, i) => `x-${i}: 1\r\n`).join('');
    for (const [bytes, status] of [
      [`GET / HTTP/1.1\r\nHost: echo.test\r\n${many}\r\n`, 431],
      [`GET / HTTP/1.1\r\nHost: echo.test\r\nx-long: ${'y'.repeat(4_000_000)}`, 431],
      [`GET /${'z'.repeat(4_000_000)}`, 414],
    ] as const) {
      const peer = await connectPeer(proxy.port);
      void peer.write(bytes);
      expect((await peer.readHead())?.slice(0, 12)).toBe(`HTTP/1.1 ${status}`);
      peer.reset();
    }
  });

  test('a body that never ends, to an upstream that does not read, costs bounded memory', async () => {
    const gate = Promise.withResolvers<void>();
    misbehave = () => gate.promise;
    const before = residentMb(proxy.process.pid);
    const peer = await connectPeer(proxy.port);
    await peer.write('POST / HTTP/1.1\r\nHost: bad.test\r\nTransfer-Encoding: chunked\r\n\r\n');
    const chunk = `100000\r\n${'x'.repeat(2 ** 20)}\r\n`;
    let sent = 0;
    void (async () => {
      while (peer.isOpen && (await peer.write(chunk))) sent++;
    })();
    await settled(() => sent);
    expect(sent).toBeLessThan(64);
    expect(residentMb(proxy.process.pid) - before).toBeLessThan(60);
    peer.reset();
    gate.resolve();
  });

  test('a client that does not read its response costs bounded memory', async () => {
    let written = 0;
    misbehave = async (connection) => {
      await connection.write('HTTP/1.1 200 OK\r\ncontent-length: 1073741824\r\n\r\n');
      while (connection.isOpen && (await connection.write('x'.repeat(2 ** 20)))) written++;
    };
    const before = residentMb(proxy.process.pid);
    const peer = await connectPeer(proxy.port);
    await peer.write('GET / HTTP/1.1\r\nHost: bad.test\r\n\r\n');
    await settled(() => written);
    expect(written).toBeLessThan(64);
    expect(residentMb(proxy.process.pid) - before).toBeLessThan(60);
    peer.reset();
  });

  test('a client may reset at every moment of a response', async () => {
    for (let count = 0; count < 60; count++) {
      const peer = await connectPeer(proxy.port);
      await peer.write('GET /get HTTP/1.1\r\nHost: echo.test\r\n\r\n');
      if (count > 0) await peer.readExactly(count);
      peer.reset();
      await peer.closed;
    }
  });

  test('a thousand connections that say nothing keep nobody out', async () => {
    const silent = await Promise.all(Array.from({ length: 1000 }, () => connectPeer(proxy.port)));
    await expectService(neighbour);
    for (const peer of silent) peer.reset();
  });
});

describe('upstreams', () => {
  for (const [name, bytes] of [
    ['with a length', reply],
    ['chunked', chunkedReply],
  ] as const) {
    for (const how of ['end', 'reset'] as const) {
      test(`${how} at every byte of a response ${name}: the client learns it`, async () => {
        for (let length = 0; length < bytes.length; length++) {
          misbehave = async (connection) => {
            if (length > 0) await connection.write(bytes.slice(0, length));
            connection[how]();
          };
          // Not idempotent, so that no attempt is made twice.
          const text = await exchange(
            'POST /cut HTTP/1.1\r\nHost: bad.test\r\nContent-Length: 0\r\nConnection: close\r\n\r\n',
          );
          const isWhole =
            text.endsWith('0123456789') || text.endsWith('0\r\n\r\n') || text.endsWith('x-t: 1\r\n\r\n');
          const isRefused = /^HTTP\/1\.1 50[234] [^\r]*\r\n[^]*x-sluice-reason: /.test(text);
          // What has begun can only be cut off; it must not look whole.
          expect([length, isRefused || !isWhole]).toEqual([length, true]);
          if (!bytes.slice(0, length).includes('\r\n\r\n'))
            expect([length, isRefused]).toEqual([length, true]);
        }
      }, 20_000);
    }
  }

  test('what is not HTTP is 502', async () => {
    for (const bytes of [
      'hello\r\n\r\n',
      'HTTP/1.1 abc OK\r\n\r\n',
      'HTTP/1.1 200 OK\r\nbad header\r\n\r\n',
      '\x00\x01\x02\r\n\r\n',
    ]) {
      misbehave = async (connection) => {
        await connection.write(bytes);
        connection.end();
      };
      expect(
        await exchange('POST / HTTP/1.1\r\nHost: bad.test\r\nContent-Length: 0\r\nConnection: close\r\n\r\n'),
      ).toMatch(/^HTTP\/1\.1 502 /);
    }
  });

  test('headers without end are cut off with 502', async () => {
    misbehave = async (connection) => {
      await connection.write('HTTP/1.1 200 OK\r\n');
      while (connection.isOpen && (await connection.write(`x-more: ${'y'.repeat(10_000)}\r\n`)));
    };
    expect(
      await exchange('POST / HTTP/1.1\r\nHost: bad.test\r\nContent-Length: 0\r\nConnection: close\r\n\r\n'),
    ).toMatch(/^HTTP\/1\.1 502 /);
  });

  test('a second response that nobody asked for reaches nobody', async () => {
    misbehave = async (connection) => {
      await connection.write(reply + reply);
    };
    const text = await exchange('GET / HTTP/1.1\r\nHost: bad.test\r\nConnection: close\r\n\r\n');
    expect(text.match(/HTTP\/1\.1/g)).toHaveLength(1);
    await expectService(neighbour);
  });

  test('an upstream that says nothing is given up after the stream idle timeout', async () => {
    misbehave = async (connection) => void (await connection.closed);
    expect(await exchange('GET / HTTP/1.1\r\nHost: bad.test\r\nConnection: close\r\n\r\n')).toMatch(
      /^HTTP\/1\.1 (408|504) /,
    );
  }, 15_000);
});
