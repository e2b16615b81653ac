/**
 * What the registry knows of instances and the disk has not taken yet: that one is not healthy, is so again, or is
 * gone. The store says what was committed and nothing else, so this lies over what it holds on the way to the model:
 * a full disk must not keep an instance that died in load balancing. Each entry goes when it is written.
 *
 * Invariant: it speaks only of the entries of its own registrations; what another owner took over, or what is not
 * in the store, is seen as the store has it.
 */
import { formatKey, type Registration, type ResourceKey } from '@sluice/api';
import type { ResourceStore, StoredObject } from '../source/store.ts';
import type { RegistrationRow } from './registry-table.ts';
import { withHealth, type Health } from './workload-entry.ts';

export interface Unwritten {
  readonly instance: string;
  /** Of its WorkloadEntry. */
  readonly key: ResourceKey;
  /** Null of an entry that was left behind by a registration which is on the disk no more. */
  readonly row: RegistrationRow | null;
  /** What it is like; null when it is gone. */
  readonly health: Health | null;
  /** Gone for good, its allotted ports with it. */
  readonly forgetsPorts: boolean;
  /** When it came to be so. */
  readonly sinceWallMs: number;
}

/** An instance that is seen otherwise than before, although nothing was committed. */
export interface SeenChange {
  readonly key: ResourceKey;
  readonly after: StoredObject | null;
  /** True as for a commit that reaches translation. */
  readonly isSpecChange: true;
  /** The instance that is gone now, for whoever ends its streams. */
  readonly gone: string | null;
}

/** The part that the model's side sees. */
export interface InstanceView {
  /** An object of the store as it is to be translated; null for an instance that is gone. */
  see(stored: StoredObject): StoredObject | null;
  subscribe(listener: (change: SeenChange) => void): () => void;
}

export class UnwrittenInstances implements InstanceView {
  readonly #store: ResourceStore;
  readonly #onListenerError: (error: unknown) => void;
  readonly #byInstance = new Map<string, Unwritten>();
  /** Keys of their entries → instance. */
  readonly #instances = new Map<string, string>();
  readonly #listeners = new Set<(change: SeenChange) => void>();

  /** `onListenerError`: told of errors that subscribers throw; the registry goes on, as the store does. */
  constructor(store: ResourceStore, onListenerError: (error: unknown) => void) {
    this.#store = store;
    this.#onListenerError = onListenerError;
  }

  get size(): number {
    return this.#byInstance.size;
  }

  /** A copy: writing one takes it out. */
  all(): readonly Unwritten[] {
    return [...this.#byInstance.values()];
  }

  get(instance: string): Unwritten | null {
    return this.#byInstance.get(instance) ?? null;
  }

  /** Takes the place of what was unwritten of the same instance. */
  set(unwritten: Unwritten): void {
    const { instance, key, health } = unwritten;
    this.#byInstance.set(instance, unwritten);
    this.#instances.set(formatKey(key), instance);
    this.#tell(key, health === null ? instance : null);
  }

  /** It is on the disk, or the disk has fresher truth. */
  settle(instance: string): void {
    const settled = this.#byInstance.get(instance);
    if (settled === undefined) return;
    this.#byInstance.delete(instance);
    this.#instances.delete(formatKey(settled.key));
    this.#tell(settled.key, null);
  }

  see(stored: StoredObject): StoredObject | null {
    const { origin, object } = stored;
    if (this.#byInstance.size === 0 || origin.source !== 'registration') return stored;
    const instance = this.#instances.get(formatKey(stored.key));
    const unwritten = instance === origin.instance ? this.#byInstance.get(instance) : undefined;
    if (unwritten === undefined) return stored;
    const { health, sinceWallMs } = unwritten;
    if (health === null) return null;
    return { ...stored, object: { ...object, status: withHealth(object.status, health, sinceWallMs) } };
  }

  subscribe(listener: (change: SeenChange) => void): () => void {
    this.#listeners.add(listener);
    return () => void this.#listeners.delete(listener);
  }

  #tell(key: ResourceKey, gone: string | null): void {
    const stored = this.#store.get(key);
    const after = stored && this.see(stored);
    for (const listener of this.#listeners) {
      try {
        listener({ key, after, isSpecChange: true, gone });
      } catch (error) {
        this.#onListenerError(error);
      }
    }
  }
}

/** The WorkloadEntry of a registration. */
export function entryKey({ namespace, name }: Pick<Registration, 'namespace' | 'name'>): ResourceKey {
  return { group: 'networking.istio.io', kind: 'WorkloadEntry', namespace, name };
}
