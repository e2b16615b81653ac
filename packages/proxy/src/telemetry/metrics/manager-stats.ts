/**
 * `cluster_manager.*` and `listener_manager.*`: how many clusters and listeners there are and what has become of
 * them, read from the main thread's state when somebody asks.
 */
import type { FamilySnapshot } from '@sluice/runtime';
import { readFamily } from './read-families.ts';

/** Since the start. What came anew under a name that is held counts as modified. */
export interface ResourceChanges {
  readonly added: number;
  readonly modified: number;
  readonly removed: number;
}

export interface ClusterManagerFacts extends ResourceChanges {
  readonly active: number;
  readonly warming: number;
}

export interface ListenerManagerFacts extends ClusterManagerFacts {
  /** Removed, or moved to other addresses, and their connections may still end. */
  readonly draining: number;
  /** Listeners whose addresses could not be had. */
  readonly createFailures: number;
}

export function clusterManagerFamilies(facts: ClusterManagerFacts): FamilySnapshot[] {
  const prefix = 'envoy_cluster_manager_';
  return [
    readFamily(`${prefix}active_clusters`, 'gauge', 'Clusters that serve.', facts.active),
    readFamily(`${prefix}warming_clusters`, 'gauge', 'Clusters that wait for what they name.', facts.warming),
    readFamily(`${prefix}cluster_added`, 'counter', 'Clusters that came.', facts.added),
    readFamily(
      `${prefix}cluster_modified`,
      'counter',
      'Clusters that came in another version.',
      facts.modified,
    ),
    readFamily(`${prefix}cluster_removed`, 'counter', 'Clusters that were removed.', facts.removed),
  ];
}

export function listenerManagerFamilies(facts: ListenerManagerFacts): FamilySnapshot[] {
  const prefix = 'envoy_listener_manager_';
  const gauges: readonly (readonly [string, string, number])[] = [
    ['total_listeners_active', 'Listeners that serve.', facts.active],
    ['total_listeners_warming', 'Listeners that wait for what they name.', facts.warming],
    ['total_listeners_draining', 'Listeners whose connections may still end.', facts.draining],
  ];
  const counters: readonly (readonly [string, string, number])[] = [
    ['listener_added', 'Listeners that came.', facts.added],
    ['listener_modified', 'Listeners that came in another version.', facts.modified],
    ['listener_removed', 'Listeners that were removed.', facts.removed],
    ['listener_create_failure', 'Listeners whose addresses could not be had.', facts.createFailures],
  ];
  return [
    ...gauges.map(([part, help, value]) => readFamily(`${prefix}${part}`, 'gauge', help, value)),
    ...counters.map(([part, help, value]) => readFamily(`${prefix}${part}`, 'counter', help, value)),
  ];
}
