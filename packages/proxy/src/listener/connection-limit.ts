/** Envoy's limit of connections per listener, a value of the static runtime layers. */
import type { JsonValue } from '@sluice/xds';

/** Flattened: the last layer's value for each key. */
export type RuntimeValues = Iterable<readonly [string, JsonValue]>;

const key = /^envoy\.resource_limits\.listener\.(.+)\.connection_limit$/;

/** By listener, in the order of their names; who is not in it has none. */
export function connectionLimitsOf(runtime: RuntimeValues): ReadonlyMap<string, number> {
  const limits: [string, number][] = [];
  for (const [name, value] of runtime) {
    const listener = key.exec(name)?.[1];
    if (listener !== undefined && typeof value === 'number' && value > 0) limits.push([listener, value]);
  }
  return new Map(limits.sort(([a], [b]) => (a < b ? -1 : 1)));
}
