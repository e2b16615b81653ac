/** The body of a request that has two attempts: each gets all of it, and the client is held back by the slower one. */
import { expect, test } from 'bun:test';
import { turns } from '@sluice/testkit';
import { expectNothingHeld, freshWorlds } from '../../http/test-fresh-world.ts';
import { reply, type ScriptedUpstream } from '../../http/test-world.ts';
import { atOnce, HedgedWorld, onTimeout } from './test-hedged.ts';

let world: HedgedWorld;
freshWorlds(() => (world = new HedgedWorld()));

const post = 'POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 4\r\n\r\nbody';

test('that has come reaches an attempt that starts later, byte for byte', async () => {
  const { client, first, second, cluster } = await world.pair({ hedging: onTimeout }, post);
  second.peer.send(reply('second'));
  expect((await client.response()).body).toBe('second');
  for (const { upstream } of [first, second]) {
    expect(upstream.texts[0]).toStartWith('POST / HTTP/1.1\r\n');
    expect(upstream.texts[0]).toEndWith('\r\n\r\nbody');
  }
  expectNothingHeld(cluster);
});

test('reaches both while it comes, beyond what is kept for replay', async () => {
  const { client, first, second, cluster } = await world.pair(
    { hedging: atOnce },
    'POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 400000\r\n\r\n',
  );
  for (let i = 0; i < 40; i++) {
    client.send(String(i % 10).repeat(10_000));
    await second.upstream.until(() => second.upstream.receivedBytes > i * 10_000);
  }
  const whole = (upstream: ScriptedUpstream) => upstream.texts[0]!.split('\r\n\r\n')[1] ?? '';
  await first.upstream.until(() => whole(first.upstream).length === 400_000);
  await second.upstream.until(() => whole(second.upstream).length === 400_000);
  expect(whole(first.upstream)).toBe(whole(second.upstream));
  expect(whole(first.upstream).slice(99_999, 100_001)).toBe('90');
  first.peer.send(reply('first'));
  expect((await client.response()).body).toBe('first');
  await second.gone();
  expectNothingHeld(cluster);
});

test('waits for the slower reader, and no longer once that one has lost', async () => {
  const total = 48 * 1024 * 1024;
  const slow = world.held((peer) => void peer.socket.pause());
  const quick = world.held((peer) => peer.clear());
  const { cluster, port } = world.hedged([slow.upstream.port, quick.upstream.port], { hedging: atOnce });
  const client = await world.client(port);
  client.send(`POST / HTTP/1.1\r\nHost: a\r\nContent-Length: ${total}\r\n\r\n`);
  client.send(new Uint8Array(total));
  while (world.accepted.length === 0 || !world.accepted[0]!.isPaused) await turns();
  await turns(200);
  expect(world.accepted[0]!.isPaused).toBe(true);
  expect(quick.upstream.receivedBytes).toBeLessThan(total / 2);
  quick.peer.send('HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\n');
  await quick.upstream.until(() => quick.upstream.receivedBytes > total);
  quick.peer.send('done');
  expect((await client.response()).body).toBe('done');
  await slow.gone();
  await world.log.until(1);
  expectNothingHeld(cluster);
});

test('goes on to the quick reader when the slow one dies', async () => {
  const total = 48 * 1024 * 1024;
  const slow = world.held((peer) => void peer.socket.pause());
  const quick = world.held((peer) => {
    peer.clear();
    if (quick.upstream.receivedBytes > total) peer.send(reply('done'));
  });
  const { cluster, port } = world.hedged([slow.upstream.port, quick.upstream.port], { hedging: atOnce });
  const client = await world.client(port);
  client.send(`POST / HTTP/1.1\r\nHost: a\r\nContent-Length: ${total}\r\n\r\n`);
  client.send(new Uint8Array(total));
  await slow.upstream.until(() => slow.upstream.receivedBytes > 0);
  while (!world.accepted[0]!.isPaused) await turns();
  slow.peer.reset();
  expect((await client.response()).body).toBe('done');
  await world.log.until(1);
  expect(world.log.lines[0]).toMatchObject({ status: 200, bytesReceived: total });
  expectNothingHeld(cluster);
});
