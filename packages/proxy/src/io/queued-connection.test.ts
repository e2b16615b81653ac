import { expect, test } from 'bun:test';
import { FakeClock, TimerWheel } from '@sluice/runtime';
import { turns } from '@sluice/testkit';
import { IoLoop } from './io-loop.ts';
import { QueuedConnection } from './queued-connection.ts';
import { Recorder } from './test-recorder.ts';

/** Its peer takes as many octets as the test says. */
class SlowConnection extends QueuedConnection {
  readonly localAddress = '';
  readonly localPort = 0;
  readonly remoteAddress = '';
  readonly remotePort = 0;
  readonly fd = -1;
  window = 0;
  readonly calls: string[] = [];

  take(byteCount: number): void {
    this.window = byteCount;
    this.writable();
  }
  pause(): void {}
  resume(): void {}
  startTls(): void {}
  protected sendBytes(_data: Uint8Array, _start: number, length: number): number {
    const taken = Math.min(this.window, length);
    this.window -= taken;
    return taken;
  }
  protected unsentBytes(): number {
    return 0;
  }
  protected shutdownSocket(): void {
    this.calls.push('shutdown');
  }
  protected closeSocket(): void {
    this.calls.push('close');
  }
  protected terminateSocket(): void {
    this.calls.push('terminate');
  }
}

test('what the kernel takes at the end of the turn stops no producer, however low the mark', () => {
  const handler = new Recorder();
  const loop = new IoLoop(new TimerWheel(new FakeClock()), (error) => {
    throw error;
  });
  const connection = new SlowConnection(loop, handler, 1000);
  const write = (): void => {
    connection.write(new Uint8Array(5000), 0, 5000);
    connection.flush();
  };
  connection.window = 5000;
  write();
  expect([connection.isWritable, connection.bufferedBytes]).toEqual([true, 0]);
  write();
  expect([connection.isWritable, handler.drains]).toEqual([false, 0]);
  connection.take(5000);
  expect([connection.isWritable, handler.drains]).toEqual([true, 1]);
});

test('who counts connections is told of the end though the handler fails', () => {
  const bugs: unknown[] = [];
  const loop = new IoLoop(new TimerWheel(new FakeClock()), (error) => bugs.push(error));
  const handler = {
    onData() {},
    onEnd() {},
    onDrain() {},
    onClose() {
      throw new Error('a bug');
    },
  };
  const connection = new SlowConnection(loop, handler, 65_536);
  let isCountedOut = false;
  connection.onceClosed = () => (isCountedOut = true);
  connection.terminate();
  expect([isCountedOut, bugs.map(String)]).toEqual([true, ['Error: a bug']]);
});

/** A connection that is closed with so much to send, at the end of the turn. */
async function closing(byteCount: number) {
  const clock = new FakeClock();
  const wheel = new TimerWheel(clock);
  clock.attach(wheel);
  const loop = new IoLoop(wheel, (error) => {
    throw error;
  });
  const handler = new Recorder();
  const connection = new SlowConnection(loop, handler, 65_536);
  loop.enter();
  connection.write(new Uint8Array(byteCount), 0, byteCount);
  connection.close();
  loop.leave();
  await turns();
  return { clock, wheel, handler, connection };
}

test('a closing connection is given up when its peer takes nothing for a minute', async () => {
  const { clock, connection, handler } = await closing(50_000);
  clock.advance(59_000);
  connection.take(1);
  clock.advance(2_000);
  expect(connection.calls).toEqual([]);
  clock.advance(57_000);
  connection.take(1);
  clock.advance(61_000);
  expect(connection.calls).toEqual([]);
  clock.advance(60_000);
  expect(connection.calls).toEqual(['terminate']);
  expect(handler.closeCause).toBe('local');
});

test('a closing connection whose peer takes everything, however slowly, ends in order', async () => {
  const { clock, connection, handler } = await closing(200);
  for (let i = 0; i < 20; i++) {
    clock.advance(50_000);
    connection.take(10);
  }
  expect(connection.calls).toEqual(['close']);
  expect(handler.closeCause).toBe('local');
  clock.advance(200_000);
  expect(connection.calls).toEqual(['close']);
});

test('a close that needs not wait arms nothing', async () => {
  const { clock, connection } = await closing(0);
  expect(connection.calls).toEqual(['close']);
  clock.advance(200_000);
  expect(connection.calls).toEqual(['close']);
});
