/**
 * Services by key and by hostname. A Service beats a ServiceEntry on the same key (design §6); the loser
 * is kept aside and reported, and takes over when the winner goes.
 */
import { formatKey } from '@sluice/api';
import type { ResourceKey } from '@sluice/api';
import { isVisibleTo } from './service.ts';
import type { MeshService } from './service.ts';

export class ServiceIndex {
  /** Winners by service key. */
  readonly byKey = new Map<string, MeshService>();
  /** All definitions of a key, winner first. */
  readonly #candidates = new Map<string, MeshService[]>();
  readonly #byHost = new Map<string, MeshService[]>();
  readonly #bySource = new Map<string, MeshService[]>();

  /** Replaces what one object defines; returns the keys whose winner changed. */
  replace(source: ResourceKey, services: readonly MeshService[]): string[] {
    const id = formatKey(source);
    const touched = new Set<string>();
    for (const old of this.#bySource.get(id) ?? []) {
      touched.add(old.key);
      const rest = (this.#candidates.get(old.key) ?? []).filter((one) => one !== old);
      if (rest.length > 0) this.#candidates.set(old.key, rest);
      else this.#candidates.delete(old.key);
    }
    for (const service of services) {
      touched.add(service.key);
      const all = [...(this.#candidates.get(service.key) ?? []), service];
      this.#candidates.set(service.key, all.sort(compareDefinitions));
    }
    if (services.length > 0) this.#bySource.set(id, [...services]);
    else this.#bySource.delete(id);
    return [...touched].filter((key) => this.#elect(key));
  }

  /** Definitions that lost their key, with the winner: for status. */
  conflicts(): { readonly loser: MeshService; readonly winner: MeshService }[] {
    return [...this.#candidates.values()].flatMap(([winner, ...losers]) =>
      winner ? losers.map((loser) => ({ loser, winner })) : [],
    );
  }

  definedBy(source: ResourceKey): readonly MeshService[] {
    return this.#bySource.get(formatKey(source)) ?? [];
  }

  /** Winners of all namespaces for one hostname. */
  named(hostname: string): readonly MeshService[] {
    return this.#byHost.get(hostname) ?? [];
  }

  /** The service a hostname means to somebody in `namespace`: the own namespace's first, then the oldest. */
  resolve(hostname: string, namespace: string): MeshService | null {
    const all = this.#byHost.get(hostname);
    if (!all) return null;
    const visible = all.filter((service) => isVisibleTo(service.exportTo, namespace));
    return visible.find((service) => service.namespace === namespace) ?? visible[0] ?? null;
  }

  #elect(key: string): boolean {
    const before = this.byKey.get(key);
    const after = this.#candidates.get(key)?.[0];
    if (before === after) return false;
    if (before) {
      const rest = (this.#byHost.get(before.hostname) ?? []).filter((one) => one !== before);
      if (rest.length > 0) this.#byHost.set(before.hostname, rest);
      else this.#byHost.delete(before.hostname);
    }
    if (after) {
      this.byKey.set(key, after);
      const hosts = [...(this.#byHost.get(after.hostname) ?? []), after];
      this.#byHost.set(
        after.hostname,
        hosts.sort((a, b) => a.createdMs - b.createdMs),
      );
    } else {
      this.byKey.delete(key);
    }
    return true;
  }
}

function compareDefinitions(a: MeshService, b: MeshService): number {
  return (
    Number(b.source.kind === 'Service') - Number(a.source.kind === 'Service') || a.createdMs - b.createdMs
  );
}
