/**
 * Where connections go that pass unread: to the service, or as `tls` and `tcp` of its VirtualService say, by server
 * name, by destination range, or all of them. As filter chains, ready for a listener of the service or a shared one.
 */
import { parseGoDurationMs } from '@sluice/runtime';
import type { FilterChain, FilterChainMatch, Init, NetworkFilter } from '@sluice/xds';
import type { ResourceKey } from '@sluice/api';
import { BlockList, isIP } from 'node:net';
import type { ConnectionDestination, ConnectionMatch, ConnectionRule } from '../model/connection-rule.ts';
import { readConnectionRules } from '../model/connection-rule.ts';
import { hasLabels } from '../model/instance.ts';
import type { MeshModel } from '../model/mesh-model.ts';
import type { MeshService, MeshServicePort } from '../model/service.ts';
import { effectivePolicy } from './clusters.ts';
import { resolveDestination } from './compile-rules.ts';
import { tcpProxyFilter, weightedTcpProxyFilter } from './http-manager.ts';
import type { ConnectionSettings } from './http-manager.ts';
import { outboundCluster, unresolvedCluster } from './names.ts';
import type { MeshSettings } from './node.ts';
import { commonTunnel, tunnelingConfig } from './tunnel.ts';
import type { ClientFacts } from './virtual-hosts.ts';

/** What holds for one service's port and one scope of clients: rules that apply, in order. */
export interface ConnectionRoutes {
  /** Of each rule, the matches that apply; an empty list = every connection. */
  readonly rules: readonly AppliedRule[];
  readonly origins: readonly ResourceKey[];
  /** Keys of the services that they lead to. */
  readonly destinations: readonly string[];
  /** By cluster: what its DestinationRule says of connections that pass unread (`connectionPool.tcp`, `tunnel`). */
  readonly settings: Readonly<Record<string, ConnectionSettings>>;
}

interface AppliedRule {
  readonly rule: ConnectionRule;
  readonly matches: readonly ConnectionMatch[];
}

export const noConnectionRoutes: ConnectionRoutes = {
  rules: [],
  origins: [],
  destinations: [],
  settings: {},
};

/** The rules of the service's VirtualService that hold for its port and these clients. */
export function connectionRoutesOf(
  model: MeshModel,
  service: MeshService,
  port: MeshServicePort,
  client: ClientFacts,
): ConnectionRoutes {
  const own = settingsOf(model, [{ service, port: port.number, subset: '' }], client);
  const source = model.routes(service, port, client.namespace).virtualService;
  if (!source || (source.spec.tls === undefined && source.spec.tcp === undefined))
    return Object.keys(own).length === 0 ? noConnectionRoutes : { ...noConnectionRoutes, settings: own };
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
    settings: { ...own, ...settingsOf(model, used.flatMap(resolved(model)), client) },
  };
}

interface SettledTarget {
  readonly service: MeshService;
  readonly port: number;
  readonly subset: string;
}

function resolved(model: MeshModel) {
  return ({ service, port, subset }: ConnectionDestination): SettledTarget[] => {
    const found = service === null ? undefined : model.services.get(service);
    return found === undefined ? [] : [{ service: found, port, subset }];
  };
}

/** Of those that have any. */
function settingsOf(
  model: MeshModel,
  targets: readonly SettledTarget[],
  client: ClientFacts,
): Record<string, ConnectionSettings> {
  const all: Record<string, ConnectionSettings> = {};
  for (const { service, port, subset } of targets) {
    const { connectionPool, tunnel } = effectivePolicy(model.rule(service, client), subset, port);
    const idleTimeout = parseGoDurationMs(connectionPool?.tcp?.idleTimeout ?? '');
    const maxDownstreamConnectionDuration = parseGoDurationMs(
      connectionPool?.tcp?.maxConnectionDuration ?? '',
    );
    const settings: ConnectionSettings = {
      ...(idleTimeout === undefined ? {} : { idleTimeout }),
      // Envoy knows no zero here; it means none.
      ...(maxDownstreamConnectionDuration ? { maxDownstreamConnectionDuration } : {}),
      ...(tunnel === undefined ? {} : { tunnelingConfig: tunnelingConfig(tunnel) }),
    };
    if (Object.keys(settings).length > 0) all[outboundCluster(port, subset, service.hostname)] = settings;
  }
  return all;
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
  const own = outboundCluster(port.number, '', service.hostname);
  for (const { rule, matches } of routes.rules) {
    const filter = filterOf(rule, routes.settings, mesh);
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
    rest: rest ?? tcpProxyFilter(own, mesh, routes.settings[own]),
    needsTlsInspector,
  };
}

/** Where a CONNECT to the service leads: clusters with their shares, and the proxy's own destination behind them. */
export interface ConnectTarget {
  readonly clusters: ReadonlyMap<string, number>;
  readonly tunnel: ConnectionSettings['tunnelingConfig'];
}

/** Server names cannot be seen from outside of a tunnel. */
export function connectTarget(
  service: MeshService,
  port: MeshServicePort,
  { rules, settings }: ConnectionRoutes,
): ConnectTarget {
  const found = rules.find(
    ({ rule, matches }) =>
      rule.kind === 'tcp' &&
      (matches.length === 0 || matches.some((match) => coversService(match.subnets, service))),
  );
  const own = outboundCluster(port.number, '', service.hostname);
  const clusters = found ? sharesOf(found.rule.destinations) : new Map([[own, 1]]);
  return { clusters, tunnel: commonTunnel([...clusters.keys()].map((name) => settings[name])) };
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

/** Of several destinations the first one's limits hold, and a tunnel that all have: one proxy serves them all. */
function filterOf(
  { destinations, origin }: ConnectionRule,
  all: ConnectionRoutes['settings'],
  mesh: MeshSettings,
): Init<NetworkFilter> {
  const [first, ...others] = destinations;
  const settings = first === undefined ? {} : (all[clusterOf(first)] ?? {});
  if (first !== undefined && others.length === 0) return tcpProxyFilter(clusterOf(first), mesh, settings);
  const { tunnelingConfig: _own, ...limits } = settings;
  const tunnelingConfig = commonTunnel(destinations.map((one) => all[clusterOf(one)]));
  return weightedTcpProxyFilter(`${origin.name}.${origin.namespace}`, sharesOf(destinations), mesh, {
    ...limits,
    ...(tunnelingConfig === undefined ? {} : { tunnelingConfig }),
  });
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
