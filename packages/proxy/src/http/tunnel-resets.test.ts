/** What an endpoint aborts in a tunnel must not look complete to a client of HTTP/1. */
import { expect, test } from 'bun:test';
import { forwardTo, testRoute } from './test-doubles.ts';
import { freshWorlds } from './test-fresh-world.ts';
import { World, type UpstreamPeer } from './test-world.ts';

let world: World;
freshWorlds(() => (world = new World()));

const upgrade = 'GET / HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: foo\r\n\r\n';
const switched = 'HTTP/1.1 101 Go\r\nConnection: Upgrade\r\nUpgrade: foo\r\n\r\nhalf';

test.each([
  ['an upgrade', upgrade, switched, false],
  ['CONNECT', 'CONNECT a:80 HTTP/1.1\r\nHost: a:80\r\n\r\nhello', 'half', true],
])('of %s', async (_what, request, answer, terminatesConnect) => {
  const peers: UpstreamPeer[] = [];
  const upstream = world.upstream((peer) => {
    peers.push(peer);
    peer.send(answer);
  });
  world.cluster('a', [upstream.port]);
  const upgrades = new Map([['foo', true]]);
  upgrades.set('connect', true);
  const port = world.listen(() => testRoute(forwardTo('a', { terminatesConnect })), { upgrades });
  const client = await world.client(port);
  client.send(request);
  await client.until(() => client.text.endsWith('half'));
  peers[0]!.reset();
  await client.untilClosed();
  expect([client.wasReset, client.isEnded]).toEqual([true, false]);
  await world.log.until(1);
  expect(world.tunnels).toEqual({ opened: 1, closed: 1 });
});
