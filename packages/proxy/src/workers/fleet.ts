/**
 * The data loops: starts N of them, gives each the same configuration, and replaces one that crashes with
 * the same listening sockets, so that clients wait in the queue for a moment instead of being refused.
 *
 * The fleet remembers what is live (the messages themselves, not copies) to bring a new loop up to date.
 */
import type { Logger, MetricsAggregator, SeriesDescriptor } from '@sluice/runtime';
import { reclaim } from '../cluster/shared-limits.ts';
import type { FromLoop, LoopInit, LoopReport, ToLoop } from '../data-loop.ts';
import { LiveMessages } from './live-messages.ts';
import type { ListenSocket } from './listen-socket.ts';
import { PostQueue } from './post-queue.ts';

/** One loop as the fleet sees it: a Worker, or a stand-in in tests. */
export interface LoopPort {
  post(message: ToLoop): void;
  onMessage: (message: FromLoop) => void;
  /** The loop is gone, wanted or not. */
  onExit: (reason: string) => void;
  terminate(): void;
}

export interface FleetOptions {
  readonly concurrency: number;
  readonly spawn: (index: number) => LoopPort;
  readonly init: (index: number, share: SharedArrayBuffer) => LoopInit;
  readonly limitsTotal: SharedArrayBuffer;
  readonly limitSlotsUsed: () => number;
  readonly metrics: MetricsAggregator;
  readonly logger: Logger;
  readonly nowMs: () => number;
  readonly later: (run: () => void, delayMs: number) => void;
  /** In a turn of its own: a loop that is fed while the rest of an update is decoded shares the core with that. */
  readonly soon: (run: () => void) => void;
  readonly onAccessLog: (message: FromLoop & { kind: 'accessLog' }, taken: (bytes: number) => void) => void;
  readonly writeLog: (line: string) => void;
  readonly onReady: () => void;
}

interface Member {
  readonly port: LoopPort;
  readonly queue: PostQueue;
  readonly share: SharedArrayBuffer;
  readonly startedMs: number;
  isReady: boolean;
  isDrained: boolean;
  report: { id: number; resolve: (report: LoopReport | null) => void } | null;
}

/** A loop that lived this long crashed by accident; one that did not is restarted with a pause. */
const healthyLifeMs = 10_000;
const restartPauseMs = 1_000;

export class Fleet {
  readonly #options: FleetOptions;
  readonly #members: (Member | null)[] = [];
  readonly #live = new LiveMessages();
  readonly #sockets = new Map<string, ListenSocket[]>();
  #isStopping = false;
  #isDraining = false;
  #onDrained: (() => void) | null = null;
  #lastReport = 0;

  constructor(options: FleetOptions) {
    this.#options = options;
  }

  start(): void {
    for (let index = 0; index < this.#options.concurrency; index++) this.#spawn(index);
  }

  get isReady(): boolean {
    return this.#members.length > 0 && this.#members.every((member) => member?.isReady === true);
  }

  /** To all loops, and to those that start later. */
  send(message: ToLoop): void {
    this.#live.remember(message);
    for (const member of this.#members) member?.queue.push(message);
  }

  /** The listener's sockets, in place of those it had. */
  listen(listener: string, sockets: readonly ListenSocket[]): void {
    this.#sockets.set(listener, [...sockets]);
    for (const member of this.#members) if (member !== null) this.#handOut(member, listener, sockets);
  }

  unlisten(listener: string): void {
    this.#sockets.delete(listener);
  }

  /** What each loop reports; loops that are restarting are left out. */
  async report(): Promise<readonly LoopReport[]> {
    const id = ++this.#lastReport;
    const reports = await Promise.all(
      this.#members.map((member) => {
        if (member === null || !member.isReady) return null;
        member.report?.resolve(null);
        const { promise, resolve } = Promise.withResolvers<LoopReport | null>();
        member.report = { id, resolve };
        member.queue.push({ kind: 'report', id });
        return promise;
      }),
    );
    return reports.filter((report) => report !== null);
  }

  drain(afterMs: number, mayWait: boolean, onDrained: () => void): void {
    this.#isDraining = true;
    this.#onDrained = onDrained;
    for (const member of this.#members) member?.queue.push({ kind: 'drain', afterMs, mayWait });
    this.#checkDrained();
  }

  stop(): void {
    this.#isStopping = true;
    for (const member of this.#members) {
      member?.queue.close();
      member?.port.post({ kind: 'stop' });
      member?.port.terminate();
    }
  }

  #spawn(index: number): void {
    const share = new SharedArrayBuffer(this.#options.limitsTotal.byteLength);
    const port = this.#options.spawn(index);
    const queue = new PostQueue((message) => port.post(message), this.#options.nowMs, this.#options.soon);
    const member: Member = {
      port,
      queue,
      share,
      startedMs: this.#options.nowMs(),
      isReady: false,
      isDrained: false,
      report: null,
    };
    this.#members[index] = member;
    port.onMessage = (message) => this.#receive(index, member, message);
    port.onExit = (reason) => this.#exited(index, member, reason);
    port.post(this.#options.init(index, share));
    for (const message of this.#live.inOrder()) queue.push(message);
    for (const [listener, sockets] of this.#sockets) this.#handOut(member, listener, sockets);
  }

  #handOut(member: Member, listener: string, sockets: readonly ListenSocket[]): void {
    for (const socket of sockets) member.queue.push({ kind: 'listen', listener, fd: socket.duplicate() });
  }

  #receive(index: number, member: Member, message: FromLoop): void {
    const { logger, metrics } = this.#options;
    switch (message.kind) {
      case 'ready':
        member.isReady = true;
        return this.#options.onReady();
      case 'taken':
        return member.queue.taken();
      case 'drained':
        member.isDrained = true;
        return this.#checkDrained();
      case 'log':
        return this.#options.writeLog(message.line);
      case 'series':
        return metrics.add(sourceName(index), message.series as SeriesDescriptor);
      case 'seriesRemoved':
        return metrics.remove(sourceName(index), message.id);
      case 'failed':
        return logger.error('a data loop could not apply a resource', {
          resource: message.resource,
          error: message.message,
        });
      case 'accessLog':
        return this.#options.onAccessLog(message, (bytes) => {
          member.port.post({ kind: 'accessLogTaken', path: message.path, bytes });
        });
      case 'report': {
        const waiting = member.report;
        if (waiting === null || waiting.id !== message.id) return;
        member.report = null;
        return waiting.resolve(message.report);
      }
    }
  }

  #exited(index: number, member: Member, reason: string): void {
    if (this.#members[index] !== member) return;
    this.#members[index] = null;
    member.queue.close();
    member.report?.resolve(null);
    reclaim(this.#options.limitsTotal, member.share, this.#options.limitSlotsUsed());
    this.#options.metrics.removeSource(sourceName(index));
    if (this.#isStopping) return;
    this.#checkDrained();
    if (this.#isDraining) return;
    this.#options.logger.critical('a data loop died; its connections are lost, a new one takes over', {
      loop: index,
      reason,
    });
    const lived = this.#options.nowMs() - member.startedMs;
    const pauseMs = lived < healthyLifeMs ? restartPauseMs : 0;
    this.#options.later(() => {
      if (!this.#isStopping && !this.#isDraining) this.#spawn(index);
    }, pauseMs);
  }

  #checkDrained(): void {
    if (!this.#isDraining || this.#onDrained === null) return;
    if (this.#members.some((member) => member !== null && !member.isDrained)) return;
    const done = this.#onDrained;
    this.#onDrained = null;
    done();
  }
}

function sourceName(index: number): string {
  return `loop${index}`;
}
