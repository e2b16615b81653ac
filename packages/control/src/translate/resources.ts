/** Encoded resources and sets of them. Equal content keeps its object, so that nothing downstream moves. */
import { contentVersion, encodeAny } from '@sluice/xds';
import type { AdsResource, AdsResources, Init, MessageTable } from '@sluice/xds';

export interface NamedResource {
  readonly name: string;
  readonly resource: AdsResource;
}

export function encodeResource<T extends object>(
  table: MessageTable<T>,
  name: string,
  message: Init<T>,
): NamedResource {
  const bytes = encodeAny(table, message);
  return { name, resource: { version: contentVersion(bytes), bytes } };
}

/** A set as a map; the map before is returned when nothing in it changed. */
export function resourceSet(
  before: AdsResources | undefined,
  entries: readonly NamedResource[],
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
