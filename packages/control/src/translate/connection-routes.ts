/**
 * Where connections go that pass unread: to the service, or as `tls` and `tcp` of its VirtualService say, by server
 * name, by destination range, or all of them. As filter chains, ready for a listener of the service or a shared one.
 */
import type { FilterChain, FilterChainMatch, Init, NetworkFilter } from '@sluice/xds';
import type { ResourceKey } from '@sluice/api';
import { BlockList, isIP } from 'node:net';
import type { ConnectionDestination, ConnectionMatch, ConnectionRule } from '../model/connection-rule.ts';
import { readConnectionRules } from '../model/connection-rule.ts';
import { hasLabels } from '../model/instance.ts';
import type { MeshModel } from '../model/mesh-model.ts';
import type { MeshService, MeshServicePort } from '../model/service.ts';
import { resolveDestination } from './compile-rules.ts';
import { tcpProxyFilter, weightedTcpProxyFilter } from './http-manager.ts';
import { outboundCluster, unresolvedCluster } from './names.ts';
import type { MeshSettings } from './node.ts';
import type { ClientFacts } from './virtual-hosts.ts';

/** What holds for one service's port and one scope of clients: rules that apply, in order. */
export interface ConnectionRoutes {
  /** Of each rule, the matches that apply; an empty list = every connection. */
  readonly rules: readonly AppliedRule[];
  readonly origins: readonly ResourceKey[];
  /** Keys of the services that they lead to. */
  readonly destinations: readonly string[];
}

interface AppliedRule {
  readonly rule: ConnectionRule;
  readonly matches: readonly ConnectionMatch[];
}

export const noConnectionRoutes: ConnectionRoutes = { rules: [], origins: [], destinations: [] };

/** The rules of the service's VirtualService that hold for its port and these clients. */
export function connectionRoutesOf(
  model: MeshModel,
  service: MeshService,
  port: MeshServicePort,
  client: ClientFacts,
): ConnectionRoutes {
  const source = model.routes(service, port, client.namespace).virtualService;
  if (!source || (source.spec.tls === undefined && source.spec.tcp === undefined)) return noConnectionRoutes;
  const all = readConnectionRules(source.spec, source.key, (host, number) => {
    const asWritten = resolveDestination(model, source.namespace, host, number);
    if (number !== undefined || asWritten.service !== null) return asWritten;
    // Without a port, of a service with several the one that was called is meant.
    return resolveDestination(model, source.namespace, host, port.number);
  });
  const rules = all.flatMap((rule): AppliedRule[] => {
    if (rule.kind === 'tls' && port.protocol !== 'tls') return [];
    if (rule.matches.length === 0) return [{ rule, matches: [] }];
    const matches = rule.matches.filter((match) => applies(match, port.number, client));
    return matches.length > 0 ? [{ rule, matches }] : [];
  });
  const used = rules.flatMap(({ rule }) => rule.destinations);
  return {
    rules,
    origins: rules.length > 0 ? [source.key] : [],
    destinations: [...new Set(used.flatMap((one) => one.service ?? []))],
  };
}

export interface ConnectionChains {
  /** By server name or destination range; the more specific one counts, whatever its place. */
  readonly chains: readonly Init<FilterChain>[];
  /** Everything else to the service. */
  readonly rest: Init<NetworkFilter>;
  readonly needsTlsInspector: boolean;
}

/** `isExplicit`: clients dial the sidecar, so that only the service itself tells where they meant to go (mode NONE). */
export function connectionChains(
  service: MeshService,
  port: MeshServicePort,
  routes: ConnectionRoutes,
  isExplicit: boolean,
  mesh: MeshSettings,
): ConnectionChains {
  const chains = new Map<string, Init<FilterChain>>();
  let rest: Init<NetworkFilter> | null = null;
  let needsTlsInspector = false;
  for (const { rule, matches } of routes.rules) {
    const filter = filterOf(rule, mesh);
    const alternatives = matches.length === 0 ? [anything] : matches;
    for (const match of alternatives) {
      if (isExplicit && !coversService(match.subnets, service)) continue;
      const subnets = isExplicit ? [] : match.subnets;
      if (match.serverNames.length === 0 && subnets.length === 0) {
        rest ??= filter;
        continue;
      }
      needsTlsInspector ||= match.serverNames.length > 0;
      const place = JSON.stringify([match.serverNames, subnets]);
      // Two chains with one match would be refused: the first rule counts.
      if (!chains.has(place))
        chains.set(place, { filterChainMatch: chainMatch(match.serverNames, subnets), filters: [filter] });
    }
  }
  return {
    chains: withoutRepeatedNames([...chains.values()]),
    rest: rest ?? tcpProxyFilter(outboundCluster(port.number, '', service.hostname), mesh),
    needsTlsInspector,
  };
}

