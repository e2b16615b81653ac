/** What other packages may use of @sluice/control. */
export * from './source/store.ts';
export { openMemoryStore } from './source/memory-store.ts';
export type { Admission, ObjectStoreOptions } from './source/object-store.ts';
export { openSqliteStore } from './source/sqlite-store.ts';
export { openStateFile, StateFileError, type StateFile } from './source/state-file.ts';
export type * from './registry/registry.ts';
export type * from './status/proxy-state.ts';
