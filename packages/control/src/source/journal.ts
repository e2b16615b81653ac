/**
 * What keeps the store's content: SQLite (`sqlite-store.ts`), or nothing (`memoryJournal`). The store itself
 * answers every read from memory and decides every write; a journal only loads once and commits batches, so
 * that both stores have the same rules and reads go on when the disk is full.
 */
import type { ResourceKey } from '@sluice/api';
import type { StoredObject, StoreChange, WatchedChange } from './store.ts';

export interface JournalBatch {
  /** Revision after the batch. */
  readonly revision: number;
  readonly puts: readonly StoredObject[];
  readonly deletes: readonly ResourceKey[];
  /** Kept, the last of them, for watches that come back. */
  readonly changes: readonly StoreChange[];
}

export interface Journal {
  load(): { readonly revision: number; readonly objects: readonly StoredObject[] };
  /** Returns once the batch is durable, or throws `state-unwritable` with nothing written. */
  commit(batch: JournalBatch): void;
  /** Null when what is kept does not reach back so far. */
  changesAfter(revision: number): readonly WatchedChange[] | null;
  close(): void;
}

export function memoryJournal(): Journal {
  return {
    load: () => ({ revision: 0, objects: [] }),
    commit: () => {},
    changesAfter: () => null,
    close: () => {},
  };
}
