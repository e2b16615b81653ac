/**
 * The new process's end of a hot restart. It asks and waits: it does nothing else yet, and a descriptor must
 * not be read by a runtime that would drop it. Every wait is short; a parent that does not answer is no
 * parent.
 */
import { encodeAddress } from '../workers/sockaddr.ts';
import { descriptorPassing, type DescriptorPassing } from './descriptor-passing.ts';
import { AF_UNIX, libc } from './libc.ts';

export interface HandoverReply {
  readonly line: string;
  /** Ours now. */
  readonly descriptors: readonly number[];
}

export interface HandoverClient {
  readonly peerPid: number;
  /** Null when the other process is gone or silent. */
  ask(line: string): HandoverReply | null;
  close(): void;
}

const ANSWER_TIMEOUT_MS = 5_000;
/** A reply with its sockets is some kilobytes. */
const MAX_REPLY_BYTES = 1024 * 1024;

/** The client, or in words why there is none. */
export function connectForHandover(name: string): HandoverClient | string {
  const passing = descriptorPassing();
  if (passing === null) return 'sockets can be handed over on 64-bit Linux only';
  const target = encodeAddress(`@${name}`, 0);
  if (target === null) return `the name "${name}" does not fit into a socket address`;
  const fd = libc().socket(AF_UNIX);
  if (fd < 0) return 'no descriptor is left';
  if (libc().connect(fd, target.bytes) !== 0) {
    libc().close(fd);
    return 'no process listens for it';
  }
  const peer = passing.peer(fd);
  if (peer === null || peer.uid !== passing.ownUid()) {
    libc().close(fd);
    return `the name belongs to a process of user ${peer?.uid ?? 'unknown'}, not of ours`;
  }
  return new Client(passing, fd, peer.pid);
}

class Client implements HandoverClient {
  readonly peerPid: number;
  readonly #passing: DescriptorPassing;
  #fd: number;

  constructor(passing: DescriptorPassing, fd: number, peerPid: number) {
    this.#passing = passing;
    this.#fd = fd;
    this.peerPid = peerPid;
  }

  ask(line: string): HandoverReply | null {
    if (this.#fd < 0) return null;
    const question = Buffer.from(`${line}\n`);
    if (this.#passing.send(this.#fd, question, []) !== question.length) return this.#fail([]);
    const descriptors: number[] = [];
    const parts: Uint8Array[] = [];
    let size = 0;
    for (;;) {
      const received = this.#passing.receive(this.#fd, ANSWER_TIMEOUT_MS);
      if (received !== null) descriptors.push(...received.descriptors);
      if (received === null || received.bytes.length === 0) return this.#fail(descriptors);
      parts.push(received.bytes);
      size += received.bytes.length;
      if (received.bytes.at(-1) === 0x0a) break;
      if (size > MAX_REPLY_BYTES) return this.#fail(descriptors);
    }
    return { line: Buffer.concat(parts).toString('utf8').trimEnd(), descriptors };
  }

  close(): void {
    if (this.#fd >= 0) libc().close(this.#fd);
    this.#fd = -1;
  }

  #fail(descriptors: readonly number[]): null {
    for (const fd of descriptors) libc().close(fd);
    this.close();
    return null;
  }
}
