/**
 * create, update, patch, delete and the status subresource: from a request to one write of the store. What the
 * store refuses becomes an ApiError with all its reasons; a write that is only questionable goes through and its
 * warnings travel in `Warning` headers, which kubectl and our command line print.
 */
import {
  formatProblem,
  groupOf,
  jsonPatch,
  mergePatch,
  PatchError,
  servesVersion,
  type Json,
  type KubeObject,
  type ResourceKey,
} from '@sluice/api';
import type { ResourceStore, WriteOptions, WriteResult } from '../../source/store.ts';
import { inVersion, keyOfPath, selectObjects } from './read.ts';
import { apiVersionOf, type ResourcePath } from './resource-path.ts';
import { readSelection } from './selection.ts';
import { ApiError, successBody, writeError, type StatusBody } from './status-body.ts';

export interface Written {
  readonly code: 200 | 201;
  readonly body: KubeObject | StatusBody;
  readonly warnings: readonly string[];
}

const origin: WriteOptions['origin'] = { source: 'api' };
const nameAlphabet = 'bcdfghjklmnpqrstvwxz2456789';
const generatedSuffixLength = 5;
const generateAttempts = 8;

export function createObject(
  store: ResourceStore,
  path: ResourcePath,
  body: unknown,
  query: URLSearchParams,
): Written {
  const isDryRun = readDryRun(query);
  const object = checkObject(body, path, undefined);
  const prefix = object.metadata.generateName;
  const isGenerated = (object.metadata.name ?? '') === '' && prefix !== undefined && prefix !== '';
  if (object.metadata.resourceVersion)
    throw new ApiError(400, 'resourceVersion must not be set on a new object');
  for (let attempt = 1; ; attempt++) {
    const named = isGenerated ? withName(object, `${prefix}${randomSuffix()}`) : object;
    requireName(named);
    const result = store.put(named, { origin, mode: 'create', isDryRun, adopt: isAdopting(query) });
    const isTaken = !result.ok && result.failure.code === 'already-exists';
    if (isGenerated && isTaken && attempt < generateAttempts) continue;
    return toWritten(result, path, named.metadata.name, 201);
  }
}

export function updateObject(
  store: ResourceStore,
  path: ResourcePath,
  name: string,
  body: unknown,
  query: URLSearchParams,
): Written {
  const isDryRun = readDryRun(query);
  const object = checkObject(body, path, name);
  checkUid(store, keyOfPath(path, name), object.metadata.uid);
  const expected = revisionOf(object);
  if (path.subresource === 'status') return writeStatus(store, path, name, object, expected, isDryRun);
  const result = store.put(object, {
    origin,
    mode: 'update',
    isDryRun,
    adopt: isAdopting(query),
    ...(expected === undefined ? {} : { expectedRevision: expected }),
  });
  return toWritten(result, path, name, 200);
}

export type PatchType = 'application/merge-patch+json' | 'application/json-patch+json';

export function patchObject(
  store: ResourceStore,
  path: ResourcePath,
  name: string,
  patch: unknown,
  type: PatchType,
  query: URLSearchParams,
): Written {
  const stored = store.get(keyOfPath(path, name));
  if (stored === null) throw notFound(path, name);
  const target = structuredClone(inVersion(stored.object, apiVersionOf(path))) as unknown as Json;
  let patched: Json;
  try {
    patched =
      type === 'application/json-patch+json'
        ? jsonPatch(target, patch as Json)
        : mergePatch(target, patch as Json);
  } catch (error) {
    if (!(error instanceof PatchError)) throw error;
    throw new ApiError(
      error.code === 'invalid' || error.code === 'too-large' ? 400 : 422,
      `the patch cannot be applied: ${error.message}`,
    );
  }
  return updateObject(store, path, name, patched, query);
}

