/** Bodies by credit: who does not read holds back whoever sends to him, and nobody else. */
import { describe, expect, test } from 'bun:test';
import { turns, untilStill } from '@sluice/testkit';
import { defaultH2Settings } from './h2-settings.ts';
import { forwardTo, testRoute } from './test-doubles.ts';
import { freshWorlds } from './test-fresh-world.ts';
import { H2TestClient, H2TestUpstream, type H2Script } from './test-h2.ts';
import { World, type ScriptedUpstream } from './test-world.ts';

const MB = 1024 * 1024;

let world: World;
freshWorlds(() => (world = new World()));

function h2Client(port: number, initialWindowSize = 65_535): H2TestClient {
  return world.owns(new H2TestClient(port, { initialWindowSize }));
}

async function h2Upstream(script: H2Script): Promise<H2TestUpstream> {
  return world.owns(await new H2TestUpstream(script).listen());
}

/** Sends `total` octets as fast as it may. */
function sends(total: number): H2Script {
  return ({ stream }) => {
    stream.respond({ ':status': 200 });
    const chunk = Buffer.alloc(64 * 1024);
    let left = total;
    const more = (): void => {
      while (left > 0) {
        left -= chunk.length;
        if (!stream.write(chunk)) {
          stream.once('drain', more);
          return;
        }
      }
      stream.end();
    };
    more();
  };
}

const h1Response = (total: number) => `HTTP/1.1 200 OK\r\nContent-Length: ${total}\r\n\r\n`;

describe('a stream that its client does not read', () => {
  for (const up of ['h1', 'h2'] as const) {
    test(`leaves its neighbour 100 MB to finish (${up} behind)`, async () => {
      const total = 100 * MB;
      const upstream =
        up === 'h2'
          ? await h2Upstream(sends(total))
          : world.upstream((peer, text) => {
              if (!text.endsWith('\r\n\r\n')) return;
              peer.send(h1Response(total));
              peer.send(new Uint8Array(total));
            });
      world.cluster('a', [upstream.port], { protocol: up });
      const client = h2Client(world.listen(() => testRoute(forwardTo('a'))));
      const stalled = client.call({ ':path': '/stalled' }, { reads: false });
      await stalled.until(() => stalled.status === 200);
      const quick = client.call({ ':path': '/quick' });
      await quick.end();
      expect(quick.receivedBytes).toBe(total);
      expect(world.accepted[0]!.bufferedBytes).toBeLessThan(MB);
      stalled.read();
      await stalled.end();
      expect(stalled.receivedBytes).toBe(total);
    }, 30_000);
  }
});

test('an upload that its endpoint does not read leaves its neighbour to finish', async () => {
  const total = 100 * MB;
  const upstream = await h2Upstream(({ stream, headers }) => {
    stream.respond({ ':status': 200 });
    if (headers[':path'] === '/stalled') stream.pause();
    else {
      let count = 0;
      stream.on('data', (chunk: Buffer) => (count += chunk.length));
      stream.on('end', () => stream.end(String(count)));
    }
  });
  world.cluster('a', [upstream.port], { protocol: 'h2' });
  const client = h2Client(world.listen(() => testRoute(forwardTo('a'))));
  const stalled = client.call({ ':method': 'POST', ':path': '/stalled' }, { end: false });
  stalled.stream.write(Buffer.alloc(8 * MB));
  await stalled.until(() => stalled.status === 200);
  const quick = client.call({ ':method': 'POST', ':path': '/quick' }, { end: false });
  quick.stream.end(Buffer.alloc(total));
  await quick.end();
  expect(quick.body).toBe(String(total));
  stalled.stream.close();
}, 30_000);

