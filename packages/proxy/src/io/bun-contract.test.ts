/**
 * Members of Bun that its types and documentation do not promise, each used by the socket layer. When one
 * goes away, this file says which, instead of a proxy that hangs.
 */
import { afterAll, expect, test } from 'bun:test';
import type { Socket } from 'bun';
import { blackholePort, cleanUp, turns } from '@sluice/testkit';
import { nativeSockets } from './native-socket.ts';

afterAll(cleanUp);

const ignore = { data() {} };

test('sockets and listeners have a descriptor', async () => {
  const accepted = Promise.withResolvers<Socket<undefined>>();
  const listener = Bun.listen<undefined>({
    hostname: '127.0.0.1',
    port: 0,
    socket: { ...ignore, open: accepted.resolve },
  });
  const client = await Bun.connect<undefined>({ hostname: '127.0.0.1', port: listener.port, socket: ignore });
  expect(listener.fd).toBeGreaterThan(2);
  expect(client.fd).toBeGreaterThan(2);
  expect((await accepted.promise).fd).toBeGreaterThan(2);
  client.terminate();
  listener.stop(true);
});

test('a listening descriptor can be adopted; its sockets know the addresses of both ends', async () => {
  const listener = Bun.listen({ hostname: '127.0.0.1', port: 0, socket: ignore });
  const native = nativeSockets()!;
  const greeted = Promise.withResolvers<string>();
  const adopted = Bun.listen<undefined>({
    fd: native.duplicateDescriptor(listener.fd),
    socket: {
      ...ignore,
      open: (socket: Socket<undefined>) =>
        void socket.write(`${socket.localPort} ${socket.remoteAddress} ${socket.remotePort}`),
    },
  } as never);
  const { port } = listener;
  listener.stop();
  const client = await Bun.connect<undefined>({
    hostname: '127.0.0.1',
    port,
    socket: { data: (_socket, data) => greeted.resolve(data.toString()) },
  });
  expect(await greeted.promise).toBe(`${port} 127.0.0.1 ${client.localPort}`);
  client.terminate();
  adopted.stop(true);
});

test('an established descriptor can be adopted within the call, and the socket it came from be closed', async () => {
  const heard = Promise.withResolvers<string>();
  const events: string[] = [];
  const listener = Bun.listen<undefined>({
    hostname: '127.0.0.1',
    port: 0,
    allowHalfOpen: true,
    socket: {
      data(socket) {
        const fd = nativeSockets()!.duplicateDescriptor(socket.fd);
        const second = { data: (_socket: unknown, more: Buffer) => heard.resolve(more.toString()) };
        void Bun.connect({
          fd,
          allowHalfOpen: true,
          socket: {
            ...second,
            open: (adopted: Socket<undefined>) => void events.push(`open ${adopted.remotePort}`),
          },
        } as never);
        events.push('returned');
        socket.close();
      },
    },
  });
  const client = await Bun.connect<undefined>({
    hostname: '127.0.0.1',
    port: listener.port,
    socket: {
      data() {},
      end: () => heard.resolve('end of file'),
      close: () => heard.resolve('closed'),
    },
  });
  client.write('one');
  while (events.length < 2) await turns();
  client.write('two');
  expect(await heard.promise).toBe('two');
  expect(events).toEqual([`open ${client.localPort}`, 'returned']);
  client.terminate();
  listener.stop(true);
});

test('a connecting descriptor: open at once, drain when connected', async () => {
  const listener = Bun.listen({ hostname: '127.0.0.1', port: 0, socket: ignore });
  const fd = nativeSockets()!.startConnect('127.0.0.1', listener.port, null, null);
  const events: string[] = [];
  const drained = Promise.withResolvers<void>();
  await Bun.connect<undefined>({
    fd,
    socket: {
      ...ignore,
      open: () => void events.push('open'),
      drain: (socket: Socket<undefined>) => (
        events.push(`drain ${socket.remotePort === listener.port}`),
        socket.terminate(),
        drained.resolve()
      ),
    },
  } as never);
  await drained.promise;
  expect(events).toEqual(['open', 'drain true']);
  listener.stop(true);
});

test('a refused descriptor closes without drain; a hanging one is cancelled by terminate', async () => {
  const closed = Promise.withResolvers<string[]>();
  const events: string[] = [];
  const dead = Bun.listen({ hostname: '127.0.0.1', port: 0, socket: ignore });
  const { port } = dead;
  dead.stop(true);
  void Bun.connect<undefined>({
    fd: nativeSockets()!.startConnect('127.0.0.1', port, null, null),
    socket: {
      ...ignore,
      drain: () => void events.push('drain'),
      close: () => (events.push('close'), closed.resolve(events)),
    },
  } as never);
  expect(await closed.promise).toEqual(['close']);
  const blackhole = await blackholePort();
  const cancelled = Promise.withResolvers<void>();
  const hanging = await Bun.connect<undefined>({
    fd: nativeSockets()!.startConnect('127.0.0.1', blackhole, null, null),
    socket: { ...ignore, close: () => cancelled.resolve() },
  } as never);
  hanging.terminate();
  await cancelled.promise;
});

test('received buffers are fresh: what was kept is not rewritten', async () => {
  const kept: Buffer[] = [];
  const all = Promise.withResolvers<void>();
  const listener = Bun.listen({
    hostname: '127.0.0.1',
    port: 0,
    socket: {
      data: (socket, data) => (
        kept.push(data),
        kept.length === 20 ? all.resolve() : void socket.write('next')
      ),
    },
  });
  let count = 0;
  const client = await Bun.connect({
    hostname: '127.0.0.1',
    port: listener.port,
    socket: { data: (socket) => void socket.write(String(count++ % 10).repeat(100)) },
  });
  client.write(String(count++ % 10).repeat(100));
  await all.promise;
  expect(kept.map((data) => data.toString())).toEqual(kept.map((_, i) => String(i % 10).repeat(100)));
  expect(new Set(kept.map((data) => data.buffer)).size).toBe(kept.length);
  client.terminate();
  listener.stop(true);
});

test('write takes a range, buffers nothing, and says how much the kernel took', async () => {
  const listener = Bun.listen({
    hostname: '127.0.0.1',
    port: 0,
    socket: { ...ignore, open: (socket) => void socket.pause() },
  });
  const client = await Bun.connect({ hostname: '127.0.0.1', port: listener.port, socket: ignore });
  expect(client.write(Buffer.from('xhellox'), 1, 5)).toBe(5);
  const big = new Uint8Array(16 * 1024 * 1024);
  const taken = client.write(big);
  expect(taken).toBeGreaterThan(0);
  expect(taken).toBeLessThan(big.length);
  client.terminate();
  expect(client.write('late')).toBe(-1);
  listener.stop(true);
});

test('SO_ORIGINAL_DST of a connection that was not redirected is null, and the limit of descriptors is known', async () => {
  const native = nativeSockets()!;
  const listener = Bun.listen({ hostname: '127.0.0.1', port: 0, socket: ignore });
  const client = await Bun.connect<undefined>({ hostname: '127.0.0.1', port: listener.port, socket: ignore });
  const original = native.originalDestination(client.fd, false);
  expect(original === null || original.port === listener.port).toBe(true);
  expect(native.descriptorLimit()).toBeGreaterThan(64);
  client.terminate();
  listener.stop(true);
});
