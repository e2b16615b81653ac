/**
 * Descriptors over a Unix socket (SCM_RIGHTS), by bun:ffi on Linux's C library: how a listening socket gets
 * from one process to the next without its queue being closed. Also who is at the other end (SO_PEERCRED).
 *
 * Layouts are those of 64-bit Linux. Every buffer lies on an ArrayBuffer of its own and lives as long as
 * this module: the kernel is given addresses inside of them.
 */
import { dlopen, FFIType, ptr, read, type Pointer } from 'bun:ffi';

export interface Received {
  /** 0 = the peer has closed. */
  readonly bytes: Uint8Array;
  /** Ours now: whoever receives them closes them. */
  readonly descriptors: readonly number[];
}

export interface PeerCredentials {
  readonly pid: number;
  readonly uid: number;
}

export interface DescriptorPassing {
  /** Octets that went out; negative = -errno. The descriptors travel with the first octet. */
  send(fd: number, bytes: Uint8Array, descriptors: readonly number[]): number;
  /** Waits; null = nothing came in time, or the socket failed. */
  receive(fd: number, timeoutMs: number): Received | null;
  peer(fd: number): PeerCredentials | null;
  ownUid(): number;
}

/** The kernel's SCM_MAX_FD is 253. */
export const MAX_DESCRIPTORS_PER_MESSAGE = 128;

const SOL_SOCKET = 1;
const SCM_RIGHTS = 1;
const SO_PEERCRED = 17;
const MSG_NOSIGNAL = 0x4000;
const MSG_CMSG_CLOEXEC = 0x40000000;
const POLLIN = 1;
const EINTR = 4;

/** struct msghdr: name 0, namelen 8, iov 16, iovlen 24, control 32, controllen 40, flags 48. */
const MSGHDR_BYTES = 56;
const IOVEC_BYTES = 16;
/** struct cmsghdr: len 0, level 8, type 12. */
const CMSG_HEADER_BYTES = 16;
const CONTROL_BYTES = CMSG_HEADER_BYTES + 4 * MAX_DESCRIPTORS_PER_MESSAGE;
const RECEIVE_BYTES = 64 * 1024;

let loaded: DescriptorPassing | null | undefined;

/** Null on anything but 64-bit Linux. */
export function descriptorPassing(): DescriptorPassing | null {
  if (loaded === undefined) {
    const isKnown = process.platform === 'linux' && (process.arch === 'x64' || process.arch === 'arm64');
    loaded = isKnown ? load() : null;
  }
  return loaded;
}

function openLibrary() {
  const { i32, u32, ptr: pointer, i64 } = FFIType;
  const symbols = {
    sendmsg: { args: [i32, pointer, i32], returns: i64 },
    recvmsg: { args: [i32, pointer, i32], returns: i64 },
    getsockopt: { args: [i32, i32, i32, pointer, pointer], returns: i32 },
    poll: { args: [pointer, u32, i32], returns: i32 },
    getuid: { args: [], returns: u32 },
    __errno_location: { args: [], returns: pointer },
  } as const;
  for (const name of ['libc.so.6', 'libc.musl-x86_64.so.1', 'libc.musl-aarch64.so.1']) {
    try {
      return dlopen(name, symbols).symbols;
    } catch {
      // Not this C library; the next name is tried, and the caller says when none loads.
      continue;
    }
  }
  return null;
}

/** The header of one message with its one buffer and its control part, at fixed addresses. */
class MessageMemory {
  readonly header: Uint8Array;
  readonly data: Uint8Array;
  readonly control: DataView;
  readonly #header: DataView;
  readonly #iovec: DataView;

