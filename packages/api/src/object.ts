/**
 * The shape every resource shares, its identity and where it came from. One identity everywhere:
 * group/kind/namespace/name; the version of an API group is a way of writing it, not part of what it is.
 */

export interface OwnerReference {
  readonly apiVersion: string;
  readonly kind: string;
  readonly name: string;
  readonly uid: string;
  readonly controller?: boolean;
  readonly blockOwnerDeletion?: boolean;
}

export interface ObjectMeta {
  name: string;
  namespace?: string;
  labels?: Record<string, string>;
  annotations?: Record<string, string>;
  uid?: string;
  generation?: number;
  resourceVersion?: string;
  creationTimestamp?: string;
  deletionTimestamp?: string;
  deletionGracePeriodSeconds?: number;
  ownerReferences?: OwnerReference[];
  managedFields?: Record<string, unknown>[];
  finalizers?: string[];
  generateName?: string;
  selfLink?: string;
}

/** A resource as it is stored and served. Kinds without a spec keep their content in further members. */
export interface KubeObject {
  apiVersion: string;
  kind: string;
  metadata: ObjectMeta;
  spec?: unknown;
  status?: unknown;
  [field: string]: unknown;
}

/** A resource whose content is known: `ResourceOf<VirtualServiceSpec>`. */
export interface ResourceOf<Spec> extends KubeObject {
  spec: Spec;
}

export interface ResourceKey {
  readonly group: string;
  readonly kind: string;
  readonly namespace: string;
  readonly name: string;
}

export type Origin =
  | { readonly source: 'folder'; readonly file: string; readonly line: number; readonly column: number }
  | { readonly source: 'api'; readonly user?: string }
  | { readonly source: 'registration'; readonly instance: string };

/** The group of `group/version`; the core group is the empty string. */
export function groupOf(apiVersion: string): string {
  const slash = apiVersion.indexOf('/');
  return slash < 0 ? '' : apiVersion.slice(0, slash);
}

export function versionOf(apiVersion: string): string {
  return apiVersion.slice(apiVersion.indexOf('/') + 1);
}

/** Kinds that live outside namespaces; kept here as names so that identity needs no kind table. */
const clusterScoped: ReadonlySet<string> = new Set(['/Namespace', 'gateway.networking.k8s.io/GatewayClass']);

/** The identity of an object. No namespace written means `defaultNamespace`; cluster-scoped kinds have none. */
export function keyOf(object: KubeObject, defaultNamespace = 'default'): ResourceKey {
  const group = groupOf(object.apiVersion);
  const isClusterScoped = clusterScoped.has(`${group}/${object.kind}`);
  return {
    group,
    kind: object.kind,
    namespace: isClusterScoped ? '' : object.metadata.namespace || defaultNamespace,
    name: object.metadata.name,
  };
}

/** `networking.istio.io/VirtualService/default/reviews`; parts without a value are left out. */
export function formatKey(key: ResourceKey): string {
  return [key.group, key.kind, key.namespace, key.name].filter((part) => part !== '').join('/');
}

export function sameKey(a: ResourceKey, b: ResourceKey): boolean {
  return a.group === b.group && a.kind === b.kind && a.namespace === b.namespace && a.name === b.name;
}

export function formatOrigin(origin: Origin): string {
  switch (origin.source) {
    case 'folder':
      return `${origin.file}:${origin.line}:${origin.column}`;
    case 'api':
      return origin.user === undefined ? 'API' : `API (${origin.user})`;
    case 'registration':
      return `registration of ${origin.instance}`;
  }
}
