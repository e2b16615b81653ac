/**
 * Route tables written into static listeners name static clusters, as Envoy wants it (`validate_clusters` is true there
 * unless it says false): a slip in a name is told at the start, and not by a 503 to whoever comes by that route.
 * Not where clusters come over ADS too: which ones there will be nobody knows yet.
 */
import { HttpConnectionManagerTable, unpackAny, type Listener, type RouteConfiguration } from '@sluice/xds';
import type { ProblemScope } from './problems.ts';

export function checkStaticRoutes(
  listener: Listener,
  clusters: ReadonlySet<string>,
  scope: ProblemScope,
): void {
  const check = (chain: Listener['defaultFilterChain'], at: ProblemScope): void => {
    for (const [i, filter] of (chain?.filters ?? []).entries()) {
      const manager = filter.typedConfig && unpackAny(filter.typedConfig, HttpConnectionManagerTable);
      if (manager?.routeConfig !== undefined)
        checkTable(manager.routeConfig, clusters, at.at('filters', i).at('typed_config.route_config'));
    }
  };
  for (const [i, chain] of listener.filterChains.entries()) check(chain, scope.at('filter_chains', i));
  check(listener.defaultFilterChain, scope.at('default_filter_chain'));
}

function checkTable(table: RouteConfiguration, clusters: ReadonlySet<string>, scope: ProblemScope): void {
  if (table.validateClusters === false) return;
  const need = (name: string | undefined, at: ProblemScope): void => {
    if (name !== undefined && name !== '' && !clusters.has(name))
      at.error(`there is no static cluster "${name}" (validate_clusters: false lets the route answer 503)`);
  };
  for (const [i, host] of table.virtualHosts.entries()) {
    for (const [j, { route }] of host.routes.entries()) {
      const at = scope.at('virtual_hosts', i).at('routes', j).at('route');
      need(route?.cluster, at.at('cluster'));
      for (const [k, { name }] of (route?.weightedClusters?.clusters ?? []).entries())
        need(name, at.at('weighted_clusters.clusters', k).at('name'));
    }
  }
}
