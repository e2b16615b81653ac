/**
 * What of an object counts as its content. Writes equal in content are no-ops, content decides the generation,
 * and only a change that translation can see is announced as one (design §6, Status).
 *
 * Metadata that servers fill in is never content: a file saved from `get -o yaml` and applied again is equal.
 */
import { deepEquals } from 'bun';
import { groupOf, keyOf, type KubeObject, type ObjectMeta } from '@sluice/api';

/** Bookkeeping of clients; what it says is in the object already. */
const bookkeepingAnnotations: ReadonlySet<string> = new Set([
  'kubectl.kubernetes.io/last-applied-configuration',
  'sluice.dev/last-applied-configuration',
]);

/** Everything that the owner wrote but metadata and status: `spec`, or the members of kinds without one. */
export function bodyOf(object: KubeObject): Record<string, unknown> {
  const { apiVersion: _, kind: __, metadata: ___, status: ____, ...body } = object;
  return body;
}

/** Metadata as its owner wrote it, without what the server fills in. */
export function ownMetadata(metadata: ObjectMeta): Partial<ObjectMeta> {
  const own: Partial<ObjectMeta> = {};
  const { labels, annotations } = metadata;
  if (labels !== undefined && Object.keys(labels).length > 0) own.labels = labels;
  if (annotations !== undefined && Object.keys(annotations).length > 0) own.annotations = annotations;
  if (metadata.ownerReferences?.length) own.ownerReferences = metadata.ownerReferences;
  if (metadata.finalizers?.length) own.finalizers = metadata.finalizers;
  return own;
}

export function sameBody(a: KubeObject, b: KubeObject): boolean {
  return deepEquals(bodyOf(a), bodyOf(b));
}

export function sameContent(a: KubeObject, b: KubeObject): boolean {
  return (
    a.apiVersion === b.apiVersion &&
    a.metadata.deletionTimestamp === b.metadata.deletionTimestamp &&
    deepEquals(ownMetadata(a.metadata), ownMetadata(b.metadata)) &&
    sameBody(a, b) &&
    (!statusIsContent(b) || deepEquals(a.status ?? null, b.status ?? null))
  );
}

/** True when what translation reads of an object differs (`StoreChange.isSpecChange`). */
export function translatesDifferently(before: KubeObject, after: KubeObject): boolean {
  return (
    !deepEquals(before.metadata.labels ?? {}, after.metadata.labels ?? {}) ||
    !deepEquals(meaningfulAnnotations(before), meaningfulAnnotations(after)) ||
    !sameBody(before, after) ||
    !deepEquals(describingStatus(before), describingStatus(after))
  );
}

/** Kinds whose status describes an instance and comes with the object instead of from its observers. */
export function statusIsContent(object: KubeObject): boolean {
  return object.kind === 'Pod' && groupOf(object.apiVersion) === '';
}

function describingStatus(object: KubeObject): unknown {
  if (statusIsContent(object)) return object.status ?? null;
  if (keyOf(object).kind !== 'WorkloadEntry') return null;
  const conditions = (object.status as { conditions?: unknown } | undefined)?.conditions;
  if (!Array.isArray(conditions)) return null;
  return conditions.find((condition: { type?: unknown }) => condition?.type === 'Healthy')?.status ?? null;
}

function meaningfulAnnotations(object: KubeObject): Record<string, string> {
  const entries = Object.entries(object.metadata.annotations ?? {});
  return Object.fromEntries(entries.filter(([name]) => !bookkeepingAnnotations.has(name)));
}
