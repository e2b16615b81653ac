/**
 * What `kubectl apply` does: what the last apply wrote and this one no longer writes is removed, what this one
 * writes is set, and what others wrote in between stays. Lists are replaced whole, as for every kind without a
 * strategic merge schema.
 */
import type { KubeObject } from '../object.ts';
import { isJsonObject, jsonEqual, measure, memberOf, type Json, type JsonObject } from './json.ts';
import { mergePatch } from './merge-patch.ts';

export const lastAppliedAnnotation = 'kubectl.kubernetes.io/last-applied-configuration';

/** Fields of the server; an apply neither removes nor sets them. */
const serverMetadata = [
  'uid',
  'generation',
  'resourceVersion',
  'creationTimestamp',
  'managedFields',
  'selfLink',
];

/** The merge patch from `live` to what applying `modified` over `original` asks for. */
export function threeWayMergePatch(original: Json | undefined, modified: Json, live: Json): Json {
  measure(modified);
  if (!isJsonObject(modified)) return modified;
  const was = isJsonObject(original) ? original : {};
  const is = isJsonObject(live) ? live : {};
  const patch: JsonObject = {};
  for (const key of Object.keys(was)) {
    if (memberOf(modified, key) === undefined && memberOf(is, key) !== undefined) patch[key] = null;
  }
  for (const [key, wanted] of Object.entries(modified)) {
    const present = memberOf(is, key);
    if (wanted === null) {
      if (present !== undefined) patch[key] = null;
    } else if (isJsonObject(wanted) && isJsonObject(present)) {
      const nested = threeWayMergePatch(memberOf(was, key), wanted, present);
      if (isJsonObject(nested) && Object.keys(nested).length > 0) patch[key] = nested;
    } else if (!jsonEqual(wanted, present)) {
      patch[key] = wanted;
    }
  }
  return patch;
}

/** The object with the annotation that the next apply compares with. */
export function withLastApplied(object: KubeObject): KubeObject {
  const plain = withoutSecrets(withoutServerFields(object));
  return {
    ...object,
    metadata: {
      ...object.metadata,
      annotations: { ...object.metadata.annotations, [lastAppliedAnnotation]: `${JSON.stringify(plain)}\n` },
    },
  };
}

/** Which entries a Secret had is all that the next apply must know; kubectl keeps a copy of their content here. */
function withoutSecrets(object: KubeObject): KubeObject {
  const { data } = object;
  if (object.kind !== 'Secret' || typeof data !== 'object' || data === null) return object;
  return { ...object, data: Object.fromEntries(Object.keys(data).map((name) => [name, ''])) };
}

/** What the last apply wrote, or undefined where there was none or the annotation does not hold an object. */
export function lastApplied(live: KubeObject): JsonObject | undefined {
  const text = live.metadata.annotations?.[lastAppliedAnnotation];
  if (text === undefined) return undefined;
  try {
    const parsed = JSON.parse(text) as Json;
    measure(parsed);
    return isJsonObject(parsed) ? parsed : undefined;
  } catch {
    // Somebody edited the annotation: without it nothing is removed, which is the harmless reading.
    return undefined;
  }
}

/** The object that results from applying `modified` to `live`; both stay as they are. */
export function applyObject(modified: KubeObject, live: KubeObject): KubeObject {
  const annotated = withLastApplied(modified);
  const wanted = asJson(withoutServerFields(annotated, false));
  const patch = threeWayMergePatch(lastApplied(live), wanted, asJson(live));
  return mergePatch(asJson(live), patch) as unknown as KubeObject;
}

/** A copy without status, server metadata and the annotation itself. */
function withoutServerFields(object: KubeObject, dropAnnotation = true): KubeObject {
  const { status: _status, ...rest } = object;
  const metadata: Record<string, unknown> = { ...object.metadata };
  for (const field of serverMetadata) delete metadata[field];
  if (dropAnnotation && object.metadata.annotations !== undefined) {
    const { [lastAppliedAnnotation]: _last, ...annotations } = object.metadata.annotations;
    metadata['annotations'] = annotations;
  }
  return { ...rest, metadata: metadata as unknown as KubeObject['metadata'] };
}

/** The same content as plain JSON: members without a value are gone. */
function asJson(object: KubeObject): Json {
  return JSON.parse(JSON.stringify(object)) as Json;
}
