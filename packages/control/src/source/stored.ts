/**
 * From a written object to a stored one: completes metadata, keeps status and age, counts generations and
 * chooses what serves. Pure; the store decides whether a write happens at all.
 */
import {
  hasErrors,
  kindOf,
  storageApiVersion,
  type KubeObject,
  type ObjectMeta,
  type Origin,
  type Problem,
  type ResourceKey,
} from '@sluice/api';
import { ownMetadata, sameBody, statusIsContent } from './content.ts';
import type { StoredObject } from './store.ts';

export interface Written {
  readonly key: ResourceKey;
  readonly object: KubeObject;
  readonly origin: Origin;
  readonly problems: readonly Problem[];
  /** In place of the status that was there; absent keeps that. */
  readonly status?: unknown;
}

export interface CompletionRules {
  readonly withDefaults: (object: KubeObject) => KubeObject;
  readonly newUid: () => string;
  readonly wallMs: () => number;
}

/** The stored form of a write on top of what was there; `revision` is the one it will have. */
export function completeObject(
  before: StoredObject | null,
  written: Written,
  revision: number,
  rules: CompletionRules,
): StoredObject {
  const createdMs = before?.createdMs ?? rules.wallMs();
  const generation = nextGeneration(before, written.object);
  const info = kindOf(written.object);
  const object: KubeObject = {
    ...written.object,
    apiVersion: info === undefined ? written.object.apiVersion : storageApiVersion(info),
    metadata: completeMetadata(before, written, { createdMs, generation, revision, newUid: rules.newUid }),
  };
  if (!statusIsContent(object)) {
    delete object.status;
    const status = written.status ?? before?.object.status;
    if (status !== undefined) object.status = status;
  }
  const isValid = !hasErrors(written.problems);
  return {
    key: written.key,
    object,
    serving: isValid ? rules.withDefaults(object) : (before?.serving ?? null),
    problems: written.problems,
    origin: written.origin,
    generation,
    revision,
    createdMs,
  };
}

/** The same object with another status; no new generation. */
export function withStatus(before: StoredObject, status: unknown, revision: number): StoredObject {
  const renew = (object: KubeObject): KubeObject => {
    const next: KubeObject = {
      ...object,
      metadata: { ...object.metadata, resourceVersion: String(revision) },
      status,
    };
    if (status === undefined || status === null) delete next.status;
    return next;
  };
  return {
    ...before,
    object: renew(before.object),
    serving: before.serving && renew(before.serving),
    revision,
  };
}

/** The same object marked as being deleted, waiting for its finalizers to be removed. */
export function withDeletionTimestamp(before: StoredObject, wallMs: number, revision: number): StoredObject {
  const mark = (object: KubeObject): KubeObject => ({
    ...object,
    metadata: {
      ...object.metadata,
      deletionTimestamp: timestamp(wallMs),
      deletionGracePeriodSeconds: 0,
      resourceVersion: String(revision),
    },
  });
  return {
    ...before,
    object: mark(before.object),
    serving: before.serving && mark(before.serving),
    revision,
  };
}

export function timestamp(wallMs: number): string {
  return new Date(wallMs).toISOString().replace(/\.\d{3}Z$/, 'Z');
}

function nextGeneration(before: StoredObject | null, object: KubeObject): number {
  if (before === null) return 1;
  return sameBody(before.object, object) ? before.generation : before.generation + 1;
}

interface Bookkeeping {
  readonly createdMs: number;
  readonly generation: number;
  readonly revision: number;
  readonly newUid: () => string;
}

function completeMetadata(before: StoredObject | null, written: Written, known: Bookkeeping): ObjectMeta {
  const metadata: ObjectMeta = { name: written.key.name };
  if (written.key.namespace !== '') metadata.namespace = written.key.namespace;
  Object.assign(metadata, ownMetadata(written.object.metadata));
  if (written.object.metadata.generateName !== undefined) {
    metadata.generateName = written.object.metadata.generateName;
  }
  metadata.uid = before?.object.metadata.uid ?? known.newUid();
  metadata.generation = known.generation;
  metadata.resourceVersion = String(known.revision);
  metadata.creationTimestamp = timestamp(known.createdMs);
  const deletionTimestamp = before?.object.metadata.deletionTimestamp;
  if (deletionTimestamp !== undefined) {
    metadata.deletionTimestamp = deletionTimestamp;
    metadata.deletionGracePeriodSeconds = 0;
  }
  return metadata;
}