export function deleteObject(
  store: ResourceStore,
  path: ResourcePath,
  name: string,
  body: unknown,
  query: URLSearchParams,
): Written {
  const key = keyOfPath(path, name);
  const { uid, revision, isDryRun } = readDeleteOptions(body, query);
  checkUid(store, key, uid);
  const result = store.delete(key, {
    origin,
    isDryRun,
    ...(revision === undefined ? {} : { expectedRevision: revision }),
  });
  if (!result.ok) throw writeError(result.failure, key, path.info.plural);
  const { object } = result.stored;
  if (object.metadata.deletionTimestamp !== undefined)
    return { code: 200, body: inVersion(object, apiVersionOf(path)), warnings: [] };
  const details = { name, group: path.info.group, kind: path.info.plural };
  return {
    code: 200,
    body: successBody(object.metadata.uid === undefined ? details : { ...details, uid: object.metadata.uid }),
    warnings: [],
  };
}

/** All or nothing: one object that belongs to a file refuses the whole request before anything is deleted. */
export function deleteCollection(
  store: ResourceStore,
  path: ResourcePath,
  body: unknown,
  query: URLSearchParams,
): Written {
  const { isDryRun } = readDeleteOptions(body, query);
  const selection = readSelection(query, path.namespace);
  const keys = selectObjects(store, path, selection).flatMap((object) => {
    const key = { ...keyOfPath(path, object.metadata.name), namespace: object.metadata.namespace ?? '' };
    return store.get(key) === null ? [] : [key];
  });
  for (const key of keys) {
    const result = store.delete(key, { origin, isDryRun: true });
    if (!result.ok) throw writeError(result.failure, key, path.info.plural);
  }
  for (const key of isDryRun ? [] : keys) {
    const result = store.delete(key, { origin });
    if (!result.ok) throw writeError(result.failure, key, path.info.plural);
  }
  return { code: 200, body: successBody({ group: path.info.group, kind: path.info.plural }), warnings: [] };
}

function writeStatus(
  store: ResourceStore,
  path: ResourcePath,
  name: string,
  object: KubeObject,
  expectedRevision: number | undefined,
  isDryRun: boolean,
): Written {
  const key = keyOfPath(path, name);
  const stored = store.get(key);
  if (stored === null) throw notFound(path, name);
  if (isDryRun) {
    return {
      code: 200,
      body: inVersion({ ...stored.object, status: object.status }, apiVersionOf(path)),
      warnings: [],
    };
  }
  const write = {
    key,
    status: object.status,
    ...(expectedRevision === undefined ? {} : { expectedRevision }),
  };
  const [result] = store.putStatuses([write]);
  if (result === undefined) throw notFound(path, name);
  return toWritten(result, path, name, 200);
}

function toWritten(result: WriteResult, path: ResourcePath, name: string, code: 200 | 201): Written {
  if (!result.ok) throw writeError(result.failure, keyOfPath(path, name), path.info.plural);
  return {
    code,
    body: inVersion(result.stored.object, apiVersionOf(path)),
    warnings: result.stored.problems.map(formatProblem),
  };
}

/** The body as an object of this path. Throws ApiError 400 when it says it is something else. */
function checkObject(body: unknown, path: ResourcePath, name: string | undefined): KubeObject {
  if (!isMapping(body)) throw new ApiError(400, 'the request body is not an object');
  const metadata = body['metadata'] ?? {};
  if (!isMapping(metadata)) throw new ApiError(400, 'metadata is not an object');
  const { apiVersion = apiVersionOf(path), kind = path.info.kind } = body;
  if (
    typeof apiVersion !== 'string' ||
    groupOf(apiVersion) !== path.info.group ||
    !servesVersion(path.info, apiVersion)
  ) {
    throw new ApiError(
      400,
      `apiVersion ${String(apiVersion)} does not fit the path, which means ${apiVersionOf(path)}`,
    );
  }
  if (kind !== path.info.kind)
    throw new ApiError(400, `kind ${String(kind)} does not fit the path, which means ${path.info.kind}`);
  const named = metadata['name'] ?? name;
  if (name !== undefined && named !== name) {
    throw new ApiError(400, `the name of the object (${String(named)}) is not the one of the path (${name})`);
  }
  const namespace = checkNamespace(metadata['namespace'], path);
  return {
    ...body,
    apiVersion,
    kind,
    metadata: {
      ...metadata,
      ...(named === undefined ? {} : { name: named }),
      ...(namespace === undefined ? {} : { namespace }),
    },
  } as KubeObject;
}

