/** Encoded resources and sets of them. Equal content keeps its object, so that nothing downstream moves. */
import type { ResourceKey } from '@sluice/api';
import { contentVersion, encodeAny } from '@sluice/xds';
import type { AdsResource, AdsResources, Init, MessageTable } from '@sluice/xds';

export interface NamedResource {
  readonly name: string;
  readonly resource: AdsResource;
  /** The resources it was made from: whose status says what became of it. */
  readonly origins: readonly ResourceKey[];
}

/** By type URL and name of the xDS resource, what it was made from. */
export type OriginIndex = ReadonlyMap<string, ReadonlyMap<string, readonly ResourceKey[]>>;

export function originsOf(entries: readonly NamedResource[]): ReadonlyMap<string, readonly ResourceKey[]> {
  return new Map(entries.map(({ name, origins }) => [name, origins]));
}

export function encodeResource<T extends object>(
  table: MessageTable<T>,
  name: string,
  message: Init<T>,
  origins: readonly ResourceKey[] = [],
): NamedResource {
  const bytes = encodeAny(table, message);
  return { name, resource: { version: contentVersion(bytes), bytes }, origins };
}

/** A set as a map; the map before is returned when nothing in it changed. */
export function resourceSet(
  before: AdsResources | undefined,
  entries: readonly Pick<NamedResource, 'name' | 'resource'>[],
): AdsResources {
  const after = new Map<string, AdsResource>();
  for (const { name, resource } of entries) {
    const old = before?.get(name);
    after.set(name, old?.version === resource.version ? old : resource);
  }
  if (before?.size === after.size && [...after].every(([name, resource]) => before.get(name) === resource))
    return before;
  return after;
}
