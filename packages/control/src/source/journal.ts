/**
 * What keeps the store's content: SQLite (`sqlite-journal.ts`), or nothing (`memoryJournal`). The store itself
 * answers every read from memory and decides every write; a journal only loads once and commits batches, so
 * that both stores have the same rules and reads go on when the disk is full.
 */
import type { ResourceKey } from '@sluice/api';
import type { StoredObject } from './store.ts';

export interface JournalBatch {
  /** Revision after the batch. */
  readonly revision: number;
  readonly puts: readonly StoredObject[];
  readonly deletes: readonly ResourceKey[];
}

export interface Journal {
  load(): { readonly revision: number; readonly objects: readonly StoredObject[] };
  /** Returns once the batch is durable, or throws `storage-full` with nothing written. */
  commit(batch: JournalBatch): void;
  close(): void;
}

export function memoryJournal(): Journal {
  return {
    load: () => ({ revision: 0, objects: [] }),
    commit: () => {},
    close: () => {},
  };
}
