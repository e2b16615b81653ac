/**
 * The store's objects in memory: by key, by kind in listing order, and by the folder file that owns them.
 * Listing order is rebuilt only for a kind whose set of objects changed.
 */
import type { ResourceKey } from '@sluice/api';
import type { StoredObject } from './store.ts';

export class ObjectIndex {
  readonly #kinds = new Map<string, KindIndex>();
  readonly #byFile = new Map<string, Map<string, StoredObject>>();

  get(key: ResourceKey): StoredObject | null {
    return this.#kinds.get(kindText(key.group, key.kind))?.objects.get(nameText(key)) ?? null;
  }

  list(group: string, kind: string, namespace: string | undefined): readonly StoredObject[] {
    const index = this.#kinds.get(kindText(group, kind));
    if (index === undefined) return [];
    index.sorted ??= [...index.objects.values()].sort(byNamespaceAndName);
    if (namespace === undefined) return index.sorted;
    return index.sorted.filter((stored) => stored.key.namespace === namespace);
  }

  *all(): Iterable<StoredObject> {
    for (const index of this.#kinds.values()) yield* index.objects.values();
  }

  get files(): readonly string[] {
    return [...this.#byFile.keys()];
  }

  ofFile(file: string): Iterable<StoredObject> {
    return this.#byFile.get(file)?.values() ?? [];
  }

  put(stored: StoredObject): void {
    const kind = kindText(stored.key.group, stored.key.kind);
    let index = this.#kinds.get(kind);
    if (index === undefined) this.#kinds.set(kind, (index = { objects: new Map(), sorted: null }));
    const name = nameText(stored.key);
    const before = index.objects.get(name);
    if (before !== undefined) this.#forgetFile(before);
    index.objects.set(name, stored);
    index.sorted = null;
    if (stored.origin.source !== 'folder') return;
    const file = stored.origin.file;
    let ofFile = this.#byFile.get(file);
    if (ofFile === undefined) this.#byFile.set(file, (ofFile = new Map()));
    ofFile.set(keyText(stored.key), stored);
  }

  delete(key: ResourceKey): void {
    const index = this.#kinds.get(kindText(key.group, key.kind));
    const before = index?.objects.get(nameText(key));
    if (index === undefined || before === undefined) return;
    index.objects.delete(nameText(key));
    index.sorted = null;
    this.#forgetFile(before);
  }

  #forgetFile(stored: StoredObject): void {
    if (stored.origin.source !== 'folder') return;
    const ofFile = this.#byFile.get(stored.origin.file);
    ofFile?.delete(keyText(stored.key));
    if (ofFile?.size === 0) this.#byFile.delete(stored.origin.file);
  }
}

/** One text per key, for maps. */
export function keyText(key: ResourceKey): string {
  return `${kindText(key.group, key.kind)}/${nameText(key)}`;
}

interface KindIndex {
  readonly objects: Map<string, StoredObject>;
  sorted: readonly StoredObject[] | null;
}

function kindText(group: string, kind: string): string {
  return `${group}/${kind}`;
}

function nameText(key: ResourceKey): string {
  return `${key.namespace}/${key.name}`;
}

function byNamespaceAndName(a: StoredObject, b: StoredObject): number {
  return compare(a.key.namespace, b.key.namespace) || compare(a.key.name, b.key.name);
}

function compare(a: string, b: string): number {
  return a < b ? -1 : a > b ? 1 : 0;
}
