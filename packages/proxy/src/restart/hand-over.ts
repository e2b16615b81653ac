/**
 * The old process: gives its listening sockets to the next one when asked, serves on until that one is
 * live, then drains. A next process that dies before changes nothing.
 */
import type { Logger } from '@sluice/runtime';
import { MAX_DESCRIPTORS_PER_MESSAGE } from '../io/descriptor-passing.ts';
import { listenForHandover, type HandoverListener, type HandoverSession } from '../io/handover-listener.ts';
import { libc } from '../io/libc.ts';
import type { ListenSocket } from '../workers/listen-socket.ts';
import { specKey } from '../workers/listen-specs.ts';
import { HANDOVER_PROTOCOL, parseHandoverRequest, type HandoverAnswer } from './handover-messages.ts';

export interface OfferedSocket {
  readonly listener: string;
  readonly socket: ListenSocket;
}

interface Offer extends OfferedSocket {
  /** A duplicate, ours until the session ends. */
  readonly fd: number;
}

export interface HandOverDeps {
  readonly epoch: number;
  readonly version: string;
  readonly logger: Logger;
  /** Those that listen now. */
  sockets(): readonly OfferedSocket[];
  /** The next process serves: admin goes, connections drain, the process ends. */
  drain(): void;
}

export class HandOver {
  readonly #deps: HandOverDeps;
  #listener: HandoverListener | null = null;
  /** As told to the session under way: a listener that goes meanwhile takes nothing away from it. */
  #offered: readonly Offer[] = [];
  #session: HandoverSession | null = null;
  #isOver = false;

  constructor(deps: HandOverDeps) {
    this.#deps = deps;
  }

  /** False when another process has the name. */
  start(name: string): boolean {
    const { logger } = this.#deps;
    this.#listener = listenForHandover(name, {
      onLine: (session, line) => this.#answer(session, line),
      onClose: (session) => this.#closed(session),
      onStranger: (peer) =>
        logger.warning('a process of another user asked for our sockets and was refused', {
          pid: peer?.pid ?? -1,
          uid: peer?.uid ?? -1,
        }),
    });
    return this.#listener !== null;
  }

  stop(): void {
    this.#listener?.stop();
    this.#listener = null;
  }

  #answer(session: HandoverSession, line: string): void {
    const request = parseHandoverRequest(line);
    if (request === null) return refuse(session, 'the request is not understood');
    if (this.#isOver) return refuse(session, 'this process is already being replaced');
    if (request.type !== 'hello' && session !== this.#session) return refuse(session, 'say hello first');
    switch (request.type) {
      case 'hello':
        return this.#greet(session, request.protocol, request.version, request.epoch);
      case 'sockets': {
        const some = this.#offered.slice(request.from, request.from + MAX_DESCRIPTORS_PER_MESSAGE);
        const sockets = some.map(({ listener, socket }) => ({
          listener,
          key: specKey(socket.spec),
          port: socket.port,
        }));
        send(
          session,
          { type: 'sockets', sockets },
          some.map(({ fd }) => fd),
        );
        return undefined;
      }
      case 'live':
        this.#isOver = true;
        for (const { socket } of this.#offered) socket.handOver();
        this.#deps.logger.info('the next process is live; draining', { pid: session.peer.pid });
        this.#deps.drain();
        send(session, { type: 'live' }, []);
        return this.stop();
    }
  }

  #greet(session: HandoverSession, protocol: number, version: string, epoch: number): void {
    const deps = this.#deps;
    if (protocol !== HANDOVER_PROTOCOL)
      return refuse(session, `it speaks version ${HANDOVER_PROTOCOL} of the handover, not ${protocol}`);
    if (epoch !== deps.epoch + 1) return refuse(session, `the epoch after ${deps.epoch} is not ${epoch}`);
    if (this.#session !== null) return refuse(session, 'another process is taking over');
    this.#session = session;
    this.#offered = deps.sockets().map((offer) => ({ ...offer, fd: offer.socket.duplicate() }));
    deps.logger.info('the next process takes the listening sockets', {
      pid: session.peer.pid,
      version,
      sockets: this.#offered.length,
    });
    send(
      session,
      { type: 'hello', version: deps.version, epoch: deps.epoch, sockets: this.#offered.length },
      [],
    );
  }

  #closed(session: HandoverSession): void {
    if (session !== this.#session) return;
    this.#session = null;
    for (const { fd } of this.#offered) libc().close(fd);
    this.#offered = [];
    if (this.#isOver) return;
    this.#deps.logger.warning('the next process went away before it was live; serving on', {
      pid: session.peer.pid,
    });
  }
}

function refuse(session: HandoverSession, reason: string): void {
  send(session, { type: 'refused', reason }, []);
}

/** A peer that does not read its answers gives up by itself. */
function send(session: HandoverSession, answer: HandoverAnswer, descriptors: readonly number[]): void {
  session.reply(JSON.stringify(answer), descriptors);
}
