/**
 * The Kubernetes API: `/version`, `/api…` and `/apis…`. Reads a request, calls the verb, writes the reply in the
 * form the client asked for.
 */
import type { Clock, Logger } from '@sluice/runtime';
import type { ResourceStore } from '../../source/store.ts';
import { parseBody, readBody } from '../body.ts';
import { coreVersions, groupDocument, groupList, resourceList, versionDocument } from './discovery.ts';
import { getObject, listObjects } from './read.ts';
import { apiVersionOf, parseApiPath, type ResourcePath } from './resource-path.ts';
import { json, replyTo } from './reply.ts';
import { ApiError } from './status-body.ts';
import { readTableRequest, toTable } from './table.ts';
import { watchObjects } from './watch.ts';
import {
  createObject,
  deleteCollection,
  deleteObject,
  patchObject,
  updateObject,
  type PatchType,
  type Written,
} from './write.ts';

export interface ResourceApiOptions {
  readonly store: ResourceStore;
  readonly clock: Clock;
  readonly log: Logger;
  readonly version: string;
}

export interface ResourceApi {
  /** Replies to every request below `/version`, `/api` and `/apis`; null for another path. */
  handle(request: Request): Promise<Response> | null;
}

const patchTypes: ReadonlySet<string> = new Set([
  'application/merge-patch+json',
  'application/json-patch+json',
]);

export function createResourceApi(options: ResourceApiOptions): ResourceApi {
  return {
    handle(request) {
      const { pathname } = new URL(request.url);
      if (!/^\/(?:version|apis?)(?:\/|$)/.test(pathname)) return null;
      return replyTo(options.log, () => dispatch(options, request));
    },
  };
}

async function dispatch(options: ResourceApiOptions, request: Request): Promise<Response> {
  const url = new URL(request.url);
  if (/^\/version\/?$/.test(url.pathname)) {
    if (request.method !== 'GET') throw methodNotAllowed(request);
    return json(200, versionDocument(options.version));
  }
  const path = parseApiPath(url.pathname);
  if (path.type === 'resource') return handleResource(options, request, path.path, url.searchParams);
  if (request.method !== 'GET') throw methodNotAllowed(request);
  switch (path.type) {
    case 'core-versions':
      return json(200, coreVersions());
    case 'groups':
      return json(200, groupList());
    case 'group':
      return json(200, groupDocument(path.group));
    case 'resources':
      return json(200, resourceList(path.group, path.version));
  }
}

async function handleResource(
  options: ResourceApiOptions,
  request: Request,
  path: ResourcePath,
  query: URLSearchParams,
): Promise<Response> {
  const { store } = options;
  const { name } = path;
  switch (request.method) {
    case 'GET':
      return handleRead(options, request, path, query);
    case 'POST':
      if (name !== undefined) throw methodNotAllowed(request);
      return written(createObject(store, path, await bodyOf(request), query));
    case 'PUT':
      if (name === undefined) throw methodNotAllowed(request);
      return written(updateObject(store, path, name, await bodyOf(request), query));
    case 'PATCH': {
      if (name === undefined) throw methodNotAllowed(request);
      const type = patchTypeOf(request);
      return written(patchObject(store, path, name, await bodyOf(request), type, query));
    }
    case 'DELETE': {
      if (path.subresource !== undefined) throw methodNotAllowed(request);
      const body = parseBody(await readBody(request), contentTypeOf(request));
      if (name === undefined) return written(deleteCollection(store, path, body, query));
      return written(deleteObject(store, path, name, body, query));
    }
    default:
      throw methodNotAllowed(request);
  }
}

function handleRead(
  options: ResourceApiOptions,
  request: Request,
  path: ResourcePath,
  query: URLSearchParams,
): Response {
  const { store, clock } = options;
  const { info, name } = path;
  const table = readTableRequest(request.headers.get('accept') ?? '', query);
  const context = { group: info.group, kind: info.kind, nowMs: clock.wallMs() };
  if (name === undefined && (query.get('watch') === 'true' || query.get('watch') === '1')) {
    const stream = watchObjects({
      store,
      path,
      query,
      present: (object, isFirst) =>
        table === null
          ? object
          : toTable([object], { resourceVersion: object.metadata.resourceVersion ?? '' }, table, {
              ...context,
              nowMs: clock.wallMs(),
              hasHeader: isFirst,
            }),
    });
    return new Response(stream, {
      headers: { 'content-type': 'application/json', 'cache-control': 'no-store' },
    });
  }
  if (name !== undefined) {
    const object = getObject(store, path, name);
    if (table === null) return json(200, object);
    const metadata = { resourceVersion: object.metadata.resourceVersion ?? '' };
    return json(200, toTable([object], metadata, table, { ...context, hasHeader: true }));
  }
  const { objects, metadata } = listObjects(store, path, query);
  if (table !== null) return json(200, toTable(objects, metadata, table, { ...context, hasHeader: true }));
  return json(200, { kind: `${info.kind}List`, apiVersion: apiVersionOf(path), metadata, items: objects });
}

function written({ code, body, warnings }: Written): Response {
  const reply = json(code, body);
  // RFC 9111 section 5.5 as Kubernetes uses it: code 299, agent "-", quoted text.
  for (const text of warnings)
    reply.headers.append(
      'warning',
      `299 - "${text.replace(/[^\x20-\x7e]/g, '?').replace(/["\\]/g, '\\$&')}"`,
    );
  return reply;
}

async function bodyOf(request: Request): Promise<unknown> {
  const body = parseBody(await readBody(request), contentTypeOf(request));
  if (body === undefined) throw new ApiError(400, 'the request has no body');
  return body;
}

function patchTypeOf(request: Request): PatchType {
  const type = contentTypeOf(request);
  if (patchTypes.has(type)) return type as PatchType;
  const use = 'send application/merge-patch+json or application/json-patch+json';
  if (type === 'application/strategic-merge-patch+json') {
    throw new ApiError(
      415,
      `strategic merge patches are not supported, as for every custom resource; ${use}`,
    );
  }
  if (type === 'application/apply-patch+yaml' || type === 'application/apply-patch+cbor') {
    throw new ApiError(415, `server-side apply is not supported; ${use}, or apply on the client's side`);
  }
  throw new ApiError(415, `a patch of type ${type === '' ? '(none)' : type} is not supported; ${use}`);
}

function contentTypeOf(request: Request): string {
  return (request.headers.get('content-type') ?? '').split(';')[0]?.trim().toLowerCase() ?? '';
}

function methodNotAllowed(request: Request): ApiError {
  return new ApiError(405, `${request.method} is not allowed here`);
}
