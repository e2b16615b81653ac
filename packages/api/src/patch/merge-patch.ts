/**
 * JSON merge patch (RFC 7396): objects are merged member by member, null removes, everything else replaces.
 * The inputs are never changed; what the patch does not touch is shared with the result.
 */
import { isJsonObject, jsonEqual, measure, memberOf, type Json, type JsonObject } from './json.ts';

/** Applies `patch`; throws PatchError when it is too deep, too large or touches a forbidden key. */
export function mergePatch(target: Json | undefined, patch: Json): Json {
  measure(patch);
  return merge(target, patch);
}

// RFC 7396 section 2, the MergePatch function.
function merge(target: Json | undefined, patch: Json): Json {
  if (!isJsonObject(patch)) return patch;
  const result: JsonObject = isJsonObject(target) ? { ...target } : {};
  for (const [key, change] of Object.entries(patch)) {
    if (change === null) delete result[key];
    else result[key] = merge(memberOf(result, key), change);
  }
  return result;
}

/**
 * The merge patch that turns `before` into `after`. RFC 7396 cannot set a member to null, so members that are
 * null in `after` count as absent: `mergePatch(before, diff)` equals `after` without its null members.
 */
export function diffMergePatch(before: Json, after: Json): Json {
  if (!isJsonObject(before) || !isJsonObject(after)) return after;
  const patch: JsonObject = {};
  for (const key of Object.keys(before)) {
    const next = memberOf(after, key);
    if (next === undefined || next === null) patch[key] = null;
  }
  for (const [key, next] of Object.entries(after)) {
    if (next === null) continue;
    const previous = memberOf(before, key);
    if (isJsonObject(previous) && isJsonObject(next)) {
      const nested = diffMergePatch(previous, next);
      if (isJsonObject(nested) && Object.keys(nested).length > 0) patch[key] = nested;
    } else if (!jsonEqual(previous, next)) {
      patch[key] = next;
    }
  }
  return patch;
}