function checkNamespace(written: unknown, path: ResourcePath): string | undefined {
  if (!path.info.namespaced) {
    if (written !== undefined && written !== '')
      throw new ApiError(400, `${path.info.kind} is not in a namespace`);
    return undefined;
  }
  const namespace = path.namespace ?? (written === undefined || written === '' ? 'default' : written);
  if (written !== undefined && written !== '' && written !== namespace) {
    throw new ApiError(
      400,
      `the namespace of the object (${String(written)}) is not the one of the path (${String(namespace)})`,
    );
  }
  if (typeof namespace !== 'string') throw new ApiError(400, 'metadata.namespace is not a text');
  return namespace;
}

function requireName(object: KubeObject): void {
  if (typeof object.metadata.name === 'string' && object.metadata.name !== '') return;
  throw new ApiError(422, 'metadata.name: a name, or metadata.generateName, is required', {
    causes: [
      { reason: 'FieldValueRequired', message: 'a name or generateName is required', field: 'metadata.name' },
    ],
  });
}

function checkUid(store: ResourceStore, key: ResourceKey, uid: string | undefined): void {
  const present = store.get(key)?.object.metadata.uid;
  if (uid === undefined || uid === '' || present === undefined || present === uid) return;
  throw new ApiError(409, `the object was replaced by another of the same name (uid ${present}, not ${uid})`);
}

function revisionOf(object: KubeObject): number | undefined {
  const text = object.metadata.resourceVersion;
  if (text === undefined || text === '') return undefined;
  if (!/^\d{1,15}$/.test(text))
    throw new ApiError(400, `resourceVersion "${text}" is not one of this server's`);
  return Number(text);
}

function readDryRun(query: URLSearchParams): boolean {
  const values = query.getAll('dryRun');
  if (values.some((value) => value !== 'All' && value !== ''))
    throw new ApiError(400, 'dryRun knows the value All only');
  return values.includes('All');
}

/** `?adopt=true` moves an object from its file to the API (`sluice apply --adopt`). */
function isAdopting(query: URLSearchParams): boolean {
  return query.get('adopt') === 'true';
}

function readDeleteOptions(body: unknown, query: URLSearchParams) {
  const options = body === undefined ? {} : body;
  if (!isMapping(options)) throw new ApiError(400, 'the request body is not a DeleteOptions object');
  const preconditions = options['preconditions'] ?? {};
  if (!isMapping(preconditions)) throw new ApiError(400, 'preconditions is not an object');
  const { uid, resourceVersion } = preconditions;
  const inBody = options['dryRun'];
  const isDryRun = readDryRun(query) || (Array.isArray(inBody) && inBody.includes('All'));
  return {
    uid: typeof uid === 'string' ? uid : undefined,
    revision:
      typeof resourceVersion === 'string' && /^\d{1,15}$/.test(resourceVersion)
        ? Number(resourceVersion)
        : undefined,
    isDryRun,
  };
}

function notFound(path: ResourcePath, name: string): ApiError {
  return writeError(
    { code: 'not-found', message: `${path.info.kind} ${name} does not exist` },
    keyOfPath(path, name),
    path.info.plural,
  );
}

function withName(object: KubeObject, name: string): KubeObject {
  return { ...object, metadata: { ...object.metadata, name } };
}

function randomSuffix(): string {
  const bytes = crypto.getRandomValues(new Uint8Array(generatedSuffixLength));
  return Array.from(bytes, (byte) => nameAlphabet[byte % nameAlphabet.length]).join('');
}

function isMapping(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}
