/** Broken, cut and bit-flipped hellos: each connection ends, none reaches anybody, and the next client is served. */
import { expect, test } from 'bun:test';
import { createRandom, FakeClock, TimerWheel } from '@sluice/runtime';
import { turns } from '@sluice/testkit';
import { bunSockets } from './bun-sockets.ts';
import type { ConnectTarget, Connection } from './connection.ts';
import { IoLoop } from './io-loop.ts';
import { Recorder } from './test-recorder.ts';
import { testSettings, TestTls } from './test-tls.ts';

const rounds = 1500;

test('hostile handshakes end, and cost the next client nothing', async () => {
  const clock = new FakeClock();
  const wheel = new TimerWheel(clock);
  clock.attach(wheel);
  const bugs: unknown[] = [];
  const sockets = bunSockets(new IoLoop(wheel, (error) => bugs.push(error)));
  const serving = new TestTls(testSettings('server', { trustedPem: null, asksForCertificate: false }));
  const open = new Set<Connection>();
  let secured = 0;
  const bind = { address: '127.0.0.1', port: 0 };
  const listener = sockets.listen({ bind, highWaterBytes: 65_536 }, (connection) => {
    open.add(connection);
    connection.onceClosed = () => open.delete(connection);
    connection.startTls(serving, null, 1000, {
      onSecured(secure) {
        secured++;
        secure.handler = new Recorder();
      },
      onTlsFailed() {},
    });
  });
  const target = (tls: TestTls | null): ConnectTarget => ({
    address: '127.0.0.1',
    port: listener.port,
    sourceAddress: null,
    keepalive: null,
    connectTimeoutMs: 0,
    highWaterBytes: 65_536,
    tls,
  });
  const hello = await recordedHello(sockets, target);
  const random = createRandom(7);
  for (let round = 0; round < rounds; round++) {
    const client = new Recorder();
    const connection = sockets.connect(target(null), client);
    await client.until(() => client.isConnected);
    const bytes = mutated(hello, random);
    connection.write(bytes, 0, bytes.length);
    if (random.int(3) === 0) connection.terminate();
    else connection.end();
    await client.until(() => client.closeCause !== null || client.failure !== null);
  }
  clock.advance(1100);
  while (open.size > 0) await turns();
  expect([bugs, secured, wheel.size]).toEqual([[], 0, 0]);
  const client = new Recorder();
  const last = sockets.connect(target(new TestTls(testSettings('client', { trustedPem: null }))), client);
  await client.until(() => client.isConnected);
  expect(last.tls!.protocol).toBe('TLSv1.3');
  last.terminate();
  listener.stop();
});

/** What a real client of ours sends first. */
async function recordedHello(
  sockets: ReturnType<typeof bunSockets>,
  target: (tls: TestTls) => ConnectTarget,
): Promise<Uint8Array> {
  const { promise, resolve } = Promise.withResolvers<Uint8Array>();
  const bind = { address: '127.0.0.1', port: 0 };
  const listener = sockets.listen({ bind, highWaterBytes: 65_536 }, (connection) => {
    const recorder = new Recorder();
    recorder.onChunk = (_connection, data) => (resolve(data), connection.terminate());
    connection.handler = recorder;
  });
  const tls = new TestTls(testSettings('client'), 'a.test');
  sockets.connect({ ...target(tls), port: listener.port }, new Recorder());
  const hello = await promise;
  listener.stop();
  return hello;
}

function mutated(hello: Uint8Array, random: ReturnType<typeof createRandom>): Uint8Array {
  const bytes = Buffer.from(hello);
  switch (random.int(4)) {
    case 0:
      return bytes.subarray(0, random.int(bytes.length));
    case 1:
      for (let i = 0; i < 3; i++) bytes[random.int(bytes.length)]! ^= 1 << random.int(8);
      return bytes;
    case 2:
      return Buffer.concat([bytes, bytes]);
    default:
      return Buffer.from(Array.from({ length: random.int(600) }, () => random.int(256)));
  }
}
