/**
 * Which endpoints may take traffic: priorities, health, panic and localities, computed once per change
 * so that a pick is one group choice and one balancer call.
 *
 * The first priority with a usable endpoint serves. Panic (Envoy's): where the usable share of that
 * priority is below the threshold, and all priorities together cannot carry the load either, health is
 * ignored, because sending everything to the few that are left would take them down too.
 */
import type { Balancer, BalancerPolicy } from './balancer.ts';
import { createBalancer } from './create-balancer.ts';
import { chooseAvoiding } from './avoid.ts';
import type { Endpoint, PickContext } from './cluster.ts';

export interface HostSetSettings {
  readonly policy: BalancerPolicy;
  /** 0–100; 0 turns panic off. */
  readonly panicThresholdPercent: number;
  readonly failTrafficOnPanic: boolean;
  readonly isLocalityWeighted: boolean;
  /** Weight of a locality, by `localityKey`; only read when `isLocalityWeighted`. */
  localityWeight(endpoint: Endpoint): number;
}

/** A priority whose usable share times this reaches 100 % counts as whole (Envoy's default). */
const overprovisioning = 1.4;

interface Group {
  readonly endpoints: readonly Endpoint[];
  readonly balancer: Balancer;
  /** Running sum of group weights. */
  readonly bound: number;
}

export interface HostSet {
  readonly isInPanic: boolean;
  readonly priority: number;
  pick(context: PickContext, nowMs: number): Endpoint | null;
}

export function buildHostSet(
  endpoints: readonly Endpoint[],
  settings: HostSetSettings,
  random: () => number,
): HostSet {
  const priorities = byPriority(endpoints);
  const serving = priorities.find((members) => members.some(isUsable)) ?? priorities[0] ?? [];
  const priority = serving[0]?.priority ?? 0;
  const isInPanic = inPanic(serving, priorities, settings.panicThresholdPercent);
  if (isInPanic && settings.failTrafficOnPanic) return { isInPanic, priority, pick: () => null };
  const members = isInPanic ? serving : preferHealthy(serving);
  const groups = settings.isLocalityWeighted
    ? localityGroups(members, settings, random)
    : [{ endpoints: members, balancer: createBalancer(settings.policy, members, random), bound: 1 }];
  return { isInPanic, priority, pick: (context, nowMs) => pickFrom(groups, context, nowMs) };
}

export function isUsable(endpoint: Endpoint): boolean {
  return isHealthy(endpoint) || endpoint.health === 'DEGRADED';
}

export function localityKey(endpoint: Endpoint): string {
  const { region, zone, subZone } = endpoint.locality;
  return `${region}/${zone}/${subZone}`;
}

function pickFrom(groups: readonly Group[], context: PickContext, nowMs: number): Endpoint | null {
  const total = groups.at(-1)?.bound ?? 0;
  if (total === 0) return null;
  let chosen = groups[0];
  if (groups.length > 1) {
    const draw = context.random() * total;
    chosen = groups.find((group) => draw < group.bound);
  }
  return chosen === undefined ? null : chooseAvoiding(chosen.balancer, chosen.endpoints, context, nowMs);
}

function byPriority(endpoints: readonly Endpoint[]): Endpoint[][] {
  const levels = new Map<number, Endpoint[]>();
  for (const endpoint of endpoints) {
    const members = levels.get(endpoint.priority);
    if (members === undefined) levels.set(endpoint.priority, [endpoint]);
    else members.push(endpoint);
  }
  return [...levels].sort(([a], [b]) => a - b).map(([, members]) => members);
}

function inPanic(
  serving: readonly Endpoint[],
  priorities: readonly Endpoint[][],
  threshold: number,
): boolean {
  if (threshold === 0 || serving.length === 0) return false;
  const whole = priorities.reduce(
    (sum, members) => sum + Math.min(100, usablePercent(members) * overprovisioning),
    0,
  );
  return whole < 100 && usablePercent(serving) < threshold;
}

function usablePercent(members: readonly Endpoint[]): number {
  return members.length === 0 ? 0 : (100 * members.filter(isUsable).length) / members.length;
}

function preferHealthy(members: readonly Endpoint[]): readonly Endpoint[] {
  const healthy = members.filter(isHealthy);
  return healthy.length > 0 ? healthy : members.filter(isUsable);
}

function isHealthy(endpoint: Endpoint): boolean {
  return endpoint.health === 'HEALTHY' || endpoint.health === 'UNKNOWN';
}

/** A locality without a weight gets no traffic, as Envoy has it. */
function localityGroups(
  members: readonly Endpoint[],
  settings: HostSetSettings,
  random: () => number,
): Group[] {
  const localities = new Map<string, Endpoint[]>();
  for (const endpoint of members) {
    const key = localityKey(endpoint);
    localities.set(key, [...(localities.get(key) ?? []), endpoint]);
  }
  const groups: Group[] = [];
  let bound = 0;
  for (const endpoints of localities.values()) {
    const first = endpoints[0];
    const weight = first === undefined ? 0 : settings.localityWeight(first);
    if (weight === 0) continue;
    bound += weight;
    groups.push({ endpoints, balancer: createBalancer(settings.policy, endpoints, random), bound });
  }
  return groups;
}
