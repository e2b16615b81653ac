/** The limit of connections is a cluster's: what it means where endpoints share it. */
import { expect, test } from 'bun:test';
import { turns } from '@sluice/testkit';
import { forwardTo, testRoute } from '../http/test-doubles.ts';
import { freshWorlds } from '../http/test-fresh-world.ts';
import { answering, reply, World } from '../http/test-world.ts';

let world: World;
freshWorlds(() => (world = new World()));

const get = 'GET / HTTP/1.1\r\nHost: a\r\n\r\n';

test('an endpoint without any has one connection, whatever the others hold, and no more', async () => {
  const idle = world.upstream(answering(reply('idle')));
  let asked = 0;
  const busy = world.upstream((_peer, text) => {
    if (text.endsWith('\r\n\r\n')) asked++;
  });
  const cluster = world.cluster('a', [idle.port, busy.port]);
  cluster.limits.connections.max = 1;
  const port = world.listen(() => testRoute(forwardTo('a')));
  const clients = await Promise.all(Array.from({ length: 4 }, () => world.client(port)));
  clients[0]!.send(get);
  expect((await clients[0]!.response()).body).toBe('idle');
  clients[1]!.send(get);
  while (asked < 1) await turns();
  // One for each: the next waits for the busy one, and the one after finds the idle one.
  clients[2]!.send(get);
  clients[3]!.send(get);
  const { body } = await Promise.race([clients[2]!.response(), clients[3]!.response()]);
  expect(body).toBe('idle');
  expect(cluster.limits.pendingRequests.current).toBe(1);
  expect(cluster.limits.connections.current).toBe(2);
  expect([idle.connectionCount, busy.connectionCount]).toEqual([1, 1]);
});
