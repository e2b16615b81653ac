import { expect, test } from 'bun:test';
import { systemClock, TimerWheel } from '@sluice/runtime';
import { bunSockets } from './bun-sockets.ts';
import { connectionSuite, type ProviderUnderTest } from './connection.suite.ts';
import { IoLoop } from './io-loop.ts';
import { Recorder } from './test-recorder.ts';
import { tlsConnectionSuite } from './tls-connection.suite.ts';

const create = (loop: IoLoop): ProviderUnderTest => ({
  sockets: bunSockets(loop),
  ready: () => Promise.resolve(),
});

connectionSuite('Bun sockets', create);
connectionSuite('Bun sockets above TLS', create, true);
tlsConnectionSuite('Bun sockets', create);

test('what breaks below the handlers is told as a defect of ours, and not only taken for a close', async () => {
  const told: unknown[] = [];
  let isBroken = false;
  class BreakingLoop extends IoLoop {
    override enter(): void {
      super.enter();
      if (!isBroken) return;
      isBroken = false;
      this.leave();
      throw new TypeError('broken');
    }
  }
  const loop = new BreakingLoop(new TimerWheel(systemClock), (error) => void told.push(error));
  const server = new Recorder();
  const sockets = bunSockets(loop);
  const listener = sockets.listen(
    { bind: { address: '127.0.0.1', port: 0 }, highWaterBytes: 65_536 },
    (connection) => (connection.handler = server),
  );
  const client = await Bun.connect({ hostname: '127.0.0.1', port: listener.port, socket: { data() {} } });
  isBroken = true;
  client.write('x');
  const wait = Promise.withResolvers<void>();
  const look = setInterval(() => told.length > 0 && wait.resolve(), 1);
  await wait.promise;
  clearInterval(look);
  client.end();
  listener.stop();
  expect(String(told[0])).toBe('TypeError: broken');
});
