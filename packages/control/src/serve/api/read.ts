/**
 * get and list. Lists come in pages whose token carries the revision of the first page: later pages are read from
 * the present state, and since the list claims that first revision, a watch from there repeats whatever changed
 * between the pages. A token whose revision has left the watch log is refused with 410, as Kubernetes does.
 */
import { formatKey, type KubeObject, type ResourceKey } from '@sluice/api';
import type { ResourceStore } from '../../source/store.ts';
import { allNamespaces, findNamespace } from './namespaces.ts';
import { apiVersionOf, type ResourcePath } from './resource-path.ts';
import { isSelected, readSelection, type Selection } from './selection.ts';
import { ApiError } from './status-body.ts';

export interface ObjectList {
  readonly objects: readonly KubeObject[];
  readonly metadata: {
    readonly resourceVersion: string;
    readonly continue?: string;
    readonly remainingItemCount?: number;
  };
}

/** The key that a path with a name means. */
export function keyOfPath(path: ResourcePath, name: string): ResourceKey {
  return { group: path.info.group, kind: path.info.kind, namespace: path.namespace ?? '', name };
}

/** An object as one version of its kind shows it; versions differ in their name only. */
export function inVersion(object: KubeObject, apiVersion: string): KubeObject {
  return object.apiVersion === apiVersion ? object : { ...object, apiVersion };
}

export function getObject(store: ResourceStore, path: ResourcePath, name: string): KubeObject {
  const key = keyOfPath(path, name);
  const stored = store.get(key)?.object ?? (isNamespaceKind(path) ? findNamespace(store, name) : null);
  if (stored === null) {
    throw new ApiError(404, `${formatKey(key)} does not exist`, {
      name,
      group: path.info.group,
      kind: path.info.plural,
    });
  }
  return inVersion(stored, apiVersionOf(path));
}

export function listObjects(store: ResourceStore, path: ResourcePath, query: URLSearchParams): ObjectList {
  checkRevision(store, query);
  const selection = readSelection(query, path.namespace);
  const limit = readCount(query, 'limit');
  const cursor = readCursor(store, query);
  const selected = selectObjects(store, path, selection);
  const rest = cursor === null ? selected : selected.filter((object) => isAfter(object, cursor));
  const page = limit > 0 ? rest.slice(0, limit) : rest;
  const revision = cursor?.revision ?? store.revision;
  const last = page.at(-1);
  const metadata = { resourceVersion: String(revision) };
  if (last === undefined || page.length === rest.length) return { objects: page, metadata };
  const remaining = rest.length - page.length;
  return {
    objects: page,
    metadata: {
      ...metadata,
      continue: writeCursor({ revision, namespace: last.metadata.namespace ?? '', name: last.metadata.name }),
      ...(selection.isNarrowed ? {} : { remainingItemCount: remaining }),
    },
  };
}

/** All objects of a path that a selection means, in the path's version. */
export function selectObjects(store: ResourceStore, path: ResourcePath, selection: Selection): KubeObject[] {
  const { group, kind } = path.info;
  const objects = isNamespaceKind(path)
    ? allNamespaces(store)
    : store.list(group, kind, selection.namespace).map((stored) => stored.object);
  const apiVersion = apiVersionOf(path);
  return objects
    .filter((object) => isSelected(selection, object))
    .map((object) => inVersion(object, apiVersion));
}

/** A non-negative whole number of the query, 0 when absent. Throws ApiError 400 otherwise. */
export function readCount(query: URLSearchParams, name: string): number {
  const text = query.get(name) ?? '';
  if (text === '') return 0;
  if (!/^\d{1,9}$/.test(text)) throw new ApiError(400, `${name} must be a non-negative whole number`);
  return Number(text);
}

/** A resourceVersion, null when absent. Throws ApiError 400 for one that was never ours. */
export function readRevision(query: URLSearchParams): number | null {
  const text = query.get('resourceVersion') ?? '';
  if (text === '') return null;
  if (!/^\d{1,15}$/.test(text))
    throw new ApiError(400, `resourceVersion "${text}" is not one of this server's`);
  return Number(text);
}

function checkRevision(store: ResourceStore, query: URLSearchParams): void {
  const wanted = readRevision(query);
  if (wanted === null || wanted === 0) return;
  if (wanted > store.revision) {
    throw new ApiError(
      504,
      `resourceVersion ${wanted} has not been reached, the present one is ${store.revision}`,
      {
        causes: [{ reason: 'ResourceVersionTooLarge', message: 'Too large resource version' }],
        retryAfterSeconds: 1,
      },
    );
  }
  if (query.get('resourceVersionMatch') === 'Exact' && wanted !== store.revision) {
    throw new ApiError(
      410,
      `the state of resourceVersion ${wanted} is no longer held; list again without it`,
    );
  }
}

interface Cursor {
  readonly revision: number;
  readonly namespace: string;
  readonly name: string;
}

function writeCursor(cursor: Cursor): string {
  return Buffer.from(JSON.stringify([cursor.revision, cursor.namespace, cursor.name])).toString('base64url');
}

function readCursor(store: ResourceStore, query: URLSearchParams): Cursor | null {
  const text = query.get('continue') ?? '';
  if (text === '') return null;
  const cursor = decodeCursor(text);
  if (cursor === null) throw new ApiError(400, 'the continue token is not one of this server');
  if (store.changesSince(cursor.revision) === null || cursor.revision > store.revision) {
    throw new ApiError(
      410,
      'the list has changed too much since its first page; start it again without continue',
    );
  }
  return cursor;
}

function decodeCursor(text: string): Cursor | null {
  try {
    const parsed: unknown = JSON.parse(Buffer.from(text, 'base64url').toString());
    if (!Array.isArray(parsed) || parsed.length !== 3) return null;
    const [revision, namespace, name] = parsed as unknown[];
    if (typeof revision !== 'number' || typeof namespace !== 'string' || typeof name !== 'string')
      return null;
    return { revision, namespace, name };
  } catch {
    return null;
  }
}

function isAfter(object: KubeObject, cursor: Cursor): boolean {
  const namespace = object.metadata.namespace ?? '';
  if (namespace !== cursor.namespace) return namespace > cursor.namespace;
  return object.metadata.name > cursor.name;
}

function isNamespaceKind(path: ResourcePath): boolean {
  return path.info.group === '' && path.info.kind === 'Namespace';
}
