/**
 * Every resource the main thread knows, whatever its origin and state: what /config_dump shows. Live
 * means serving in the data loops; a warming one waits beside it; a rejection is kept with its reason
 * until a good version comes.
 */
export type ResourceKind =
  'cluster' | 'endpoints' | 'listener' | 'routes' | 'virtualHost' | 'secret' | 'bootstrap';

export interface ResourceVersion {
  readonly message: object;
  readonly version: string;
  /** Wall clock, ms. */
  readonly updatedMs: number;
  readonly unhonoured: readonly string[];
}

export interface ResourceEntry {
  readonly name: string;
  readonly isStatic: boolean;
  readonly live: ResourceVersion | null;
  readonly warming: ResourceVersion | null;
  readonly rejected: { readonly version: string; readonly reason: string; readonly atMs: number } | null;
}

type Change = Partial<Omit<ResourceEntry, 'name'>>;

export class ConfigStore {
  readonly #entries = new Map<ResourceKind, Map<string, ResourceEntry>>();
  /** Version of the last response of a type that was accepted. */
  readonly typeVersions = new Map<ResourceKind, string>();

  get(kind: ResourceKind, name: string): ResourceEntry | null {
    return this.#entries.get(kind)?.get(name) ?? null;
  }

  all(kind: ResourceKind): readonly ResourceEntry[] {
    return [...(this.#entries.get(kind)?.values() ?? [])];
  }

  change(kind: ResourceKind, name: string, change: Change): void {
    let entries = this.#entries.get(kind);
    if (entries === undefined) this.#entries.set(kind, (entries = new Map<string, ResourceEntry>()));
    const old = entries.get(name) ?? { name, isStatic: false, live: null, warming: null, rejected: null };
    entries.set(name, { ...old, ...change });
  }

  /** An entry that only ever failed stays, so that its reason can be read. */
  remove(kind: ResourceKind, name: string): void {
    this.#entries.get(kind)?.delete(name);
  }
}
