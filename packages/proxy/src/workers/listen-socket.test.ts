import { afterAll, describe, expect, test } from 'bun:test';
import { mkdtempSync, rmSync, statSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { libc } from '../io/libc.ts';
import { bindSocket, type ListenSpec } from './listen-socket.ts';

const folder = mkdtempSync(join(tmpdir(), 'sluice-listen-'));
afterAll(() => rmSync(folder, { recursive: true }));

const plain = {
  ipv4Compat: false,
  transparent: false,
  freebind: false,
  options: [],
  backlog: undefined,
  mode: 0,
} satisfies Partial<ListenSpec>;

const spec = (address: string, port = 0): ListenSpec => ({ ...plain, address, port });

async function greetingFrom(fd: number, connect: { hostname: string; port: number } | { unix: string }) {
  const listener = Bun.listen({
    fd,
    socket: {
      open(socket: Bun.Socket) {
        socket.end('hello');
      },
      data() {},
    },
  } as unknown as Bun.TCPSocketListenOptions);
  const { promise, resolve, reject } = Promise.withResolvers<string>();
  let text = '';
  const socket = {
    data: (_: Bun.Socket, data: Buffer) => void (text += data.toString()),
    close: () => resolve(text),
    connectError: (_: Bun.Socket, error: Error) => reject(error),
  };
  await Bun.connect({ ...connect, socket } as unknown as Bun.TCPSocketConnectOptions);
  const greeting = await promise;
  listener.stop(true);
  return greeting;
}

describe('listening sockets', () => {
  test('a duplicate accepts, on IPv4, IPv6 and a Unix path', async () => {
    for (const address of ['127.0.0.1', '::1']) {
      const socket = bindSocket(spec(address));
      socket.listen();
      expect(socket.port).toBeGreaterThan(0);
      expect(await greetingFrom(socket.duplicate(), { hostname: address, port: socket.port })).toBe('hello');
      socket.close();
    }
    const path = join(folder, 'a.sock');
    const socket = bindSocket({ ...spec(path), mode: 0o600 });
    socket.listen();
    expect(statSync(path).mode & 0o777).toBe(0o600);
    expect(await greetingFrom(socket.duplicate(), { unix: path })).toBe('hello');
    socket.close();
  });

  test('the queue outlives the worker that adopted a duplicate', async () => {
    const socket = bindSocket(spec('127.0.0.1'));
    socket.listen();
    const first = socket.duplicate();
    libc().close(first);
    expect(await greetingFrom(socket.duplicate(), { hostname: '127.0.0.1', port: socket.port })).toBe(
      'hello',
    );
    socket.close();
  });

  test('a taken port names the address and the process that holds it', () => {
    const holder = bindSocket(spec('127.0.0.1'));
    holder.listen();
    const again = () => bindSocket(spec('127.0.0.1', holder.port));
    expect(again).toThrow(`127.0.0.1:${holder.port}: the address is in use by process ${process.pid}`);
    holder.close();
    const socket = again();
    socket.close();
  });

  test('an address of another machine and an impossible one are refused in words', () => {
    expect(() => bindSocket(spec('203.0.113.7', 80))).toThrow('this machine has no such address');
    expect(() => bindSocket(spec('no-such-host', 80))).toThrow('neither an IP address nor a socket path');
  });

  test('a left-over socket path is replaced, a live one is not', () => {
    const path = join(folder, 'b.sock');
    const live = bindSocket(spec(path));
    live.listen();
    expect(() => bindSocket(spec(path))).toThrow('the address is in use');
    const abandoned = join(folder, 'c.sock');
    const dead = bindSocket(spec(abandoned));
    const fd = dead.duplicate();
    libc().close(fd);
    const next = bindSocket(spec(abandoned));
    next.close();
    live.close();
  });
});
