/** What other packages may use of @sluice/control. */
export * from './source/store.ts';
export { openMemoryStore } from './source/memory-store.ts';
export type { Admission, ObjectStoreOptions } from './source/object-store.ts';
export { openSqliteStore } from './source/sqlite-store.ts';
export { openStateFile, type StateFile } from './source/state-file.ts';
export { backUpState, restoreState, type BackupSummary } from './source/backup.ts';
export { loadMeshConfig } from './source/mesh-config.ts';
export { admission, readResourceText } from './source/admission.ts';
export type * from './registry/registry.ts';
export type * from './status/proxy-state.ts';
export type * from './serve/identity-views.ts';
export type * from './serve/mesh-views.ts';
export type * from './serve/mesh-serving.ts';
export { controlErrors, hasErrorCode, isControlError, type ControlErrorCode } from './errors.ts';
export { controlUsage, parseControlArgs, type ControlArgs, type ParsedControlArgs } from './control-args.ts';
export { startControl, type ControlDependencies, type ControlOptions, type RunningControl } from './stack.ts';
export { runControl, type ControlProcess } from './main.ts';
