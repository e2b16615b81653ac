import { describe, expect, test } from 'bun:test';
import { turns, untilStill } from '@sluice/testkit';
import { forwardTo, testRoute } from './test-doubles.ts';
import { freshWorlds } from './test-fresh-world.ts';
import { answering, reply, World, type UpstreamScript } from './test-world.ts';

let world: World;
freshWorlds(() => (world = new World()));

test('a client that does not read costs bounded memory, and gets everything when it reads', async () => {
  const total = 64 * 1024 * 1024;
  const upstream = world.upstream((peer, text) => {
    if (!text.endsWith('\r\n\r\n')) return;
    peer.send(`HTTP/1.1 200 OK\r\nContent-Length: ${total}\r\n\r\n`);
    peer.send(new Uint8Array(total));
  });
  world.cluster('a', [upstream.port]);
  const client = await world.client(world.listen(() => testRoute(forwardTo('a'))));
  client.pause();
  client.send('GET / HTTP/1.1\r\nHost: a\r\n\r\n');
  while (world.accepted.length === 0 || world.accepted[0]!.bytesWritten === 0) await turns();
  await untilStill(() => world.accepted[0]!.bytesWritten);
  const downstream = world.accepted[0]!;
  expect(downstream.isWritable).toBe(false);
  expect(downstream.bufferedBytes).toBeLessThan(1024 * 1024);
  client.resume();
  await client.until(() => client.receivedBytes >= total);
  expect(downstream.bufferedBytes).toBe(0);
});

test('an upstream that does not read stops the client', async () => {
  const total = 64 * 1024 * 1024;
  let isFirst = true;
  const upstream = world.upstream((peer) => {
    if (isFirst) peer.socket.pause();
    isFirst = false;
    if (upstream.receivedBytes > total) peer.send(reply('thanks'));
    resume = () => peer.socket.resume();
  });
  let resume: () => void = () => {};
  world.cluster('a', [upstream.port]);
  const client = await world.client(world.listen(() => testRoute(forwardTo('a'))));
  client.send(`POST / HTTP/1.1\r\nHost: a\r\nContent-Length: ${total}\r\n\r\n`);
  client.send(new Uint8Array(total));
  while (world.accepted.length === 0 || !world.accepted[0]!.isPaused) await turns();
  const taken = await untilStill(() => world.accepted[0]!.bytesRead);
  expect(taken).toBeLessThan(total / 2);
  resume();
  expect((await client.response()).body).toBe('thanks');
  expect(upstream.receivedBytes).toBeGreaterThan(total);
});

test('a body that never ends is streamed, not kept', async () => {
  const upstream = world.upstream((peer, text) => {
    if (text.length > 1_000_000) peer.clear();
    if (upstream.receivedBytes > 20_000_000) peer.send(reply('enough', 'HTTP/1.1 413 Too Much'));
  });
  world.cluster('a', [upstream.port]);
  const client = await world.client(world.listen(() => testRoute(forwardTo('a'))));
  client.send('POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n');
  const chunk = `4000\r\n${'x'.repeat(0x4000)}\r\n`.repeat(64);
  for (let i = 0; i < 22; i++) client.send(chunk);
  expect((await client.response()).status).toBe(413);
  await world.log.until(1);
  expect(world.log.lines[0]?.bytesReceived).toBeGreaterThan(19_000_000);
});

test('a client that pipelines and does not read is not read either, and gets every answer when it reads', async () => {
  const count = 60_000;
  const page = Buffer.alloc(1000, 'x');
  const port = world.listen(() => testRoute({ kind: 'direct', status: 418, body: page }));
  const client = await world.client(port);
  client.pause();
  client.send('GET / HTTP/1.1\r\nHost: a\r\n\r\n'.repeat(count));
  while (world.accepted.length === 0) await turns();
  const downstream = world.accepted[0]!;
  await untilStill(() => downstream.bytesWritten + downstream.bytesRead);
  expect([downstream.isOpen, downstream.isWritable, downstream.isPaused]).toEqual([true, false, true]);
  expect(downstream.bufferedBytes).toBeLessThan(1024 * 1024);
  client.resume();
  await world.log.until(count);
  await client.until(() => client.receivedBytes > count * page.length);
  expect(downstream.isOpen).toBe(true);
});

describe('behind answers that the client has not read', () => {
  const get = 'GET / HTTP/1.1\r\nHost: a\r\n\r\n';
  const answered = reply('x'.repeat(200_000));

  /** A client that has asked for 20 MB and reads nothing until it is told to. */
  async function stalled(script: UpstreamScript) {
    const upstream = world.upstream((peer, text, number) => {
      if (text.startsWith(get.slice(0, 16)) && !text.includes('pgrade') && text.endsWith('\r\n\r\n')) {
        peer.clear();
        peer.send(answered);
      } else script(peer, text, number);
    });
    world.cluster('a', [upstream.port]);
    const upgrades = new Map([['foo', true]]);
    const client = await world.client(world.listen(() => testRoute(forwardTo('a')), { upgrades }));
    client.pause();
    client.send(get.repeat(100));
    while (world.accepted.length === 0) await turns();
    const downstream = world.accepted[0]!;
    await untilStill(() => downstream.bytesWritten);
    const reads = (end: string) =>
      client.until(() => {
        if (client.text.length > 1_000_000) client.text = client.text.slice(-1000);
        return client.text.endsWith(end);
      });
    const waits = async (text: string): Promise<void> => {
      client.send(text);
      await untilStill(() => downstream.bytesWritten + downstream.bytesRead);
      expect([downstream.isOpen, downstream.isWritable]).toEqual([true, false]);
      client.resume();
    };
    return { client, reads, waits };
  }

  test('a request that expects 100 gets it in its turn', async () => {
    const { client, reads, waits } = await stalled((peer, text) => {
      if (text.endsWith('body')) peer.send(reply('posted'));
    });
    await waits('POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 4\r\nExpect: 100-continue\r\n\r\n');
    await reads('HTTP/1.1 100 Continue\r\n\r\n');
    client.send('body');
    await reads('posted');
  });

  test('an upgrade is made in its turn, with what came after it', async () => {
    const { reads, waits } = await stalled((peer, text) => {
      if (text.endsWith('ping')) peer.send('pong');
      else if (text.endsWith('\r\n\r\n'))
        peer.send('HTTP/1.1 101 Go\r\nConnection: upgrade\r\nUpgrade: foo\r\n\r\n');
    });
    await waits('GET / HTTP/1.1\r\nHost: a\r\nConnection: upgrade\r\nUpgrade: foo\r\n\r\nping');
    await reads('pong');
  });
});

test('neighbours of a stalled exchange are served', async () => {
  const upstream = world.upstream(answering(reply('quick')));
  const stalled = world.upstream(() => {});
  world.cluster('quick', [upstream.port]);
  world.cluster('stalled', [stalled.port]);
  const port = world.listen((request) => testRoute(forwardTo(request.path.slice(1))));
  const first = await world.client(port);
  first.send('GET /stalled HTTP/1.1\r\nHost: a\r\n\r\n');
  const second = await world.client(port);
  second.send('GET /quick HTTP/1.1\r\nHost: a\r\n\r\n');
  expect((await second.response()).body).toBe('quick');
});
