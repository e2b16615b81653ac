/** How many endpoints a list has and how many of them take traffic; counted once per list, when asked. */
import type { ClusterLoadAssignment } from '@sluice/xds';
import { compileAssignment } from '../cluster/compile-endpoints.ts';
import { endpointLabel } from '../cluster/endpoint-state.ts';
import { newProblems } from './problems.ts';

export interface MemberCount {
  readonly total: number;
  readonly healthy: number;
}

const none: MemberCount = { total: 0, healthy: 0 };
const counted = new WeakMap<ClusterLoadAssignment, MemberCount>();

export function countMembers(assignment: ClusterLoadAssignment | undefined): MemberCount {
  if (assignment === undefined) return none;
  let count = counted.get(assignment);
  if (count === undefined) counted.set(assignment, (count = countOnce(assignment)));
  return count;
}

/** As in a loop's cluster: the first mention of an address counts. */
function countOnce(assignment: ClusterLoadAssignment): MemberCount {
  const seen = new Set<string>();
  let healthy = 0;
  for (const { address, port, health } of compileAssignment(assignment, true, newProblems()).endpoints) {
    const label = endpointLabel(address, port);
    if (seen.has(label)) continue;
    seen.add(label);
    if (health === 'HEALTHY' || health === 'UNKNOWN') healthy++;
  }
  return { total: seen.size, healthy };
}
