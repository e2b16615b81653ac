/**
 * A route table on the main thread: its message and the virtual hosts that VHDS brought, which take the place of
 * inline ones of their name. Domains are looked up in an index: one changed host must not cost a walk through all.
 */
import type { RouteConfiguration, VirtualHost } from '@sluice/xds';

export class TableHosts {
  #message: RouteConfiguration;
  readonly #brought = new Map<string, VirtualHost>();
  /** Domain in lower case to the names of its hosts; null = to be made. */
  #owners: Map<string, readonly string[]> | null = null;

  constructor(message: RouteConfiguration) {
    this.#message = message;
  }

  get message(): RouteConfiguration {
    return this.#message;
  }

  /** Names of the hosts that VHDS brought. */
  get broughtNames(): Iterable<string> {
    return this.#brought.keys();
  }

  replace(message: RouteConfiguration): void {
    this.#message = message;
    this.#owners = null;
  }

  put(host: VirtualHost): void {
    const before = this.#brought.get(host.name);
    this.#brought.set(host.name, host);
    if (before === undefined || !haveSameDomains(before, host)) this.#owners = null;
  }

  remove(name: string): void {
    if (this.#brought.delete(name)) this.#owners = null;
  }

  /** The host, other than `except`, that has exactly this domain; null = none. */
  ownerOf(domain: string, except: string): string | null {
    this.#owners ??= this.#findOwners();
    return this.#owners.get(domain.toLowerCase())?.find((name) => name !== except) ?? null;
  }

  #findOwners(): Map<string, readonly string[]> {
    const owners = new Map<string, readonly string[]>();
    const inline = this.#message.virtualHosts.filter(({ name }) => !this.#brought.has(name));
    for (const { name, domains } of [...this.#brought.values(), ...inline])
      for (const domain of domains) {
        const lower = domain.toLowerCase();
        owners.set(lower, [...(owners.get(lower) ?? []), name]);
      }
    return owners;
  }
}

function haveSameDomains(a: VirtualHost, b: VirtualHost): boolean {
  return a.domains.length === b.domains.length && a.domains.every((domain, i) => domain === b.domains[i]);
}
