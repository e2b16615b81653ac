/** What a client wants and holds of one resource type. Survives streams. */
import { coversChildren, parentName, wildcard } from './types.ts';
import type { AdsUpdate } from './update.ts';

export class ClientType {
  readonly #typeUrl: string;
  readonly #wanted = new Set<string>();
  /** Name to version: the server's in delta, the hash of the bytes in state of the world. */
  readonly #held = new Map<string, string>();
  /** Version of the last response that was accepted whole. */
  ackedVersion = '';
  /** Of the last response received on this stream. */
  lastNonce = '';
  /** On this stream. */
  requestSent = false;

  constructor(typeUrl: string) {
    this.#typeUrl = typeUrl;
  }

  get isSubscribed(): boolean {
    return this.#wanted.size > 0;
  }

  streamOpened(): void {
    this.lastNonce = '';
    this.requestSent = false;
  }

  /** False if it was wanted already. */
  add(name: string): boolean {
    if (this.#wanted.has(name)) return false;
    this.#wanted.add(name);
    return true;
  }

  drop(name: string): boolean {
    if (!this.#wanted.delete(name)) return false;
    this.#held.delete(name);
    if (coversChildren(this.#typeUrl)) {
      for (const held of this.#held.keys()) if (parentName(held) === name) this.#held.delete(held);
    }
    if (name === wildcard) {
      for (const held of this.#held.keys()) if (!this.#wanted.has(held)) this.#held.delete(held);
    }
    return true;
  }

  /** Responses cross with changed subscriptions: what is no longer wanted may still arrive. */
  wants(name: string, aliases: readonly string[]): boolean {
    if (this.#wanted.has(wildcard) || this.#wanted.has(name)) return true;
    const parent = coversChildren(this.#typeUrl) ? parentName(name) : undefined;
    if (parent !== undefined && this.#wanted.has(parent)) return true;
    return aliases.some((alias) => this.#wanted.has(alias));
  }

  /** Naming nothing means everything; a mixture names the wildcard too. */
  requestNames(): readonly string[] {
    if (this.#wanted.size === 1 && this.#wanted.has(wildcard)) return [];
    return [...this.#wanted];
  }

  heldVersion(name: string): string | undefined {
    return this.#held.get(name);
  }

  heldNames(): IterableIterator<string> {
    return this.#held.keys();
  }

  heldVersions(): Readonly<Record<string, string>> {
    const versions = Object.create(null) as Record<string, string>;
    for (const [name, version] of this.#held) versions[name] = version;
    return versions;
  }

  missing(): readonly string[] {
    return [...this.#wanted].filter((name) => name !== wildcard && !this.#held.has(name));
  }

  /** Whatever was rejected keeps the version that was held before. */
  apply(update: AdsUpdate, rejected: ReadonlySet<string>): void {
    for (const name of update.removed) if (!rejected.has(name)) this.#held.delete(name);
    for (const { name, version } of update.resources) if (!rejected.has(name)) this.#held.set(name, version);
  }
}
