/** The bootstrap's static runtime: layers, lowest first, with keys flattened as Envoy writes them (`a.b`). */
import type { Bootstrap, JsonObject, JsonValue } from '@sluice/xds';

export interface FlatLayer {
  readonly name: string;
  readonly entries: ReadonlyMap<string, JsonValue>;
}

export function runtimeLayers(bootstrap: Bootstrap): FlatLayer[] {
  return (bootstrap.layeredRuntime?.layers ?? []).map((layer) => ({
    name: layer.name,
    entries: new Map(flatten(layer.staticLayer ?? {}, '')),
  }));
}

/** Higher layers win. */
export function flatRuntime(layers: readonly FlatLayer[]): [string, JsonValue][] {
  return [...new Map(layers.flatMap((layer) => [...layer.entries]))];
}

function* flatten(object: JsonObject, prefix: string): Iterable<[string, JsonValue]> {
  for (const [key, value] of Object.entries(object)) {
    const isBranch =
      typeof value === 'object' && value !== null && !Array.isArray(value) && !('numerator' in value);
    if (isBranch) yield* flatten(value as JsonObject, `${prefix}${key}.`);
    else yield [prefix + key, value];
  }
}
