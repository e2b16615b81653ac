/**
 * Hot restart as Envoy's users know it: processes of one base id replace each other by epoch, each taking
 * the listening sockets of the one before (docs/adr/0019). Counters start anew with each process.
 *
 *   epoch N                         epoch N + 1
 *   serves                          takes the sockets, gets its configuration
 *   serves                          live: both accept from the same queues
 *   admin closes, drains            admin opens
 *   ends
 */
import { writeFileSync } from 'node:fs';
import type { Logger, Random } from '@sluice/runtime';
import type { ListenSocket, ListenSpec } from '../workers/listen-socket.ts';
import { HandOver, type OfferedSocket } from './hand-over.ts';
import { TakeOver } from './take-over.ts';

export interface HotRestartOptions {
  readonly epoch: number;
  /** Null: any that is free. */
  readonly baseId: number | null;
  /** Where the base id is written to. */
  readonly baseIdPath: string | null;
}

export interface HotRestartDeps {
  readonly options: HotRestartOptions;
  readonly version: string;
  /** Processes of one user meet, others do not. */
  readonly uid: number;
  readonly logger: Logger;
  readonly random: Random;
}

/** What is asked of the process that is being replaced. */
export interface Replaceable {
  sockets(): readonly OfferedSocket[];
  drain(): void;
}

const DYNAMIC_ATTEMPTS = 64;
/** Envoy's base ids are 32 bits; names stay short this way. */
const DYNAMIC_BASE_IDS = 1_000_000;

export class HotRestart {
  readonly epoch: number;
  readonly #logger: Logger;
  readonly #handOver: HandOver;
  #takeOver: TakeOver | null = null;
  #replaceable: Replaceable = { sockets: () => [], drain: () => undefined };

  /** Throws when the epoch is taken: the caller asked for exactly this one. */
  constructor(deps: HotRestartDeps) {
    const { options, version, logger } = deps;
    this.epoch = options.epoch;
    this.#logger = logger;
    this.#handOver = new HandOver({
      epoch: options.epoch,
      version,
      logger,
      sockets: () => this.#replaceable.sockets(),
      drain: () => this.#replaceable.drain(),
    });
    const baseId = this.#occupy(deps);
    if (options.baseIdPath !== null) writeFileSync(options.baseIdPath, `${baseId}\n`);
    if (options.epoch > 0) this.#takeFromParent(deps, baseId);
  }

  /** Until this process is live, the one before answers for both. */
  get hasParent(): boolean {
    return this.#takeOver !== null;
  }

  /** From now on the next process may ask. */
  offer(replaceable: Replaceable): void {
    this.#replaceable = replaceable;
  }

  claim(listener: string, spec: ListenSpec): ListenSocket | null {
    return this.#takeOver?.claim(listener, spec) ?? null;
  }

  /** This process serves: the parent drains. */
  live(): void {
    const parent = this.#takeOver;
    if (parent === null) return;
    this.#takeOver = null;
    const unclaimed = parent.unclaimedCount;
    const isHeard = parent.finish();
    this.#logger.info(isHeard ? 'took over' : 'took over from a process that is gone', {
      epoch: this.epoch,
      parent: parent.parentPid,
      unclaimedSockets: unclaimed,
    });
  }

  stop(): void {
    this.#handOver.stop();
  }

  #occupy({ options, uid, random }: HotRestartDeps): number {
    if (options.baseId !== null) {
      if (this.#handOver.start(nameOf(uid, options.baseId, options.epoch))) return options.baseId;
      throw new Error(
        `another process is epoch ${options.epoch} of base id ${options.baseId}: give this one a --base-id of its own, or the next --restart-epoch`,
      );
    }
    for (let attempt = 0; attempt < DYNAMIC_ATTEMPTS; attempt++) {
      const baseId = Math.floor(random.next() * DYNAMIC_BASE_IDS);
      if (this.#handOver.start(nameOf(uid, baseId, options.epoch))) return baseId;
    }
    throw new Error('no base id is free');
  }

  #takeFromParent({ options, version, uid, logger }: HotRestartDeps, baseId: number): void {
    const taken = TakeOver.from(nameOf(uid, baseId, options.epoch - 1), version, options.epoch);
    if (typeof taken === 'string') {
      logger.warning('cannot take over from the process of the epoch before; starting as the first one', {
        epoch: options.epoch - 1,
        baseId,
        reason: taken,
      });
      return;
    }
    this.#takeOver = taken;
    logger.info('took the listening sockets of the process before', {
      parent: taken.parentPid,
      version: taken.parentVersion,
      sockets: taken.unclaimedCount,
    });
  }
}

function nameOf(uid: number, baseId: number, epoch: number): string {
  return `sluice-hot-restart-${uid}-${baseId}-${epoch}`;
}
