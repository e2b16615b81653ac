/** SIGTERM while tunnels are open: they go on, and end in order before the drain time is over. */
import { afterEach, expect, test } from 'bun:test';
import { cleanUp, connectPeer, freePort, startEchoOrigin, startOrigin, waitFor } from '@sluice/testkit';
import { cluster, httpFilter, listener, startTcpProxy, tcpFilter } from './tcp-fixture.ts';

afterEach(cleanUp);

test('a WebSocket and a TCP connection outlive the beginning of a drain, not its end', async () => {
  const chat = startOrigin(async (connection) => {
    await connection.readHead();
    await connection.write(
      'HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n',
    );
    for (let data = await connection.read(); data !== undefined; data = await connection.read())
      await connection.write(data);
    connection.end();
  });
  const ports = { http: freePort(), tcp: freePort() };
  const http = httpFilter([{ match: { prefix: '/' }, route: { cluster: 'chat' } }], {
    upgrade_configs: [{ upgrade_type: 'websocket' }],
  });
  const proxy = await startTcpProxy(
    {
      listeners: [
        listener('http', ports.http, [{ filters: [http] }]),
        listener('tcp', ports.tcp, [{ filters: [tcpFilter({ cluster: 'echo' })] }]),
      ],
      clusters: [cluster('chat', chat.port), cluster('echo', startEchoOrigin().port)],
    },
    ['--drain-time-s', '4'],
  );
  const socket = await connectPeer(ports.http);
  await socket.write(
    'GET / HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n',
  );
  expect(await socket.readHead()).toStartWith('HTTP/1.1 101');
  const opaque = await connectPeer(ports.tcp);
  const echoes = async (text: string): Promise<string[]> =>
    Promise.all(
      [socket, opaque].map(async (peer) => {
        await peer.write(text);
        return Buffer.from((await peer.readExactly(text.length)) ?? new Uint8Array(0)).toString();
      }),
    );
  expect(await echoes('before')).toEqual(['before', 'before']);
  process.kill(proxy.process.pid, 'SIGTERM');
  await waitFor(() => proxy.process.lines.some((line) => line.includes('draining')));
  expect(await echoes('after')).toEqual(['after', 'after']);
  // A FIN, nothing lost: reading to the end gives no octet more.
  expect(await socket.readToEnd()).toHaveLength(0);
  expect(await opaque.readToEnd()).toHaveLength(0);
  socket.end();
  opaque.end();
  expect(await proxy.process.exited).toBe(0);
  expect(await Promise.all([socket.closed, opaque.closed])).toEqual(['closed', 'closed']);
}, 20_000);
