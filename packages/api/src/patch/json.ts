/**
 * JSON values and the limits patches keep: a patch comes from the network, so its depth, size and the keys it may
 * touch are bounded before anything is built from it.
 */

export type Json = null | boolean | number | string | Json[] | JsonObject;
export interface JsonObject {
  [key: string]: Json;
}

export const patchLimits = {
  /** Levels of nesting in a document or patch. */
  maxDepth: 64,
  /** Operations of one JSON patch. */
  maxOperations: 10_000,
  /** Values in the result, so that copies cannot multiply without end. */
  maxValues: 200_000,
} as const;

/** Names through which an object's prototype could be reached. */
export const forbiddenKeys: ReadonlySet<string> = new Set(['__proto__', 'constructor', 'prototype']);

export class PatchError extends Error {
  override readonly name = 'PatchError';
  /** `test-failed` is the one outcome callers tell apart; the rest is a bad request. */
  readonly code: 'invalid' | 'not-found' | 'test-failed' | 'too-large';
  constructor(code: PatchError['code'], message: string) {
    super(message);
    this.code = code;
  }
}

export function isJsonObject(value: Json | undefined): value is JsonObject {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

/** Deep equality of JSON; numbers by value, members in any order. */
export function jsonEqual(a: Json | undefined, b: Json | undefined): boolean {
  if (a === b) return true;
  if (Array.isArray(a)) {
    return Array.isArray(b) && a.length === b.length && a.every((item, index) => jsonEqual(item, b[index]));
  }
  if (!isJsonObject(a) || !isJsonObject(b)) return false;
  const keys = Object.keys(a);
  return (
    keys.length === Object.keys(b).length &&
    keys.every((key) => Object.hasOwn(b, key) && jsonEqual(a[key], b[key]))
  );
}

/** Checks depth, number of values and keys; returns the number of values. */
export function measure(value: Json, depth = 0): number {
  if (depth > patchLimits.maxDepth) {
    throw new PatchError('too-large', `nested deeper than ${patchLimits.maxDepth} levels`);
  }
  if (typeof value !== 'object' || value === null) return 1;
  let values = 1;
  for (const [key, member] of Object.entries(value)) {
    if (forbiddenKeys.has(key)) throw new PatchError('invalid', `the key ${key} is refused`);
    values += measure(member, depth + 1);
    if (values > patchLimits.maxValues) {
      throw new PatchError('too-large', `more than ${patchLimits.maxValues} values`);
    }
  }
  return values;
}

/** A member that is really there, not inherited. */
export function memberOf(object: JsonObject, key: string): Json | undefined {
  return Object.hasOwn(object, key) ? object[key] : undefined;
}
