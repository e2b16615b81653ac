/** In which names two sets of resources differ. Sets are shared by all streams of a scope, so it is found out once. */
import type { AdsResources } from './snapshot.ts';

const known = new WeakMap<AdsResources, WeakMap<AdsResources, ReadonlySet<string>>>();

/** Names that were added, removed or have another version. */
export function changedNames(before: AdsResources, after: AdsResources): ReadonlySet<string> {
  let byBefore = known.get(after);
  if (byBefore === undefined) known.set(after, (byBefore = new WeakMap()));
  let names = byBefore.get(before);
  if (names === undefined) byBefore.set(before, (names = findChanged(before, after)));
  return names;
}

function findChanged(before: AdsResources, after: AdsResources): ReadonlySet<string> {
  const names = new Set<string>();
  for (const [name, resource] of after) {
    const old = before.get(name);
    if (old !== resource && (old?.version !== resource.version || old.aliases !== resource.aliases))
      names.add(name);
  }
  for (const name of before.keys()) if (!after.has(name)) names.add(name);
  return names;
}
