/** Clients that are still reading their last answer when the connection has nothing more to do. */
import { expect, test } from 'bun:test';
import { turns } from '@sluice/testkit';
import { forwardTo, testRoute } from './test-doubles.ts';
import { freshWorlds } from './test-fresh-world.ts';
import {
  ACK,
  block,
  END_HEADERS,
  END_STREAM,
  frame,
  HEADERS,
  PREFACE,
  SETTINGS,
  WINDOW_UPDATE,
} from './test-h2-frames.ts';
import { World, type RawClient, type UpstreamPeer } from './test-world.ts';

let world: World;
freshWorlds(() => (world = new World()));

const most = Buffer.from([0x7f, 0xff, 0, 0]);
const blockBytes = 16 * 1024;
const large = `4000\r\n${'x'.repeat(blockBytes)}\r\n`;

/** The client has asked and reads nothing; what of the answer the system does not take waits in the proxy. */
async function unread(request: string | Uint8Array): Promise<{ client: RawClient; bodyBytes: number }> {
  let peer: UpstreamPeer | null = null;
  const upstream = world.upstream((asked, text) => {
    if (!text.endsWith('\r\n\r\n')) return;
    peer = asked;
    asked.send('HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n');
  });
  world.cluster('a', [upstream.port]);
  const client = await world.client(world.listen(() => testRoute(forwardTo('a')), { codec: 'auto' }));
  client.pause();
  client.send(request);
  while (peer === null) await turns();
  let bodyBytes = 0;
  while (world.accepted[0]!.bufferedBytes < 2 * blockBytes) {
    const before = world.connected().bytesRead;
    (peer as UpstreamPeer).send(large);
    bodyBytes += blockBytes;
    while (world.connected().bytesRead < before + large.length) await turns();
    await turns();
  }
  (peer as UpstreamPeer).send('0\r\n\r\n');
  await world.log.until(1);
  return { client, bodyBytes };
}

async function expectAll(client: RawClient, bodyBytes: number): Promise<void> {
  client.resume();
  while (!client.isClosed && !client.isEnded) await turns();
  expect(client.wasReset).toBe(false);
  expect(client.receivedBytes).toBeGreaterThan(bodyBytes);
}

test('over HTTP/1.1 get the whole of it, however long after the close was due', async () => {
  const { client, bodyBytes } = await unread('GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n');
  for (let second = 0; second < 30; second++) world.clock.advance(1000);
  await expectAll(client, bodyBytes);
});

test('over HTTP/2 get the whole of it, however long after the drain was due', async () => {
  const request = [
    [':method', 'GET'],
    [':scheme', 'http'],
    [':path', '/'],
    [':authority', 'a'],
  ] as const;
  const { client, bodyBytes } = await unread(
    Buffer.concat([
      Buffer.from(PREFACE),
      frame(SETTINGS, 0, 0, Buffer.concat([Buffer.from([0, 4]), most])),
      frame(SETTINGS, ACK, 0),
      frame(WINDOW_UPDATE, 0, 0, most),
      frame(HEADERS, END_HEADERS | END_STREAM, 1, block(request)),
    ]),
  );
  for (const served of world.connections) served.drain();
  for (let second = 0; second < 30; second++) world.clock.advance(1000);
  await expectAll(client, bodyBytes);
});

test('that take not an octet are given up after a minute', async () => {
  const { client } = await unread('GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n');
  for (let second = 0; second < 65; second++) {
    world.clock.advance(1000);
    await turns();
  }
  expect(world.accepted[0]!.isOpen).toBe(false);
  client.resume();
  while (!client.isClosed) await turns();
  expect(client.wasReset).toBe(true);
});
