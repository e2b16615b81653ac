/**
 * The socket calls behind listening descriptors and socket options, by bun:ffi on the C library of Linux or macOS. Bun can
 * adopt a listening descriptor but not make one that outlives its listener, which sharing one socket
 * among workers, restarting a crashed worker and a bind error before activation all need.
 *
 * Every buffer handed to C lies on an ArrayBuffer of its own: one that moves while native code holds its
 * address would be written into freed memory.
 */
import { dlopen, FFIType, read, type Pointer } from 'bun:ffi';

export interface Libc {
  socket(family: number): number;
  bind(fd: number, address: Uint8Array): number;
  listen(fd: number, backlog: number): number;
  connect(fd: number, address: Uint8Array): number;
  setOption(fd: number, level: number, name: number, value: number): number;
  getsockname(fd: number): Uint8Array | null;
  dup(fd: number): number;
  close(fd: number): void;
  chmod(path: string, mode: number): number;
  /** madvise(MADV_DONTNEED), of pages that hold nothing of their own. Linux. */
  letGo(address: number, bytes: number): number;
  errno(): number;
}

/** Numbers that differ between the two systems. */
export interface Platform {
  readonly isDarwin: boolean;
  readonly AF_INET6: number;
  readonly SOL_SOCKET: number;
  readonly SO_REUSEADDR: number;
  readonly IPV6_V6ONLY: number;
  readonly EADDRINUSE: number;
  readonly EADDRNOTAVAIL: number;
}

export const AF_UNIX = 1;
export const AF_INET = 2;
export const IPPROTO_IP = 0;
export const IPPROTO_IPV6 = 41;
export const EACCES = 13;

const linux: Platform = {
  isDarwin: false,
  AF_INET6: 10,
  SOL_SOCKET: 1,
  SO_REUSEADDR: 2,
  IPV6_V6ONLY: 26,
  EADDRINUSE: 98,
  EADDRNOTAVAIL: 99,
};

const darwin: Platform = {
  isDarwin: true,
  AF_INET6: 30,
  SOL_SOCKET: 0xffff,
  SO_REUSEADDR: 4,
  IPV6_V6ONLY: 27,
  EADDRINUSE: 48,
  EADDRNOTAVAIL: 49,
};

export const platform: Platform = process.platform === 'darwin' ? darwin : linux;

const SOCK_STREAM = 1;
/** Linux: flags of socket(2). */
const SOCK_NONBLOCK_CLOEXEC = 0o4000 | 0o2000000;
/** macOS: fcntl(2). */
const F_SETFD = 2;
const F_SETFL = 4;
const FD_CLOEXEC = 1;
const O_NONBLOCK = 4;
/** madvise(2). */
const MADV_DONTNEED = 4;
const sockaddrBytes = 128;

let loaded: Libc | undefined;

/** Throws where the C library cannot be loaded: without listening sockets there is no proxy. */
export function libc(): Libc {
  return (loaded ??= load());
}

function open() {
  const { i32, u32, u64, ptr, cstring } = FFIType;
  const common = {
    socket: { args: [i32, i32, i32], returns: i32 },
    bind: { args: [i32, ptr, u32], returns: i32 },
    listen: { args: [i32, i32], returns: i32 },
    connect: { args: [i32, ptr, u32], returns: i32 },
    setsockopt: { args: [i32, i32, i32, ptr, u32], returns: i32 },
    getsockname: { args: [i32, ptr, ptr], returns: i32 },
    dup: { args: [i32], returns: i32 },
    close: { args: [i32], returns: i32 },
    chmod: { args: [cstring, u32], returns: i32 },
    madvise: { args: [ptr, u64, i32], returns: i32 },
    // fcntl is variadic: on Apple's arm64 such arguments lie on the stack, which eight before them force.
    fcntl: { args: [i32, i32, i32, i32, i32, i32, i32, i32, i32], returns: i32 },
  } as const;
  if (platform.isDarwin) {
    const { symbols } = dlopen('libSystem.B.dylib', {
      ...common,
      __error: { args: [], returns: ptr },
    } as const);
    return { ...symbols, errnoLocation: symbols.__error };
  }
  let failure: unknown;
  for (const name of ['libc.so.6', 'libc.musl-x86_64.so.1', 'libc.musl-aarch64.so.1']) {
    try {
      const { symbols } = dlopen(name, { ...common, __errno_location: { args: [], returns: ptr } } as const);
      return { ...symbols, errnoLocation: symbols.__errno_location };
    } catch (error) {
      failure = error;
    }
  }
  throw new Error('cannot load the C library (glibc or musl)', { cause: failure });
}

function load(): Libc {
  const c = open();
  const option = new Int32Array(new ArrayBuffer(4));
  const reply = new Uint8Array(new ArrayBuffer(sockaddrBytes));
  const replyLength = new Uint32Array(new ArrayBuffer(4));
  return {
    socket(family) {
      if (!platform.isDarwin) return c.socket(family, SOCK_STREAM | SOCK_NONBLOCK_CLOEXEC, 0);
      const fd = c.socket(family, SOCK_STREAM, 0);
      if (fd >= 0) darwinFlags(c.fcntl, fd);
      return fd;
    },
    bind: (fd, address) => c.bind(fd, address, address.length),
    listen: (fd, backlog) => c.listen(fd, backlog),
    connect: (fd, address) => c.connect(fd, address, address.length),
    setOption(fd, level, name, value) {
      option[0] = value;
      return c.setsockopt(fd, level, name, option, 4);
    },
    getsockname(fd) {
      replyLength[0] = sockaddrBytes;
      return c.getsockname(fd, reply, replyLength) === 0 ? reply.slice(0, replyLength[0]) : null;
    },
    dup: (fd) => c.dup(fd),
    close: (fd) => void c.close(fd),
    letGo: (address, bytes) => c.madvise(address as Pointer, bytes, MADV_DONTNEED),
    chmod: (path, mode) => c.chmod(Buffer.from(`${path}\0`), mode),
    errno: () => read.i32(c.errnoLocation() as Pointer, 0),
  };
}

type Fcntl = (...args: [number, number, number, number, number, number, number, number, number]) => number;

function darwinFlags(fcntl: Fcntl, fd: number): void {
  const isArm = process.arch === 'arm64';
  const set = (command: number, value: number): void => {
    fcntl(fd, command, isArm ? 0 : value, 0, 0, 0, 0, 0, value);
  };
  set(F_SETFL, O_NONBLOCK);
  set(F_SETFD, FD_CLOEXEC);
}
