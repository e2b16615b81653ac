/** How long tunnels in streams of HTTP/2 live: an idle timeout of their own, and GOAWAY that does not cut them. */
import { afterEach, beforeEach, describe, expect, test } from 'bun:test';
import { createHash } from 'node:crypto';
import { FLAG } from '../telemetry/response-flags.ts';
import { defaultH2Settings } from './h2-settings.ts';
import { forwardTo, testRoute } from './test-doubles.ts';
import { H2TestClient, type H2Call } from './test-h2.ts';
import { World } from './test-world.ts';

let world: World;
let client: H2TestClient;
beforeEach(() => {
  world = new World();
});
afterEach(() => {
  client.stop();
  world.close();
  expect(world.errors).toEqual([]);
});

/** An endpoint of HTTP/1.1 that switches and then sends back the last octet. */
function echoing(): number {
  return world.upstream((peer, text) => {
    if (!text.endsWith('\r\n\r\n')) return peer.send(text.slice(-1));
    const key = /sec-websocket-key: (\S+)/i.exec(text)?.[1] ?? '';
    const accept = createHash('sha1').update(`${key}258EAFA5-E914-47DA-95CA-C5AB0DC85B11`).digest('base64');
    peer.send(
      `HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Accept: ${accept}\r\n\r\n`,
    );
  }).port;
}

async function open(more: object, route: object = {}): Promise<H2Call> {
  world.cluster('a', [echoing()]);
  const port = world.listen(() => testRoute(forwardTo('a', route)), {
    upgrades: new Map([['websocket', true]]),
    http2: { ...defaultH2Settings, allowConnect: true },
    ...more,
  });
  client = new H2TestClient(port);
  await client.until(() => client.session.remoteSettings?.enableConnectProtocol === true);
  const call = client.call(
    {
      ':method': 'CONNECT',
      ':protocol': 'websocket',
      ':scheme': 'http',
      ':path': '/chat',
      'sec-websocket-version': '13',
    },
    { end: false },
  );
  await call.until(() => call.status === 200);
  return call;
}

async function echo(call: H2Call, text: string): Promise<void> {
  const before = call.body;
  call.stream.write(text);
  await call.until(() => call.body === before + text);
}

describe('a tunnel in a stream', () => {
  test('has an idle timeout of its own, not that of requests, and ends alone', async () => {
    const call = await open({ streamIdleTimeoutMs: 1_000, tunnelIdleTimeoutMs: 10_000 });
    world.clock.advance(9_000);
    await echo(call, 'a');
    world.clock.advance(9_000);
    await echo(call, 'b');
    world.clock.advance(10_100);
    await call.until(() => call.isClosed);
    await world.log.until(1);
    expect(world.log.lines[0]).toMatchObject({ flags: FLAG.SI });
    expect(client.isClosed).toBe(false);
  });

  test('obeys the idle timeout of its route first', async () => {
    const call = await open({ tunnelIdleTimeoutMs: 10_000 }, { idleTimeoutMs: 500 });
    world.clock.advance(600);
    await call.until(() => call.isClosed);
  });

  test('goes on after GOAWAY, and its connection closes with it', async () => {
    const call = await open({});
    await echo(call, 'a');
    const [connection] = world.connections;
    connection!.drain();
    await client.until(() => client.goAways.length > 0);
    await echo(call, 'b');
    world.clock.advance(60_000);
    await echo(call, 'c');
    call.stream.end();
    await client.until(() => client.isClosed);
    expect(client.goAways).toEqual(client.goAways.map(() => 0));
  });
});
