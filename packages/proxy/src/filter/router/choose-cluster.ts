/** Which cluster a forwarding route means for this request. */
import type { HeaderList } from '@sluice/wire';
import type { ClusterSpecifier, WeightedCluster } from '../../route/route.ts';

/** Empty when a header was to name it and does not. */
export function chooseClusterName(
  clusters: ClusterSpecifier,
  headers: HeaderList,
  weighted: WeightedCluster | null,
): string {
  switch (clusters.kind) {
    case 'single':
      return clusters.cluster;
    case 'weighted':
      return weighted === null ? '' : weighted.cluster;
    case 'header':
      return headers.getByName(clusters.header.toLowerCase()) ?? '';
  }
}

/** One draw decides; `bound` is the running sum of weights. */
export function drawWeighted(clusters: ClusterSpecifier, random: () => number): WeightedCluster | null {
  if (clusters.kind !== 'weighted') return null;
  const draw = random() * clusters.total;
  for (let i = 0; i < clusters.entries.length; i++) {
    const entry = clusters.entries[i]!;
    if (draw < entry.bound) return entry;
  }
  return clusters.entries.at(-1) ?? null;
}
