/**
 * Ports for tests. Whatever can listen on port 0 should; these are for what must know its port beforehand
 * (a configuration file), and for addresses where nobody answers.
 */
import { dlopen } from 'bun:ffi';
import { onCleanUp } from './cleanup.ts';

const given = new Set<number>();

/**
 * A port that is free on 127.0.0.1 now. Another process may take it before the caller does; this process
 * is not given the same one twice.
 */
export function freePort(): number {
  for (;;) {
    const listener = Bun.listen({ hostname: '127.0.0.1', port: 0, socket: { data: () => {} } });
    const { port } = listener;
    listener.stop(true);
    if (given.has(port)) continue;
    given.add(port);
    return port;
  }
}

/** A port of 127.0.0.1 that refuses connections at once, since nobody listens there. */
export function refusingPort(): number {
  return freePort();
}

/**
 * A port of 127.0.0.1 that never finishes a handshake: a bound socket with a queue of one, which is filled,
 * so that the kernel drops every further SYN. Linux only; the C library does it because no API of Bun's
 * listens without accepting.
 */
export async function blackholePort(): Promise<number> {
  const { symbols: libc } = openLibc();
  const fd = libc.socket(afInet, sockStream, 0);
  // On explicit ArrayBuffers: the pointer of a small typed array goes stale when the engine moves it.
  const address = new Uint8Array(new ArrayBuffer(16));
  const length = new Uint32Array(new ArrayBuffer(4)).fill(16);
  address[0] = afInet;
  address.set([127, 0, 0, 1], 4);
  const failed =
    fd < 0 || libc.bind(fd, address, 16) || libc.listen(fd, 0) || libc.getsockname(fd, address, length);
  if (failed) throw new Error('cannot make a blackhole: the C library refused');
  onCleanUp(() => void libc.close(fd));
  const port = address[2]! * 256 + address[3]!;
  const filler = await Bun.connect({ hostname: '127.0.0.1', port, socket: { data: () => {} } });
  onCleanUp(() => filler.terminate());
  return port;
}

const afInet = 2;
const sockStream = 1;

function openLibc() {
  if (process.platform !== 'linux') throw new Error('a blackhole needs Linux');
  return dlopen('libc.so.6', {
    socket: { args: ['int', 'int', 'int'], returns: 'int' },
    bind: { args: ['int', 'ptr', 'u32'], returns: 'int' },
    listen: { args: ['int', 'int'], returns: 'int' },
    getsockname: { args: ['int', 'ptr', 'ptr'], returns: 'int' },
    close: { args: ['int'], returns: 'int' },
  });
}
