/**
 * A loopback address that answers no SYN: a listener whose accept queue is full. What a black hole is to a
 * connection attempt, without leaving the machine. Linux only, as the kernel elsewhere refuses instead.
 */
import { dlopen, FFIType } from 'bun:ffi';
import { encodeSocketAddress } from './addresses.ts';

export interface FullListener {
  readonly port: number;
  close(): void;
}

export function openFullListener(): FullListener {
  const { i32, u32, ptr } = FFIType;
  const libc = dlopen('libc.so.6', {
    socket: { args: [i32, i32, i32], returns: i32 },
    bind: { args: [i32, ptr, u32], returns: i32 },
    listen: { args: [i32, i32], returns: i32 },
    getsockname: { args: [i32, ptr, ptr], returns: i32 },
    connect: { args: [i32, ptr, u32], returns: i32 },
    close: { args: [i32], returns: i32 },
  }).symbols;
  const address = encodeSocketAddress('127.0.0.1', 0)!;
  const nonBlockingStream = 1 | 0o4000 | 0o2000000;
  const listener = libc.socket(2, nonBlockingStream, 0);
  if (libc.bind(listener, address, 16) !== 0 || libc.listen(listener, 0) !== 0)
    throw new Error('cannot listen');
  const length = new Uint32Array(new ArrayBuffer(4));
  length[0] = 16;
  libc.getsockname(listener, address, length);
  const fillers = [0, 1, 2].map(() => {
    const fd = libc.socket(2, nonBlockingStream, 0);
    libc.connect(fd, address, 16);
    return fd;
  });
  return {
    port: (address[2]! << 8) | address[3]!,
    close() {
      for (const fd of [...fillers, listener]) libc.close(fd);
    },
  };
}