describe('memory while one side stands still', () => {
  const total = 64 * MB;
  const bound = defaultH2Settings.streamWindowBytes + 3 * MB;

  for (const up of ['h1', 'h2'] as const) {
    test(`a client of HTTP/2 that does not read (${up} behind)`, async () => {
      const upstream =
        up === 'h2'
          ? await h2Upstream(sends(total))
          : world.upstream((peer, text) => {
              if (!text.endsWith('\r\n\r\n')) return;
              peer.send(h1Response(total));
              peer.send(new Uint8Array(total));
            });
      world.cluster('a', [upstream.port], { protocol: up });
      const client = h2Client(world.listen(() => testRoute(forwardTo('a'))));
      const call = client.call({ ':path': '/' }, { reads: false });
      await call.until(() => call.status === 200);
      const connected = world.connected();
      const taken = await untilStill(() => connected.bytesRead);
      expect(taken).toBeLessThan(bound);
      expect(world.accepted[0]!.bufferedBytes).toBeLessThan(MB);
      call.read();
      await call.end();
      expect(call.receivedBytes).toBe(total);
    });

    test(`an endpoint that does not read, a client of HTTP/2 (${up} behind)`, async () => {
      let resume: () => void = () => {};
      let receivedBytes = 0;
      let isFirst = true;
      const upstream: H2TestUpstream | ScriptedUpstream =
        up === 'h2'
          ? await h2Upstream(({ stream }) => {
              resume = () => {
                stream.on('data', (chunk: Buffer) => (receivedBytes += chunk.length));
                stream.on('end', () => {
                  stream.respond({ ':status': 200 });
                  stream.end();
                });
              };
            })
          : world.upstream((peer) => {
              if (isFirst) peer.socket.pause();
              isFirst = false;
              resume = () => void peer.socket.resume();
              receivedBytes = (upstream as ScriptedUpstream).receivedBytes;
              if (receivedBytes > total) peer.send('HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n');
            });
      world.cluster('a', [upstream.port], { protocol: up });
      const client = h2Client(world.listen(() => testRoute(forwardTo('a'))));
      const call = client.call({ ':method': 'POST', ':path': '/', 'content-length': total }, { end: false });
      call.stream.end(Buffer.alloc(total));
      while (world.accepted.length === 0) await turns();
      const taken = await untilStill(() => world.accepted[0]!.bytesRead);
      // Besides the window: what the kernel and the endpoint's own buffers take.
      expect(taken).toBeLessThan(bound + 8 * MB);
      resume();
      await call.end();
      expect(call.status).toBe(200);
      expect(receivedBytes).toBeGreaterThanOrEqual(total);
    });
  }

  test('a client of HTTP/1 that does not read, HTTP/2 behind', async () => {
    const upstream = await h2Upstream(sends(total));
    world.cluster('a', [upstream.port], { protocol: 'h2' });
    const client = await world.client(world.listen(() => testRoute(forwardTo('a'))));
    client.pause();
    client.send('GET / HTTP/1.1\r\nHost: a\r\n\r\n');
    while (world.accepted.length === 0 || world.accepted[0]!.bytesWritten === 0) await turns();
    const connected = world.connected();
    const taken = await untilStill(() => connected.bytesRead);
    expect(taken).toBeLessThan(bound + 8 * MB);
    expect(world.accepted[0]!.bufferedBytes).toBeLessThan(MB);
    client.resume();
    await client.until(() => client.receivedBytes >= total);
  });

  test('an endpoint of HTTP/2 that does not read, a client of HTTP/1', async () => {
    let resume: () => void = () => {};
    let receivedBytes = 0;
    const upstream = await h2Upstream(({ stream }) => {
      resume = () => {
        stream.on('data', (chunk: Buffer) => (receivedBytes += chunk.length));
        stream.on('end', () => {
          stream.respond({ ':status': 200, 'content-length': 0 });
          stream.end();
        });
      };
    });
    world.cluster('a', [upstream.port], { protocol: 'h2' });
    const client = await world.client(world.listen(() => testRoute(forwardTo('a'))));
    client.send(`POST / HTTP/1.1\r\nHost: a\r\nContent-Length: ${total}\r\n\r\n`);
    client.send(new Uint8Array(total));
    while (world.accepted.length === 0 || !world.accepted[0]!.isPaused) await turns();
    const taken = await untilStill(() => world.accepted[0]!.bytesRead);
    expect(taken).toBeLessThan(bound);
    resume();
    expect((await client.response()).status).toBe(200);
    expect(receivedBytes).toBe(total);
  });
});
