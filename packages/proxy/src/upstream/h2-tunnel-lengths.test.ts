/** What a client or the configuration says of a length, on the way into a tunnel through HTTP/2. */
import { expect, test } from 'bun:test';
import { freshWorlds } from '../http/test-fresh-world.ts';
import { H2TestUpstream } from '../http/test-h2.ts';
import { forwardTo, testRoute } from '../http/test-doubles.ts';
import { connect, TunnelWorld } from '../tcp/test-tunnels.ts';

let world: TunnelWorld;
freshWorlds(() => (world = new TunnelWorld()));

test('a WebSocket whose client announces no content announces nothing', async () => {
  const script = ({ stream }: Parameters<ConstructorParameters<typeof H2TestUpstream>[0]>[0]): void => {
    stream.respond({ ':status': 200 });
    stream.on('data', (data: Buffer) => stream.write(data));
  };
  const upstream = world.owns(await new H2TestUpstream(script, { enableConnectProtocol: true }).listen());
  world.cluster('a', [upstream.port], { protocol: 'h2' });
  const upgrades = new Map([['websocket', true]]);
  const client = await world.client(world.listen(() => testRoute(forwardTo('a')), { upgrades }));
  client.send(
    'GET / HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nContent-Length: 0\r\n\r\n',
  );
  await client.until(() => client.text.endsWith('\r\n\r\n'));
  client.send('ping');
  await client.until(() => client.text.endsWith('ping'));
  expect(upstream.requests[0]![':protocol']).toBe('websocket');
  expect(upstream.requests[0]!['content-length']).toBeUndefined();
});

test('nor does CONNECT, whatever the configuration adds to it', async () => {
  const upstream = await world.h2Proxy(({ stream }) => {
    stream.respond({ ':status': 200 });
    stream.write('!');
  });
  const length = { kind: 'append', name: 'Content-Length', nameId: 0, value: '5', format: null } as const;
  const port = world.tunnel({ ...connect, headers: [{ ...length, keepEmptyValue: false }] });
  const client = await world.client(port);
  await client.until(() => client.text === '!');
  expect(upstream.requests[0]!['content-length']).toBeUndefined();
  client.reset();
  await world.lines.until(1);
});
