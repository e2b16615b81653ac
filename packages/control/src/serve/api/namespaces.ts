/**
 * Namespaces exist by being used (design §6): beside the Namespace objects that somebody wrote, every namespace
 * that holds a resource, and `default`, is listed. The made-up ones have no revision of their own.
 */
import type { KubeObject } from '@sluice/api';
import type { ResourceStore } from '../../source/store.ts';
import { timestamp } from '../../source/stored.ts';

/** Written Namespace objects and used namespaces, by name. */
export function allNamespaces(store: ResourceStore): KubeObject[] {
  const firstUseMs = new Map<string, number | null>([['default', null]]);
  for (const { key, createdMs } of store.all()) {
    if (key.namespace === '') continue;
    const known = firstUseMs.get(key.namespace) ?? Infinity;
    firstUseMs.set(key.namespace, Math.min(known, createdMs));
  }
  const written = store.list('', 'Namespace').map((stored) => stored.object);
  for (const { metadata } of written) firstUseMs.delete(metadata.name);
  const used = [...firstUseMs].map(([name, createdMs]) => implicitNamespace(name, createdMs));
  return [...written, ...used].sort((a, b) => (a.metadata.name < b.metadata.name ? -1 : 1));
}

export function findNamespace(store: ResourceStore, name: string): KubeObject | null {
  return allNamespaces(store).find((namespace) => namespace.metadata.name === name) ?? null;
}

function implicitNamespace(name: string, createdMs: number | null): KubeObject {
  return {
    apiVersion: 'v1',
    kind: 'Namespace',
    metadata: {
      name,
      labels: { 'kubernetes.io/metadata.name': name },
      ...(createdMs === null ? {} : { creationTimestamp: timestamp(createdMs) }),
    },
    spec: {},
    status: { phase: 'Active' },
  };
}
