/** What resources name: the edges that subscriptions and warming follow. */
import { HttpConnectionManagerTable, unpackAny } from '@sluice/xds';
import type { Cluster, ConfigSource, Listener } from '@sluice/xds';

export interface NamedSource {
  readonly name: string;
  /** Ms after which waiting ends; 0 = wait for ever. */
  readonly fetchTimeoutMs: number;
}

/** Envoy's default (ConfigSource.initial_fetch_timeout). */
const defaultFetchTimeoutMs = 15_000;

/** The endpoint list a cluster waits for, or null. */
export function endpointsOf(cluster: Cluster): NamedSource | null {
  if (cluster.type !== 'EDS') return null;
  const config = cluster.edsClusterConfig;
  return { name: config?.serviceName || cluster.name, fetchTimeoutMs: timeoutOf(config?.edsConfig) };
}

/** Messages never change once decoded: all listeners are asked after every update, so the answer is kept. */
const knownTables = new WeakMap<Listener, readonly NamedSource[]>();

/** The route tables a listener waits for. */
export function routeTablesOf(listener: Listener): readonly NamedSource[] {
  let tables = knownTables.get(listener);
  if (tables === undefined) knownTables.set(listener, (tables = findRouteTables(listener)));
  return tables;
}

function findRouteTables(listener: Listener): NamedSource[] {
  const tables = new Map<string, NamedSource>();
  for (const chain of [...listener.filterChains, listener.defaultFilterChain]) {
    for (const filter of chain?.filters ?? []) {
      const manager = filter.typedConfig && unpackAny(filter.typedConfig, HttpConnectionManagerTable);
      if (manager?.rds === undefined) continue;
      const { routeConfigName: name, configSource } = manager.rds;
      tables.set(name, { name, fetchTimeoutMs: timeoutOf(configSource) });
    }
  }
  return [...tables.values()];
}

function timeoutOf(source: ConfigSource | undefined): number {
  return source?.initialFetchTimeout ?? defaultFetchTimeoutMs;
}
