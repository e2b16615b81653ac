/**
 * Socket calls that Bun does not offer, by bun:ffi on Linux's C library: a non-blocking connect whose
 * descriptor we own from the start (so that it can be cancelled, bound and given options first), and
 * SO_ORIGINAL_DST.
 *
 * `Bun.connect({hostname})` has no cancel: a connect to a black hole holds its descriptor until the kernel
 * gives up, about two minutes. A descriptor made here is given to `Bun.connect({fd})`, which reports the
 * outcome as `drain` (connected) or `close`, and which `terminate()` cancels.
 */
import { dlopen, FFIType, read, type Pointer } from 'bun:ffi';
import {
  AF_INET,
  decodeSocketAddress,
  encodeSocketAddress,
  SOCKADDR_IN6_BYTES,
  type SocketAddress,
} from './addresses.ts';
import type { ClientSource } from './connection.ts';
import { setKeepalive, type TcpKeepalive } from './keepalive.ts';

const SOCK_STREAM = 1;
const SOCK_NONBLOCK = 0o4000;
const SOCK_CLOEXEC = 0o2000000;
const IPPROTO_TCP = 6;
const TCP_NODELAY = 1;
const SOL_IP = 0;
const SOL_IPV6 = 41;
const SOL_SOCKET = 1;
const SO_MARK = 36;
const IP_TRANSPARENT = 19;
const IPV6_TRANSPARENT = 75;
/** The port is chosen at connect: clients may share one where they dial different endpoints. */
const IP_BIND_ADDRESS_NO_PORT = 24;
const SO_ORIGINAL_DST = 80;
const RLIMIT_NOFILE = 7;
const EMFILE = 24;
const ENFILE = 23;
const EINPROGRESS = 115;
const ECONNREFUSED = 111;

export type NativeConnectFailure = 'refused' | 'unreachable' | 'no-descriptor' | 'no-client-source';

export interface NativeSockets {
  /** A descriptor whose connect is under way, or why there is none. The caller owns the descriptor. */
  startConnect(
    address: string,
    port: number,
    sourceAddress: string | null,
    keepalive: TcpKeepalive | null,
    clientSource?: ClientSource | null,
  ): number | NativeConnectFailure;
  /** Whether this process may dial from addresses that are not its own. */
  mayDialAsClient(): boolean;
  /** Where a redirected connection was meant to go; null when it was not redirected. */
  originalDestination(fd: number, isIpv6: boolean): SocketAddress | null;
  /** Soft limit of open descriptors of this process. */
  descriptorLimit(): number;
  closeDescriptor(fd: number): void;
  duplicateDescriptor(fd: number): number;
}

let loaded: NativeSockets | null | undefined;

/** Null where the C library cannot be loaded this way (anything but Linux). */
export function nativeSockets(): NativeSockets | null {
  if (loaded === undefined) loaded = process.platform === 'linux' ? load() : null;
  return loaded;
}

function openLibrary() {
  const { i32, u32, ptr } = FFIType;
  const symbols = {
    socket: { args: [i32, i32, i32], returns: i32 },
    connect: { args: [i32, ptr, u32], returns: i32 },
    bind: { args: [i32, ptr, u32], returns: i32 },
    setsockopt: { args: [i32, i32, i32, ptr, u32], returns: i32 },
    getsockopt: { args: [i32, i32, i32, ptr, ptr], returns: i32 },
    getrlimit: { args: [i32, ptr], returns: i32 },
    close: { args: [i32], returns: i32 },
    dup: { args: [i32], returns: i32 },
    __errno_location: { args: [], returns: ptr },
  } as const;
  for (const name of ['libc.so.6', 'libc.musl-x86_64.so.1', 'libc.musl-aarch64.so.1']) {
    try {
      return dlopen(name, symbols).symbols;
    } catch {
      // Not this C library; the next name is tried, and the caller reports when none loads.
      continue;
    }
  }
  return null;
}

function load(): NativeSockets | null {
  const libc = openLibrary();
  if (libc === null) return null;
  const option = new Int32Array(new ArrayBuffer(4));
  const reply = new Uint8Array(new ArrayBuffer(SOCKADDR_IN6_BYTES));
  const replyLength = new Uint32Array(new ArrayBuffer(4));
  const errno = (): number => read.i32(libc.__errno_location() as Pointer, 0);
  const setOption = (fd: number, level: number, name: number, value: number): boolean => {
    option[0] = value;
    return libc.setsockopt(fd, level, name, option, 4) === 0;
  };
  const fail = (fd: number): NativeConnectFailure => {
    const code = errno();
    if (fd >= 0) libc.close(fd);
    if (code === EMFILE || code === ENFILE) return 'no-descriptor';
    return code === ECONNREFUSED ? 'refused' : 'unreachable';
  };
  const beClient = (fd: number, family: number, { address, mark }: ClientSource): boolean => {
    const source = encodeSocketAddress(address, 0);
    if (source === null || source[0] !== family) return false;
    const isTransparent =
      family === AF_INET
        ? setOption(fd, SOL_IP, IP_TRANSPARENT, 1)
        : setOption(fd, SOL_IPV6, IPV6_TRANSPARENT, 1);
    if (!isTransparent || (mark !== 0 && !setOption(fd, SOL_SOCKET, SO_MARK, mark))) return false;
    setOption(fd, SOL_IP, IP_BIND_ADDRESS_NO_PORT, 1);
    return libc.bind(fd, source, source.length) === 0;
  };
  return {
    mayDialAsClient() {
      const fd = libc.socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
      if (fd < 0) return false;
      const may = setOption(fd, SOL_IP, IP_TRANSPARENT, 1);
      libc.close(fd);
      return may;
    },
    startConnect(address, port, sourceAddress, keepalive, clientSource = null) {
      const target = encodeSocketAddress(address, port);
      if (target === null) return 'unreachable';
      const fd = libc.socket(target[0]!, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
      if (fd < 0) return fail(fd);
      setOption(fd, IPPROTO_TCP, TCP_NODELAY, 1);
      if (keepalive !== null) setKeepalive(fd, keepalive);
      if (clientSource !== null) {
        if (!beClient(fd, target[0]!, clientSource)) {
          libc.close(fd);
          return 'no-client-source';
        }
      } else if (sourceAddress !== null) {
        const source = encodeSocketAddress(sourceAddress, 0);
        if (source === null || libc.bind(fd, source, source.length) !== 0) return fail(fd);
      }
      if (libc.connect(fd, target, target.length) !== 0 && errno() !== EINPROGRESS) return fail(fd);
      return fd;
    },
    originalDestination(fd, isIpv6) {
      reply.fill(0);
      replyLength[0] = SOCKADDR_IN6_BYTES;
      if (libc.getsockopt(fd, isIpv6 ? SOL_IPV6 : SOL_IP, SO_ORIGINAL_DST, reply, replyLength) !== 0)
        return null;
      return decodeSocketAddress(reply);
    },
    descriptorLimit() {
      const limit = new BigUint64Array(new ArrayBuffer(16));
      if (libc.getrlimit(RLIMIT_NOFILE, limit) !== 0) return 1024;
      return Number(limit[0]! > 1_048_576n ? 1_048_576n : limit[0]!);
    },
    closeDescriptor: (fd) => void libc.close(fd),
    duplicateDescriptor: (fd) => libc.dup(fd),
  };
}
