/** A response that cannot be completed, where only the end of the connection tells the client. */
import { expect, test } from 'bun:test';
import { turns } from '@sluice/testkit';
import { FLAG } from '../telemetry/response-flags.ts';
import { forwardTo, testRoute } from './test-doubles.ts';
import { freshWorlds } from './test-fresh-world.ts';
import { World, type UpstreamPeer } from './test-world.ts';

let world: World;
freshWorlds(() => (world = new World()));

test('is cut, and counted and logged once', async () => {
  const peers: UpstreamPeer[] = [];
  const upstream = world.upstream((peer) => {
    peers.push(peer);
    peer.send('HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n4\r\nhalf\r\n');
  });
  world.cluster('a', [upstream.port]);
  const client = await world.client(world.listen(() => testRoute(forwardTo('a'))));
  client.send('GET / HTTP/1.0\r\nHost: a\r\n\r\n');
  await client.until(() => client.text.endsWith('half'));
  peers[0]!.reset();
  await client.untilClosed();
  expect([client.wasReset, client.isEnded]).toEqual([true, false]);
  await turns(5);
  expect(world.log.lines).toHaveLength(1);
  expect(world.log.lines[0]).toMatchObject({ flags: FLAG.UC, status: 200 });
});
