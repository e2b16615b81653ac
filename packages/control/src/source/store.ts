/**
 * The resource store: every object the mesh knows, whoever owns it, under one revision number.
 *
 * Folder, API and registrations all write here; the model reads here and nowhere else. A registration
 * is a WorkloadEntry (design §6, One service model) whose lease lives in the registry's own table, so
 * renewing it changes no revision. `source/sqlite-store.ts` keeps it in SQLite; `memory-store.ts` in
 * memory for tests; one shared test suite covers both.
 */
import type { KubeObject, Origin, Problem, ResourceKey } from '@sluice/api';

export interface StoredObject {
  readonly key: ResourceKey;
  /** As last written by its owner, defaults not applied; `metadata` completed by the store. */
  readonly object: KubeObject;
  /**
   * Last good generation, defaults applied: what translation uses. Null when no generation was ever
   * valid. Equal in content to `object` when that is valid.
   */
  readonly serving: KubeObject | null;
  /** Problems of the current generation; an error means `serving` is an older generation, or null. */
  readonly problems: readonly Problem[];
  readonly origin: Origin;
  readonly generation: number;
  /** Revision of the last write of any kind, as metadata.resourceVersion says it. */
  readonly revision: number;
  /** First time this key was seen with this uid: what "oldest wins" compares. */
  readonly createdMs: number;
}

export interface StoreChange {
  readonly type: 'put' | 'delete';
  readonly key: ResourceKey;
  readonly before: StoredObject | null;
  readonly after: StoredObject | null;
  /**
   * True when translation may be affected: content, labels or annotations changed, or the part of a status
   * that describes an instance (a Pod's, and the `Healthy` condition of a WorkloadEntry). False for other
   * status writes and for bookkeeping metadata.
   */
  readonly isSpecChange: boolean;
  readonly revision: number;
}

/** What a watch needs of a change: those from before a restart are kept in this form. */
export interface WatchedChange {
  readonly key: ResourceKey;
  /** Of a change from before a restart that was no deletion: metadata alone. */
  readonly before: Pick<StoredObject, 'object'> | null;
  readonly after: Pick<StoredObject, 'object'> | null;
  readonly revision: number;
}

export type WriteFailure =
  | { readonly code: 'conflict'; readonly message: string }
  | { readonly code: 'owned-elsewhere'; readonly message: string; readonly owner: Origin }
  | { readonly code: 'not-found'; readonly message: string }
  | { readonly code: 'already-exists'; readonly message: string }
  | { readonly code: 'invalid'; readonly message: string; readonly problems: readonly Problem[] }
  | { readonly code: 'state-unwritable'; readonly message: string };

export type WriteResult =
  | { readonly ok: true; readonly stored: StoredObject; readonly isChanged: boolean }
  | { readonly ok: false; readonly failure: WriteFailure };

export interface WriteOptions {
  readonly origin: Origin;
  /** Optimistic concurrency: the resourceVersion that must still hold. */
  readonly expectedRevision?: number;
  /** `create` fails when the key exists, `update` when it does not, `upsert` takes either. */
  readonly mode: 'create' | 'update' | 'upsert';
  readonly isDryRun?: boolean;
  /** Moves an object from its present owner to this origin (`apply --adopt`). */
  readonly adopt?: boolean;
  /** Status written in the same revision, so that an instance is never seen without its health. */
  readonly status?: unknown;
}

export interface ResourceStore {
  readonly revision: number;
  get(key: ResourceKey): StoredObject | null;
  /** Ordered by namespace and name. */
  list(group: string, kind: string, namespace?: string): readonly StoredObject[];
  all(): Iterable<StoredObject>;
  put(object: KubeObject, options: WriteOptions): WriteResult;
  /** A folder file's objects in one transaction: what the file no longer holds is deleted. */
  replaceFile(
    file: string,
    objects: readonly FolderObject[],
    problems: readonly Problem[],
  ): readonly WriteFailure[];
  /** Several files in one transaction, so that an object moved between them keeps its uid and age. */
  replaceFiles(files: readonly FolderFile[]): readonly WriteFailure[];
  /** Problems of each folder file as a whole, and refused second definitions; files without any are absent. */
  readonly fileProblems: ReadonlyMap<string, readonly Problem[]>;
  /** Files of which the store holds objects, those from before a restart included. */
  readonly files: readonly string[];
  delete(
    key: ResourceKey,
    options: { origin: Origin; expectedRevision?: number; isDryRun?: boolean },
  ): WriteResult;
  /** Writes only on difference; no new generation. */
  putStatus(key: ResourceKey, status: unknown): WriteResult;
  /** Many statuses in one transaction: a push that reaches every route costs one disk write. */
  putStatuses(writes: readonly StatusWrite[]): readonly WriteResult[];
  /** Called after commit, in revision order, never re-entrantly. */
  subscribe(listener: (changes: readonly StoreChange[]) => void): () => void;
  /** Changes after a revision for a watch, or null when the log no longer reaches back (410). */
  changesSince(revision: number): readonly WatchedChange[] | null;
  close(): void;
}

export interface StatusWrite {
  readonly key: ResourceKey;
  readonly status: unknown;
  /** Optimistic concurrency: the revision that must still hold. */
  readonly expectedRevision?: number;
}

/** What a folder file holds now. Error problems of the file itself keep what it held before. */
export interface FolderFile {
  readonly file: string;
  readonly objects: readonly FolderObject[];
  readonly problems: readonly Problem[];
}

export interface FolderObject {
  readonly object: KubeObject;
  readonly origin: Extract<Origin, { source: 'folder' }>;
  readonly problems: readonly Problem[];
}
