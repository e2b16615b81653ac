/**
 * The paths of the Kubernetes API, as data: which kind, namespace, name and subresource a URL means.
 *
 *   /api/v1/namespaces/{namespace}/{plural}/{name}/{subresource}
 *   /apis/{group}/{version}/namespaces/{namespace}/{plural}/{name}/{subresource}
 */
import { findKindByPlural, type KindInfo } from '@sluice/api';
import { ApiError } from './status-body.ts';

export interface ResourcePath {
  readonly info: KindInfo;
  readonly version: string;
  /** Undefined means all namespaces, or a cluster-scoped kind. */
  readonly namespace: string | undefined;
  /** Undefined for the collection. */
  readonly name: string | undefined;
  readonly subresource: 'status' | undefined;
}

export type ApiPath =
  | { readonly type: 'core-versions' }
  | { readonly type: 'groups' }
  | { readonly type: 'group'; readonly group: string }
  | { readonly type: 'resources'; readonly group: string; readonly version: string }
  | { readonly type: 'resource'; readonly path: ResourcePath };

/** Reads a path below `/api` or `/apis`. Throws ApiError 404 for what we do not serve, 400 for what is malformed. */
export function parseApiPath(pathname: string): ApiPath {
  const [, root, ...rest] = pathname.replace(/\/$/, '').split('/').map(decodeSegment);
  if (rest.includes('')) throw new ApiError(404, `there is nothing at ${pathname}`);
  if (root === 'api') {
    if (rest.length === 0) return { type: 'core-versions' };
    return parseVersioned(pathname, '', rest);
  }
  const [group, ...versioned] = rest;
  if (group === undefined) return { type: 'groups' };
  if (versioned.length === 0) return { type: 'group', group };
  return parseVersioned(pathname, group, versioned);
}

/** `group/version` as objects of this path carry it. */
export function apiVersionOf(path: ResourcePath): string {
  return path.info.group === '' ? path.version : `${path.info.group}/${path.version}`;
}

function parseVersioned(pathname: string, group: string, segments: readonly string[]): ApiPath {
  const [version = '', ...rest] = segments;
  if (rest.length === 0) return { type: 'resources', group, version };
  const isScoped =
    rest[0] === 'namespaces' && rest.length > 2 && !(rest.length === 3 && rest[2] === 'status');
  const namespace = isScoped ? rest[1] : undefined;
  const [plural = '', name, subresource, ...more] = isScoped ? rest.slice(2) : rest;
  const info = findServedKind(pathname, group, version, plural);
  if (namespace !== undefined && !info.namespaced) {
    throw new ApiError(404, `${info.kind} is not in a namespace: leave /namespaces/${namespace} out`);
  }
  if (more.length > 0 || (subresource !== undefined && !isStatusOf(info, subresource))) {
    throw new ApiError(404, `${plural} have no subresource ${[subresource, ...more].join('/')}`);
  }
  if (name !== undefined && namespace === undefined && info.namespaced) {
    throw new ApiError(404, `${plural} are in a namespace: write /namespaces/NAMESPACE/${plural}/${name}`);
  }
  return {
    type: 'resource',
    path: { info, version, namespace, name, subresource: subresource === undefined ? undefined : 'status' },
  };
}

function findServedKind(pathname: string, group: string, version: string, plural: string): KindInfo {
  const info = findKindByPlural(group, plural);
  if (info === undefined || info.support === 'skipped') {
    throw new ApiError(404, `there is nothing at ${pathname}: see /apis for the kinds served`);
  }
  if (info.support === 'later') {
    throw new ApiError(404, `${info.kind} (${group || 'core'}) is not supported yet`);
  }
  if (!info.versions.includes(version)) {
    throw new ApiError(404, `${info.kind} is served in ${info.versions.join(', ')}, not in ${version}`);
  }
  return info;
}

function isStatusOf(info: KindInfo, subresource: string): boolean {
  return subresource === 'status' && info.hasStatus;
}

function decodeSegment(segment: string): string {
  try {
    return decodeURIComponent(segment);
  } catch {
    throw new ApiError(400, 'the path is not well encoded');
  }
}
