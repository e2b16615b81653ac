/**
 * The new process: asks the old one for its listening sockets before it makes any of its own, and tells it
 * when it is live. A parent that is absent, silent or of another version is no reason not to start.
 */
import { isIP } from 'node:net';
import { connectForHandover, type HandoverClient } from '../io/handover-client.ts';
import { libc } from '../io/libc.ts';
import { ListenSocket, type ListenSpec } from '../workers/listen-socket.ts';
import { specKey } from '../workers/listen-specs.ts';
import {
  HANDOVER_PROTOCOL,
  parseHandoverAnswer,
  type HandoverAnswer,
  type HandoverRequest,
  type SocketName,
} from './handover-messages.ts';

interface Inherited extends SocketName {
  readonly fd: number;
}

export class TakeOver {
  readonly #client: HandoverClient;
  readonly parentVersion: string;
  #inherited: readonly Inherited[];

  private constructor(client: HandoverClient, parentVersion: string, inherited: readonly Inherited[]) {
    this.#client = client;
    this.parentVersion = parentVersion;
    this.#inherited = inherited;
  }

  /** The parent's sockets, or in words why there are none. */
  static from(name: string, version: string, epoch: number): TakeOver | string {
    const client = connectForHandover(name);
    if (typeof client === 'string') return client;
    const hello = ask(client, { type: 'hello', protocol: HANDOVER_PROTOCOL, version, epoch });
    const answer = hello?.answer ?? null;
    if (answer?.type !== 'hello') {
      client.close();
      return answer?.type === 'refused' ? `it refuses: ${answer.reason}` : 'it does not answer';
    }
    const inherited = fetchSockets(client, answer.sockets);
    if (inherited === null) {
      client.close();
      return 'it went away before all sockets had come';
    }
    return new TakeOver(client, answer.version, inherited);
  }

  get parentPid(): number {
    return this.#client.peerPid;
  }

  /** Sockets that no listener has asked for. */
  get unclaimedCount(): number {
    return this.#inherited.length;
  }

  /**
   * The parent's socket for this address, listening already; null when it had none. A listener may have
   * another name than it had, but not where any free port was asked for: there the name alone tells.
   */
  claim(listener: string, spec: ListenSpec): ListenSocket | null {
    const key = specKey(spec);
    const ofAddress = this.#inherited.filter((socket) => socket.key === key);
    const isAnyPort = spec.port === 0 && isIP(spec.address) !== 0;
    const found =
      ofAddress.find((socket) => socket.listener === listener) ?? (isAnyPort ? undefined : ofAddress[0]);
    if (found === undefined) return null;
    this.#inherited = this.#inherited.filter((socket) => socket !== found);
    return ListenSocket.inherited(spec, found.fd, found.port);
  }

  /**
   * The parent drains from now on. Sockets that nobody claimed are closed: their clients would wait in a
   * queue that nobody empties. False when the parent is gone already.
   */
  finish(): boolean {
    for (const { fd } of this.#inherited) libc().close(fd);
    this.#inherited = [];
    const isHeard = ask(this.#client, { type: 'live' })?.answer?.type === 'live';
    this.#client.close();
    return isHeard;
  }
}

interface Asked {
  readonly answer: HandoverAnswer | null;
  readonly descriptors: readonly number[];
}

function ask(client: HandoverClient, request: HandoverRequest): Asked | null {
  const reply = client.ask(JSON.stringify(request));
  return reply === null ? null : { answer: parseHandoverAnswer(reply.line), descriptors: reply.descriptors };
}

/** All or none: with half of the sockets the other half could not be bound. */
function fetchSockets(client: HandoverClient, count: number): Inherited[] | null {
  const inherited: Inherited[] = [];
  for (let from = 0; from < count;) {
    const asked = ask(client, { type: 'sockets', from });
    const sockets = asked?.answer?.type === 'sockets' ? asked.answer.sockets : [];
    const descriptors = asked?.descriptors ?? [];
    if (sockets.length === 0 || sockets.length !== descriptors.length) {
      for (const fd of descriptors) libc().close(fd);
      for (const { fd } of inherited) libc().close(fd);
      return null;
    }
    sockets.forEach((socket, i) => inherited.push({ ...socket, fd: descriptors[i]! }));
    from += sockets.length;
  }
  return inherited;
}