  constructor() {
    this.#header = new DataView(new ArrayBuffer(MSGHDR_BYTES));
    this.header = new Uint8Array(this.#header.buffer);
    this.#iovec = new DataView(new ArrayBuffer(IOVEC_BYTES));
    this.data = new Uint8Array(new ArrayBuffer(RECEIVE_BYTES));
    this.control = new DataView(new ArrayBuffer(CONTROL_BYTES));
    this.#header.setBigUint64(16, addressOf(this.#iovec), true);
    this.#header.setBigUint64(24, 1n, true);
    this.#iovec.setBigUint64(0, addressOf(this.data), true);
  }

  prepare(dataBytes: number, controlBytes: number): void {
    this.#iovec.setBigUint64(8, BigInt(dataBytes), true);
    this.#header.setBigUint64(32, controlBytes === 0 ? 0n : addressOf(this.control), true);
    this.#header.setBigUint64(40, BigInt(controlBytes), true);
    this.#header.setInt32(48, 0, true);
  }

  get controlBytes(): number {
    return Number(this.#header.getBigUint64(40, true));
  }
}

function addressOf(view: ArrayBufferView): bigint {
  return BigInt(ptr(view as Uint8Array));
}

function load(): DescriptorPassing | null {
  const libc = openLibrary();
  if (libc === null) return null;
  const memory = new MessageMemory();
  const credentials = new DataView(new ArrayBuffer(12));
  const credentialsBytes = new Uint8Array(credentials.buffer);
  const length = new Uint32Array(new ArrayBuffer(4));
  const poll = new DataView(new ArrayBuffer(8));
  const pollBytes = new Uint8Array(poll.buffer);
  const errno = (): number => read.i32(libc.__errno_location() as Pointer, 0);
  return {
    send(fd, bytes, descriptors) {
      const size = Math.min(bytes.length, RECEIVE_BYTES);
      memory.data.set(bytes.subarray(0, size));
      memory.prepare(size, writeRights(memory.control, descriptors));
      const sent = Number(libc.sendmsg(fd, memory.header, MSG_NOSIGNAL));
      return sent < 0 ? -errno() : sent;
    },
    receive(fd, timeoutMs) {
      const untilMs = performance.now() + timeoutMs;
      for (;;) {
        poll.setInt32(0, fd, true);
        poll.setInt16(4, POLLIN, true);
        const ready = libc.poll(pollBytes, 1, Math.max(0, Math.ceil(untilMs - performance.now())));
        if (ready > 0) break;
        if (ready === 0 || errno() !== EINTR) return null;
      }
      memory.prepare(RECEIVE_BYTES, CONTROL_BYTES);
      const received = Number(libc.recvmsg(fd, memory.header, MSG_CMSG_CLOEXEC));
      if (received < 0) return null;
      return {
        bytes: memory.data.slice(0, received),
        descriptors: readRights(memory.control, memory.controlBytes),
      };
    },
    peer(fd) {
      length[0] = 12;
      if (libc.getsockopt(fd, SOL_SOCKET, SO_PEERCRED, credentialsBytes, length) !== 0) return null;
      return { pid: credentials.getInt32(0, true), uid: credentials.getUint32(4, true) };
    },
    ownUid: () => libc.getuid(),
  };
}

/** Octets of the control part. */
function writeRights(control: DataView, descriptors: readonly number[]): number {
  if (descriptors.length === 0) return 0;
  if (descriptors.length > MAX_DESCRIPTORS_PER_MESSAGE)
    throw new Error('too many descriptors for one message');
  const bytes = CMSG_HEADER_BYTES + 4 * descriptors.length;
  control.setBigUint64(0, BigInt(bytes), true);
  control.setInt32(8, SOL_SOCKET, true);
  control.setInt32(12, SCM_RIGHTS, true);
  descriptors.forEach((fd, i) => control.setInt32(CMSG_HEADER_BYTES + 4 * i, fd, true));
  // The next header would be aligned to eight octets.
  return Math.ceil(bytes / 8) * 8;
}

function readRights(control: DataView, available: number): number[] {
  if (available < CMSG_HEADER_BYTES) return [];
  const isRights = control.getInt32(8, true) === SOL_SOCKET && control.getInt32(12, true) === SCM_RIGHTS;
  if (!isRights) return [];
  const bytes = Math.min(Number(control.getBigUint64(0, true)), available);
  const count = Math.floor((bytes - CMSG_HEADER_BYTES) / 4);
  return Array.from({ length: count }, (_, i) => control.getInt32(CMSG_HEADER_BYTES + 4 * i, true));
}
