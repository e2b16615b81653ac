/**
 * Writes what becomes of registrations: the row that a restart begins from, and the WorkloadEntry that the model
 * reads. What the disk refuses holds in memory at once (unwritten-instances.ts) and is tried again at every check,
 * one at a time: the first that is refused again ends the round, however many instances wait.
 *
 * Rows go before entries, since a restart puts entries right by the rows and not the other way round.
 */
import type { ResourceKey } from '@sluice/api';
import type { Clock, Logger } from '@sluice/runtime';
import { hasErrorCode } from '../errors.ts';
import type { ResourceStore, WriteFailure } from '../source/store.ts';
import type { RegistrationRow, RegistryTable } from './registry-table.ts';
import { entryKey, UnwrittenInstances, type Unwritten } from './unwritten-instances.ts';
import { toWorkloadEntry, withHealth, type Health } from './workload-entry.ts';

export interface RegistrationWriterOptions {
  readonly store: ResourceStore;
  readonly table: RegistryTable;
  readonly clock: Clock;
  readonly log: Logger;
}

export class RegistrationWriter {
  readonly unwritten: UnwrittenInstances;
  readonly #options: RegistrationWriterOptions;

  constructor(options: RegistrationWriterOptions) {
    this.#options = options;
    this.unwritten = new UnwrittenInstances(options.store, (error) => {
      const words = error instanceof Error ? (error.stack ?? error.message) : String(error);
      options.log.error('a change could not be taken over', { error: words });
    });
  }

  /** Health of an instance that is registered: seen from now on, on the disk as soon as it takes it. */
  health(row: RegistrationRow, health: Health): void {
    const { instance, registration } = row;
    const sinceWallMs = this.#options.clock.wallMs();
    const key = entryKey(registration);
    this.#settleOrHold({ instance, key, row, health, forgetsPorts: false, sinceWallMs });
  }

  /** An instance is gone: not seen from now on. */
  gone(row: RegistrationRow, forgetsPorts: boolean): void {
    const { instance, registration } = row;
    const sinceWallMs = this.#options.clock.wallMs();
    this.#settleOrHold({
      instance,
      key: entryKey(registration),
      row,
      health: null,
      forgetsPorts,
      sinceWallMs,
    });
  }

  /** An entry whose registration is on the disk no more: the process ended between the two. */
  orphan(instance: string, key: ResourceKey): void {
    const sinceWallMs = this.#options.clock.wallMs();
    this.#settleOrHold({ instance, key, row: null, health: null, forgetsPorts: false, sinceWallMs });
  }

  /** Holds in memory what is known to be refused. */
  hold(unwritten: Unwritten, reason: string): void {
    const { instance, health } = unwritten;
    const what = health === null ? 'the end of a registration' : 'the health of an instance';
    // Told once: it is tried several times a second.
    if (this.unwritten.get(instance) === null) {
      const message = `${what} could not be written; it holds in memory, and is written when the disk takes it`;
      this.#options.log.error(message, { instance, reason });
    }
    this.unwritten.set(unwritten);
  }

  /** To be called now and then: writes what waits. */
  retry(): void {
    const { log } = this.#options;
    for (const waiting of this.unwritten.all()) {
      const failure = this.#write(waiting);
      if (failure?.code === 'state-unwritable') return;
      if (failure !== null)
        log.error('an instance could not be written', {
          instance: waiting.instance,
          reason: failure.message,
        });
      this.unwritten.settle(waiting.instance);
      if (this.unwritten.size === 0) log.info('what is known of instances is on disk again', {});
    }
  }

  /** The entry with its health in one revision. One that somebody else took over keeps its content. */
  putEntry({ instance, registration }: RegistrationRow, health: Health, wallMs: number): WriteFailure | null {
    const { store } = this.#options;
    const key = entryKey(registration);
    const present = store.get(key);
    const status = withHealth(present?.object.status, health, wallMs);
    const isOurs = present === null || present.origin.source === 'registration';
    const written = isOurs
      ? store.put(toWorkloadEntry(registration), {
          origin: { source: 'registration', instance },
          mode: 'upsert',
          status,
        })
      : store.putStatus(key, status);
    return written.ok ? null : written.failure;
  }

  /** The row of a registration; null when it is on the disk. */
  putRow(row: RegistrationRow): WriteFailure | null {
    return refusalOf(() => this.#options.table.put(row));
  }

  #settleOrHold(unwritten: Unwritten): void {
    const failure = this.#write(unwritten);
    if (failure?.code === 'state-unwritable') return this.hold(unwritten, failure.message);
    if (failure !== null) {
      const { instance } = unwritten;
      this.#options.log.error('an instance could not be written', { instance, reason: failure.message });
    }
    this.unwritten.settle(unwritten.instance);
  }

  #write({ instance, key, row, health, forgetsPorts, sinceWallMs }: Unwritten): WriteFailure | null {
    const { store, table } = this.#options;
    if (health !== null) {
      if (row === null) return null;
      return this.putRow(row) ?? this.putEntry(row, health, sinceWallMs);
    }
    let isPresent = true;
    if (row !== null) {
      const full = refusalOf(() => (isPresent = table.delete(instance, row.tokenHash, forgetsPorts)));
      if (full !== null) return full;
    }
    // Registered anew meanwhile, with another control plane: what this one judged is not there any more.
    if (!isPresent) return null;
    const deleted = store.delete(key, { origin: { source: 'registration', instance } });
    // Not there, or somebody else's by now: nothing is left to write.
    return deleted.ok || deleted.failure.code !== 'state-unwritable' ? null : deleted.failure;
  }
}

/** Runs a write of the table; what a full disk refuses is an answer here and no exception. */
export function refusalOf(work: () => void): WriteFailure | null {
  try {
    work();
    return null;
  } catch (error) {
    if (!hasErrorCode(error, 'state-unwritable')) throw error;
    return { code: 'state-unwritable', message: error.message };
  }
}
