/**
 * JSON patch (RFC 6902) over JSON pointers (RFC 6901): add, remove, replace, move, copy, test. All or nothing:
 * operations work on a copy, the first that fails throws and the input is as it was.
 */
import {
  forbiddenKeys,
  isJsonObject,
  jsonEqual,
  measure,
  PatchError,
  patchLimits,
  type Json,
} from './json.ts';

export interface JsonPatchOperation {
  readonly op: 'add' | 'remove' | 'replace' | 'move' | 'copy' | 'test';
  readonly path: string;
  readonly from?: string;
  readonly value?: Json;
}

const operations: ReadonlySet<string> = new Set(['add', 'remove', 'replace', 'move', 'copy', 'test']);

/** Applies a patch given as parsed JSON; throws PatchError naming the operation that cannot be done. */
export function jsonPatch(target: Json, patch: Json): Json {
  if (!Array.isArray(patch)) throw new PatchError('invalid', 'a JSON patch is a list of operations');
  if (patch.length > patchLimits.maxOperations) {
    throw new PatchError('too-large', `more than ${patchLimits.maxOperations} operations`);
  }
  measure(patch);
  let size = measure(target);
  let document = structuredClone(target);
  for (const [index, raw] of patch.entries()) {
    const operation = readOperation(raw, index);
    document = apply(document, operation, index);
    size += growthOf(document, operation);
    if (size > patchLimits.maxValues) {
      throw new PatchError('too-large', `more than ${patchLimits.maxValues} values after operation ${index}`);
    }
  }
  measure(document);
  return document;
}

/** RFC 6901: `/a~1b/0` is ["a/b", "0"]; the empty pointer is the whole document. */
export function parsePointer(pointer: string): readonly string[] {
  if (pointer === '') return [];
  if (!pointer.startsWith('/')) throw new PatchError('invalid', `"${pointer}" is not a JSON pointer`);
  return pointer
    .slice(1)
    .split('/')
    .map((step) => {
      if (/~(?![01])/.test(step)) throw new PatchError('invalid', `"${pointer}" is not a JSON pointer`);
      const name = step.replaceAll('~1', '/').replaceAll('~0', '~');
      if (forbiddenKeys.has(name)) throw new PatchError('invalid', `the key ${name} is refused`);
      return name;
    });
}

export function formatPointer(steps: readonly (string | number)[]): string {
  return steps.map((step) => `/${String(step).replaceAll('~', '~0').replaceAll('/', '~1')}`).join('');
}

function readOperation(raw: Json, index: number): JsonPatchOperation {
  const fail = (what: string) => new PatchError('invalid', `operation ${index} ${what}`);
  if (!isJsonObject(raw)) throw fail('is not an object');
  const { op, path, from } = raw;
  if (typeof op !== 'string' || !operations.has(op)) throw fail(`has no known op`);
  if (typeof path !== 'string') throw fail('has no path');
  const needsFrom = op === 'move' || op === 'copy';
  if (needsFrom && typeof from !== 'string') throw fail('has no from');
  const needsValue = op === 'add' || op === 'replace' || op === 'test';
  if (needsValue && !Object.hasOwn(raw, 'value')) throw fail('has no value');
  return raw as unknown as JsonPatchOperation;
}

function apply(document: Json, operation: JsonPatchOperation, index: number): Json {
  const at = parsePointer(operation.path);
  const where = `operation ${index} (${operation.op} ${operation.path})`;
  switch (operation.op) {
    case 'add':
      return add(document, at, structuredClone(operation.value as Json), where);
    case 'remove':
      return remove(document, at, where);
    case 'replace':
      read(document, at, where);
      return at.length === 0
        ? structuredClone(operation.value as Json)
        : replace(document, at, structuredClone(operation.value as Json), where);
    case 'copy': {
      const copied = structuredClone(read(document, parsePointer(operation.from ?? ''), where));
      return add(document, at, copied, where);
    }
    case 'move': {
      const from = parsePointer(operation.from ?? '');
      if (at.length > from.length && from.every((step, depth) => step === at[depth])) {
        throw new PatchError('invalid', `${where}: a value cannot be moved into itself`);
      }
      const moved = read(document, from, where);
      if (operation.from === operation.path) return document;
      return add(remove(document, from, where), at, moved, where);
    }
    case 'test':
      if (!jsonEqual(read(document, at, where), operation.value as Json)) {
        throw new PatchError('test-failed', `${where}: the value is another`);
      }
      return document;
  }
}

/** What an operation can have added at most, measured where it wrote. */
function growthOf(document: Json, operation: JsonPatchOperation): number {
  switch (operation.op) {
    case 'add':
    case 'replace':
      return measure(operation.value as Json);
    case 'copy':
      return measure(read(document, parsePointer(operation.from ?? ''), 'copy') ?? null);
    default:
      return 0;
  }
}

function read(document: Json, steps: readonly string[], where: string): Json {
  let value: Json | undefined = document;
  for (const step of steps) {
    value = child(value, step);
    if (value === undefined) throw new PatchError('not-found', `${where}: there is nothing at the path`);
  }
  return value;
}

function child(value: Json, step: string): Json | undefined {
  if (Array.isArray(value)) return isIndex(step) ? value[Number(step)] : undefined;
  if (isJsonObject(value) && Object.hasOwn(value, step)) return value[step];
  return undefined;
}

// RFC 6901 section 4: digits without leading zeros.
function isIndex(step: string): boolean {
  return /^(?:0|[1-9]\d{0,9})$/.test(step);
}

function parentOf(document: Json, steps: readonly string[], where: string): { parent: Json; last: string } {
  return { parent: read(document, steps.slice(0, -1), where), last: steps.at(-1) ?? '' };
}

function add(document: Json, steps: readonly string[], value: Json, where: string): Json {
  if (steps.length === 0) return value;
  const { parent, last } = parentOf(document, steps, where);
  if (Array.isArray(parent)) {
    const index = last === '-' ? parent.length : isIndex(last) ? Number(last) : -1;
    if (index < 0 || index > parent.length) throw new PatchError('not-found', `${where}: no such index`);
    parent.splice(index, 0, value);
  } else if (isJsonObject(parent)) {
    parent[last] = value;
  } else {
    throw new PatchError('not-found', `${where}: the parent is neither an object nor a list`);
  }
  return document;
}

function replace(document: Json, steps: readonly string[], value: Json, where: string): Json {
  const { parent, last } = parentOf(document, steps, where);
  if (Array.isArray(parent)) parent[Number(last)] = value;
  else if (isJsonObject(parent)) parent[last] = value;
  return document;
}

function remove(document: Json, steps: readonly string[], where: string): Json {
  if (steps.length === 0) throw new PatchError('invalid', `${where}: the whole document cannot be removed`);
  read(document, steps, where);
  const { parent, last } = parentOf(document, steps, where);
  if (Array.isArray(parent)) parent.splice(Number(last), 1);
  else if (isJsonObject(parent)) delete parent[last];
  return document;
}
