import { dlopen, FFIType } from 'bun:ffi';
import { expect, test } from 'bun:test';
import { setKeepalive } from './keepalive.ts';
import { nativeSockets } from './native-socket.ts';

const isLinux = process.platform === 'linux';
if (!isLinux) console.warn('skipped: reading socket options back needs Linux');

/** SO_KEEPALIVE, then TCP_KEEPIDLE, TCP_KEEPINTVL and TCP_KEEPCNT. */
function optionsOf(fd: number): number[] {
  const { i32, ptr } = FFIType;
  const args = [i32, i32, i32, ptr, ptr];
  const libc = dlopen('libc.so.6', { getsockopt: { args, returns: i32 } }).symbols;
  const read = (level: number, name: number): number => {
    const value = new Int32Array(new ArrayBuffer(4));
    const length = new Uint32Array(new ArrayBuffer(4)).fill(4);
    expect(libc.getsockopt(fd, level, name, value, length)).toBe(0);
    return value[0] ?? -1;
  };
  return [read(1, 9), read(6, 4), read(6, 5), read(6, 6)];
}

test.skipIf(!isLinux)(
  'all three numbers reach the socket; those left out stay as the system has them',
  () => {
    const listener = Bun.listen({ hostname: '127.0.0.1', port: 0, socket: { data() {} } });
    const native = nativeSockets()!;
    const connect = (keepalive: Parameters<typeof setKeepalive>[1] | null): number[] => {
      const fd = native.startConnect('127.0.0.1', listener.port, null, keepalive);
      if (typeof fd !== 'number') throw new Error(fd);
      const options = optionsOf(fd);
      native.closeDescriptor(fd);
      return options;
    };
    const [isOn, ...system] = connect(null);
    expect(isOn).toBe(0);
    expect(connect({ timeMs: 10_000, intervalMs: 3_000, probes: 4 })).toEqual([1, 10, 3, 4]);
    expect(connect({ timeMs: null, intervalMs: null, probes: null })).toEqual([1, ...system]);
    expect(connect({ timeMs: 1, intervalMs: 1e12, probes: 1e9 })).toEqual([1, 1, 32_767, 127]);
    listener.stop(true);
  },
);
