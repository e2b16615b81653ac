/** The store without a disk: for tests, and for looking at a set of resources without keeping it. */
import { memoryJournal } from './journal.ts';
import { ObjectStore, type ObjectStoreOptions } from './object-store.ts';

export function openMemoryStore(options: Omit<ObjectStoreOptions, 'journal'>): ObjectStore {
  return new ObjectStore({ ...options, journal: memoryJournal() });
}