/** Where a tunnel to the service leads: clusters with their shares. Server names cannot be seen from outside of it. */
export function tunnelClusters(
  service: MeshService,
  port: MeshServicePort,
  routes: ConnectionRoutes,
): ReadonlyMap<string, number> {
  const found = routes.rules.find(
    ({ rule, matches }) =>
      rule.kind === 'tcp' &&
      (matches.length === 0 || matches.some((match) => coversService(match.subnets, service))),
  );
  if (found) return sharesOf(found.rule.destinations);
  return new Map([[outboundCluster(port.number, '', service.hostname), 1]]);
}

const anything: ConnectionMatch = {
  serverNames: [],
  subnets: [],
  port: null,
  sourceLabels: null,
  sourceNamespace: null,
};

function applies(match: ConnectionMatch, port: number, client: ClientFacts): boolean {
  return (
    (match.port === null || match.port === port) &&
    (match.sourceNamespace === null || match.sourceNamespace === client.namespace) &&
    (match.sourceLabels === null || hasLabels(match.sourceLabels, client.labels))
  );
}

function filterOf({ destinations, origin }: ConnectionRule, mesh: MeshSettings): Init<NetworkFilter> {
  const [first, ...others] = destinations;
  if (first !== undefined && others.length === 0) return tcpProxyFilter(clusterOf(first), mesh);
  return weightedTcpProxyFilter(`${origin.name}.${origin.namespace}`, sharesOf(destinations), mesh);
}

function sharesOf(destinations: readonly ConnectionDestination[]): Map<string, number> {
  const shares = new Map<string, number>();
  for (const one of destinations) shares.set(clusterOf(one), (shares.get(clusterOf(one)) ?? 0) + one.weight);
  return shares;
}

function clusterOf({ service, port, subset, hostname }: ConnectionDestination): string {
  return service === null
    ? unresolvedCluster(port, subset, hostname)
    : outboundCluster(port, subset, hostname);
}

function chainMatch(serverNames: readonly string[], subnets: readonly string[]): Init<FilterChainMatch> {
  return {
    ...(serverNames.length > 0 ? { serverNames: [...serverNames] } : {}),
    ...(subnets.length > 0 ? { prefixRanges: subnets.map(rangeOf) } : {}),
  };
}

export function rangeOf(subnet: string): { addressPrefix: string; prefixLen: number } {
  const slash = subnet.indexOf('/');
  if (slash >= 0)
    return { addressPrefix: subnet.slice(0, slash), prefixLen: Number(subnet.slice(slash + 1)) };
  return { addressPrefix: subnet, prefixLen: isIP(subnet) === 6 ? 128 : 32 };
}

/** A server name in two chains of the same ranges belongs to the first. */
function withoutRepeatedNames(chains: readonly Init<FilterChain>[]): Init<FilterChain>[] {
  const taken = new Set<string>();
  return chains.flatMap((chain) => {
    const { serverNames, prefixRanges } = chain.filterChainMatch ?? {};
    if (!serverNames) return [chain];
    const own = serverNames.filter((name) => {
      const id = JSON.stringify([name, prefixRanges]);
      if (taken.has(id)) return false;
      taken.add(id);
      return true;
    });
    return own.length === 0
      ? []
      : [{ ...chain, filterChainMatch: { ...chain.filterChainMatch, serverNames: own } }];
  });
}

/** With mode NONE nobody dials the service's address: a range holds where it covers all of them. */
function coversService(subnets: readonly string[], service: MeshService): boolean {
  if (subnets.length === 0) return true;
  const addresses = service.addresses.filter((address) => !address.includes('/'));
  return (
    addresses.length > 0 && addresses.every((address) => subnets.some((subnet) => contains(subnet, address)))
  );
}

function contains(subnet: string, address: string): boolean {
  const { addressPrefix, prefixLen } = rangeOf(subnet);
  const list = new BlockList();
  list.addSubnet(addressPrefix, prefixLen, isIP(addressPrefix) === 6 ? 'ipv6' : 'ipv4');
  return list.check(address, isIP(address) === 6 ? 'ipv6' : 'ipv4');
}
