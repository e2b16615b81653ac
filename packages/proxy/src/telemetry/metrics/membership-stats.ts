/**
 * `cluster.<name>.membership_total` and `membership_healthy`, read from the configuration when somebody
 * asks. Not gauges of the loops: every loop has the same endpoints, so their sum would count them as often
 * as there are loops, and two series for each of a thousand clusters would cost memory that nobody reads.
 */
import type { FamilySnapshot } from '@sluice/runtime';
import { readSeries } from './read-families.ts';
import { statLabel } from './stat-set.ts';

export interface ClusterMembership {
  /** The cluster's name in statistics. */
  readonly statName: string;
  /** Endpoints. */
  readonly total: number;
  /** Endpoints that take traffic whenever any does. */
  readonly healthy: number;
}

export function membershipFamilies(members: readonly ClusterMembership[]): FamilySnapshot[] {
  if (members.length === 0) return [];
  return [
    family('membership_total', 'Endpoints.', members, (member) => member.total),
    family('membership_healthy', 'Endpoints that take traffic.', members, (member) => member.healthy),
  ];
}

function family(
  name: string,
  help: string,
  members: readonly ClusterMembership[],
  valueOf: (member: ClusterMembership) => number,
): FamilySnapshot {
  const series = members.map((member) => ({
    labels: { envoy_cluster_name: statLabel(member.statName) },
    values: [valueOf(member)],
  }));
  return readSeries(`envoy_cluster_${name}`, 'gauge', help, series);
}
