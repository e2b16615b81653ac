/**
 * Which instances stand behind a service. Selection runs once per service and is kept until an
 * instance that it selects, or selected, changes; the list's identity tells caches whether it did.
 */
import { formatKey } from '@sluice/api';
import type { ResourceKey } from '@sluice/api';
import { selects } from './instance.ts';
import type { Instance } from './instance.ts';
import type { MeshService } from './service.ts';

export class InstanceIndex {
  readonly #byNamespace = new Map<string, Map<string, Instance>>();
  /** Service `namespace/name` → slices, by slice id. */
  readonly #given = new Map<string, Map<string, readonly Instance[]>>();
  readonly #sliceService = new Map<string, string>();
  readonly #selected = new Map<string, readonly Instance[]>();

  /** Puts, replaces or (with null) removes an instance; returns what was there. */
  replace(key: ResourceKey, instance: Instance | null): Instance | null {
    let space = this.#byNamespace.get(key.namespace);
    if (!space) this.#byNamespace.set(key.namespace, (space = new Map()));
    const id = formatKey(key);
    const before = space.get(id) ?? null;
    if (instance) space.set(id, instance);
    else space.delete(id);
    return before;
  }

  /** Given endpoints of one slice; returns the `namespace/name` of the services concerned. */
  replaceSlice(
    key: ResourceKey,
    given: { readonly service: string; readonly endpoints: readonly Instance[] } | null,
  ): string[] {
    const id = formatKey(key);
    const touched = new Set<string>();
    const old = this.#sliceService.get(id);
    if (old !== undefined) {
      touched.add(old);
      const slices = this.#given.get(old);
      slices?.delete(id);
      if (slices?.size === 0) this.#given.delete(old);
      this.#sliceService.delete(id);
    }
    if (given) {
      const service = `${key.namespace}/${given.service}`;
      touched.add(service);
      let slices = this.#given.get(service);
      if (!slices) this.#given.set(service, (slices = new Map()));
      slices.set(id, given.endpoints);
      this.#sliceService.set(id, service);
    }
    return [...touched];
  }

  /** Drops the kept selection of a service: its next reading selects again. */
  forget(serviceKey: string): void {
    this.#selected.delete(serviceKey);
  }

  of(service: MeshService): readonly Instance[] {
    const kept = this.#selected.get(service.key);
    if (kept) return kept;
    const fresh = this.#select(service);
    this.#selected.set(service.key, fresh);
    return fresh;
  }

  *all(): Iterable<Instance> {
    for (const space of this.#byNamespace.values()) yield* space.values();
  }

  /** True when endpoints given for the service have an address of either form of an instance that changed. */
  isGivenTo(service: MeshService, before: Instance | null, after: Instance | null): boolean {
    if (service.source.kind !== 'Service') return false;
    const given = this.#given.get(`${service.namespace}/${service.name}`);
    if (!given) return false;
    return [...given.values()].some((endpoints) =>
      endpoints.some(({ address }) => address === before?.address || address === after?.address),
    );
  }

  /** Given endpoints are addresses; whose they are says what they are labelled, run as and take. */
  #identified(namespace: string, given: readonly Instance[]): readonly Instance[] {
    const byAddress = Map.groupBy(this.#byNamespace.get(namespace)?.values() ?? [], ({ address }) => address);
    return given.map((endpoint) => {
      const found = byAddress.get(endpoint.address)?.findLast((instance) => isEndpointOf(endpoint, instance));
      if (!found) return endpoint;
      const { labels, serviceAccount, hasSidecar, takesMutualTls } = found;
      return { ...endpoint, labels, serviceAccount, hasSidecar, takesMutualTls };
    });
  }

  #select(service: MeshService): readonly Instance[] {
    const given =
      service.source.kind === 'Service' ? this.#given.get(`${service.namespace}/${service.name}`) : undefined;
    if (given) return this.#identified(service.namespace, [...given.values()].flat());
    if (!service.selector) return [];
    const found: Instance[] = [];
    for (const instance of this.#byNamespace.get(service.namespace)?.values() ?? []) {
      if (selects(service.selector, instance.labels)) found.push(instance);
    }
    return found;
  }
}

/**
 * Whether a given endpoint with the address of an instance is that instance. Instances that share an address, as those
 * of one machine do without interception, are told apart by their ports; a loopback address alone is nobody's.
 */
function isEndpointOf(endpoint: Instance, { address, ports, portMap }: Instance): boolean {
  const own = Object.values(portMap);
  if (own.length === 0 && !isLoopback(address)) return true;
  const served = own.length > 0 ? own : Object.values(ports);
  return Object.values(endpoint.ports).some((port) => served.includes(port));
}

function isLoopback(address: string): boolean {
  return address.startsWith('127.') || address === '::1';
}

/** True when the service selects either form of an instance that changed. */
export function isSelectedBy(service: MeshService, before: Instance | null, after: Instance | null): boolean {
  const { selector } = service;
  if (!selector) return false;
  return (
    (before !== null && selects(selector, before.labels)) ||
    (after !== null && selects(selector, after.labels))
  );
}
