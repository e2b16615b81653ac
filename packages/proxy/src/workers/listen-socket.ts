/**
 * Listening sockets, made and owned by the main thread. Workers get duplicates of the descriptor, so the
 * socket's queue survives any of them. Binding and listening are apart: a listener is bound when it is
 * validated (a taken port refuses the resource) and listens when it goes live.
 */
import { existsSync, statSync, unlinkSync } from 'node:fs';
import type { SocketOption } from '@sluice/xds';
import { endpointLabel } from '../cluster/endpoint-state.ts';
import { AF_UNIX, EACCES, IPPROTO_IP, IPPROTO_IPV6, libc, platform } from '../io/libc.ts';
import { encodeAddress, portOf, type EncodedAddress } from './sockaddr.ts';
import { describePortOwner } from './port-owner.ts';

/** Linux: setsockopt(2) at level IP. */
const IP_TRANSPARENT = 19;
const IP_FREEBIND = 15;
const defaultBacklog = 512;

export interface ListenSpec {
  readonly address: string;
  /** 0 with an IP address: any free port; with a path: it is a Unix socket. */
  readonly port: number;
  /** `::` also takes IPv4. */
  readonly ipv4Compat: boolean;
  readonly transparent: boolean;
  readonly freebind: boolean;
  readonly options: readonly SocketOption[];
  readonly backlog: number | undefined;
  /** Permissions of a Unix socket; 0 = as the umask says. */
  readonly mode: number;
}

export class ListenSocket {
  readonly spec: ListenSpec;
  /** The real one, where the spec says 0. */
  readonly port: number;
  #fd: number;
  #isListening = false;
  #isHandedOver = false;

  /** One that another process made: it listens already. */
  static inherited(spec: ListenSpec, fd: number, port: number): ListenSocket {
    const socket = new ListenSocket(spec, fd, port);
    socket.#isListening = true;
    return socket;
  }

  constructor(spec: ListenSpec, fd: number, port: number) {
    this.spec = spec;
    this.port = port;
    this.#fd = fd;
  }

  get label(): string {
    return endpointLabel(this.spec.address, this.port);
  }

  get isListening(): boolean {
    return this.#isListening;
  }

  listen(): void {
    if (this.#isListening) return;
    if (libc().listen(this.#fd, this.spec.backlog ?? defaultBacklog) !== 0)
      throw failure('listen', this.spec);
    applyOptions(this.#fd, this.spec, 'STATE_LISTENING');
    this.#isListening = true;
  }

  /** Another process has it too: the path of a Unix socket is no longer ours to remove. */
  handOver(): void {
    this.#isHandedOver = true;
  }

  /** A descriptor for one worker, or for another process: whoever gets it closes it. */
  duplicate(): number {
    const fd = libc().dup(this.#fd);
    if (fd < 0) throw failure('duplicate', this.spec);
    return fd;
  }

  close(): void {
    if (this.#fd < 0) return;
    libc().close(this.#fd);
    this.#fd = -1;
    if (!this.#isHandedOver && isPath(this.spec.address) && existsSync(this.spec.address))
      unlinkSync(this.spec.address);
  }
}

/** Throws an Error whose message names the address and, where it can be found out, who holds it. */
export function bindSocket(spec: ListenSpec): ListenSocket {
  const target = encodeAddress(spec.address, spec.port);
  if (target === null)
    throw new Error(`cannot listen on "${spec.address}": neither an IP address nor a socket path that fits`);
  if (target.family === AF_UNIX && isPath(spec.address)) removeStalePath(spec.address, target);
  const fd = libc().socket(target.family);
  if (fd < 0) throw failure('make a socket for', spec);
  try {
    configure(fd, spec, target);
    if (libc().bind(fd, target.bytes) !== 0) throw failure('bind', spec);
    applyOptions(fd, spec, 'STATE_BOUND');
    if (isPath(spec.address) && spec.mode !== 0) libc().chmod(spec.address, spec.mode);
    return new ListenSocket(spec, fd, portOf(libc().getsockname(fd) ?? target.bytes));
  } catch (error) {
    libc().close(fd);
    throw error;
  }
}

function configure(fd: number, spec: ListenSpec, target: EncodedAddress): void {
  if (target.family !== AF_UNIX) libc().setOption(fd, platform.SOL_SOCKET, platform.SO_REUSEADDR, 1);
  if (target.family === platform.AF_INET6) {
    libc().setOption(fd, IPPROTO_IPV6, platform.IPV6_V6ONLY, spec.ipv4Compat ? 0 : 1);
  }
  const linuxOnly = (isWanted: boolean, name: number, field: string): void => {
    if (!isWanted) return;
    if (platform.isDarwin || libc().setOption(fd, IPPROTO_IP, name, 1) !== 0)
      throw failure(`set ${field} on`, spec);
  };
  linuxOnly(spec.transparent, IP_TRANSPARENT, 'transparent');
  linuxOnly(spec.freebind, IP_FREEBIND, 'freebind');
  applyOptions(fd, spec, 'STATE_PREBIND');
}

function applyOptions(fd: number, spec: ListenSpec, state: SocketOption['state']): void {
  for (const option of spec.options) {
    if (option.state !== state) continue;
    const result = libc().setOption(fd, option.level, option.name, option.intValue ?? 0);
    if (result !== 0) throw failure(`set socket option ${option.level}/${option.name} on`, spec);
  }
}

/** A path that nobody listens on is left over from a process that is gone. */
function removeStalePath(path: string, target: EncodedAddress): void {
  if (!existsSync(path) || !statSync(path).isSocket()) return;
  const probe = libc().socket(AF_UNIX);
  const isAlive = probe >= 0 && libc().connect(probe, target.bytes) === 0;
  if (probe >= 0) libc().close(probe);
  if (!isAlive) unlinkSync(path);
}

function isPath(address: string): boolean {
  return address.startsWith('/') || address.startsWith('.');
}

function failure(action: string, spec: ListenSpec): Error {
  const code = libc().errno();
  const label = endpointLabel(spec.address, spec.port);
  if (code === platform.EADDRINUSE) {
    return new Error(`cannot ${action} ${label}: the address is in use${describePortOwner(spec.port)}`);
  }
  if (code === platform.EADDRNOTAVAIL)
    return new Error(`cannot ${action} ${label}: this machine has no such address`);
  if (code === EACCES) return new Error(`cannot ${action} ${label}: permission denied`);
  return new Error(`cannot ${action} ${label}: error ${code}`);
}
