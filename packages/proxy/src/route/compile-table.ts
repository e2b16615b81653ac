/**
 * A route table. Immutable: VHDS and equal virtual hosts make a new table that shares the compiled hosts
 * of the one before, so an update costs what changed and exchanges keep the table they were matched in.
 */
import type { RouteConfiguration, VirtualHost } from '@sluice/xds';
import type { ProblemScope } from '../config/problems.ts';
import type { RouteCompileContext } from './compile-context.ts';
import { compileVirtualHost, type TableDefaults, type VirtualHostEntry } from './compile-virtual-host.ts';
import { DomainTable, withoutPort } from './domain-table.ts';
import { compileHeaderOperations } from './header-operations.ts';
import { compilePerFilterConfig } from './per-filter-config.ts';
import type { CompiledRoute, CompiledVirtualHost, RouteRequest, RouteTable } from './route.ts';

/** Envoy's default (RouteConfiguration.max_direct_response_body_size_bytes). */
const defaultMaxDirectBodyBytes = 4096;

interface CompiledHost {
  /** What it was compiled from. */
  readonly source: VirtualHost;
  readonly entry: VirtualHostEntry;
}

/** Compiled hosts by name, for the next version of the same table. */
export type HostCache = ReadonlyMap<string, CompiledHost>;

/** Hosts of a table that arrives in parts, compiled as they came. */
export type PreparedHosts = Map<VirtualHost, CompiledHost>;

export class CompiledRouteTable implements RouteTable {
  readonly version: string;
  readonly hosts: HostCache;
  /** Its settings are those of all hosts; which hosts there are, `hosts` says. */
  readonly message: RouteConfiguration;
  readonly #domains: DomainTable<VirtualHostEntry>;

  constructor(
    message: RouteConfiguration,
    version: string,
    hosts: HostCache,
    domains: DomainTable<VirtualHostEntry>,
  ) {
    this.message = message;
    this.version = version;
    this.hosts = hosts;
    this.#domains = domains;
  }

  get name(): string {
    return this.message.name;
  }

  match(request: RouteRequest, random: () => number): CompiledRoute | null {
    return this.#find(request)?.find(request, random) ?? null;
  }

  findVirtualHost(request: RouteRequest): CompiledVirtualHost | null {
    return this.#find(request)?.host ?? null;
  }

  /** The same table but for one host, which is new or takes the place of the one of its name. */
  withHost(name: string, host: CompiledHost, version: string, scope: ProblemScope): CompiledRouteTable {
    const domains = this.#domains.copy();
    for (const domain of this.hosts.get(name)?.entry.domains ?? []) domains.remove(domain);
    for (const [i, domain] of host.entry.domains.entries())
      domains.add(domain, host.entry, scope.at('domains', i));
    const hosts = new Map(this.hosts).set(name, host);
    return new CompiledRouteTable(this.message, version, hosts, domains);
  }

  #find(request: RouteRequest): VirtualHostEntry | null {
    const host = this.message.ignorePortInHostMatching ? withoutPort(request.authority) : request.authority;
    return this.#domains.find(host);
  }
}

/** Compiles the virtual hosts of one part of a table ahead, so that the whole costs little at its end. */
export function prepareHosts(
  part: RouteConfiguration,
  previous: CompiledRouteTable | null,
  context: RouteCompileContext,
  scope: ProblemScope,
  prepared: PreparedHosts,
): void {
  const defaults = compileDefaults(part, context, scope);
  const known = knownHosts(part, previous);
  for (const [i, host] of part.virtualHosts.entries())
    prepared.set(host, compileHost(host, known, defaults, context, scope.at('virtual_hosts', i)));
}

/** `extra`: virtual hosts that VHDS brought; they take the place of inline ones of their name. */
export function compileRouteTable(
  message: RouteConfiguration,
  version: string,
  extra: Iterable<VirtualHost>,
  previous: CompiledRouteTable | null,
  context: RouteCompileContext,
  scope: ProblemScope,
  prepared: PreparedHosts = new Map(),
): CompiledRouteTable {
  reportUnhonoured(message, scope);
  const defaults = compileDefaults(message, context, scope);
  const known = knownHosts(message, previous);
  const hosts = new Map<string, CompiledHost>();
  const domains = new DomainTable<VirtualHostEntry>();
  const names = new Set<string>();
  for (const [host, at] of hostsOf(message, extra, scope)) {
    if (names.has(host.name)) at.at('name').error(`virtual host "${host.name}" occurs twice`);
    names.add(host.name);
    const compiled = prepared.get(host) ?? compileHost(host, known, defaults, context, at);
    hosts.set(host.name, compiled);
    for (const [i, domain] of host.domains.entries())
      domains.add(domain, compiled.entry, at.at('domains', i));
  }
  return new CompiledRouteTable(message, version, hosts, domains);
}

/** The table with one virtual host put in: what VHDS changes costs that host, not the table. */
export function replaceVirtualHost(
  table: CompiledRouteTable,
  message: RouteConfiguration,
  host: VirtualHost,
  version: string,
  context: RouteCompileContext,
  scope: ProblemScope,
): CompiledRouteTable {
  const at = scope.at(`vhds[${host.name}]`);
  const defaults = compileDefaults(message, context, scope);
  const compiled = compileHost(host, table.hosts, defaults, context, at);
  return table.withHost(host.name, compiled, version, at);
}

/** Reports what is wrong with a virtual host that is to join a table. `ownerOf`: the other host that has a domain. */
export function checkVirtualHost(
  message: RouteConfiguration,
  host: VirtualHost,
  ownerOf: (domain: string) => string | null,
  context: RouteCompileContext,
  scope: ProblemScope,
): void {
  const at = scope.at(`vhds[${host.name}]`);
  compileVirtualHost(host, compileDefaults(message, context, scope), context, at);
  const own = new DomainTable<VirtualHost>();
  for (const [i, domain] of host.domains.entries()) {
    own.add(domain, host, at.at('domains', i));
    const owner = ownerOf(domain);
    if (owner !== null) at.at('domains').error(`"${domain}" belongs to virtual host "${owner}" already`);
  }
}

/** Compared as a whole: no hash of a host that has no predecessor, and one that differs is soon known. */
function compileHost(
  host: VirtualHost,
  known: HostCache,
  defaults: TableDefaults,
  context: RouteCompileContext,
  scope: ProblemScope,
): CompiledHost {
  const before = known.get(host.name);
  if (before !== undefined && Bun.deepEquals(before.source, host)) return before;
  return { source: host, entry: compileVirtualHost(host, defaults, context, scope) };
}

/** Hosts that may be used again: none where the table's own settings, which each depends on, are others. */
function knownHosts(message: RouteConfiguration, previous: CompiledRouteTable | null): HostCache {
  if (previous === null) return noHosts;
  const isAlike = Bun.deepEquals({ ...previous.message, virtualHosts: [] }, { ...message, virtualHosts: [] });
  return isAlike ? previous.hosts : noHosts;
}

const noHosts: HostCache = new Map();

function* hostsOf(
  message: RouteConfiguration,
  extra: Iterable<VirtualHost>,
  scope: ProblemScope,
): Iterable<readonly [VirtualHost, ProblemScope]> {
  const replaced = new Set<string>();
  for (const host of extra) {
    replaced.add(host.name);
    yield [host, scope.at(`vhds[${host.name}]`)];
  }
  for (const [i, host] of message.virtualHosts.entries()) {
    if (!replaced.has(host.name)) yield [host, scope.at('virtual_hosts', i)];
  }
}

function compileDefaults(
  message: RouteConfiguration,
  context: RouteCompileContext,
  scope: ProblemScope,
): TableDefaults {
  return {
    table: message.name,
    requestHeaders: compileHeaderOperations(
      message.requestHeadersToAdd,
      message.requestHeadersToRemove,
      'request_headers',
      context,
      scope,
    ),
    responseHeaders: compileHeaderOperations(
      message.responseHeadersToAdd,
      message.responseHeadersToRemove,
      'response_headers',
      context,
      scope,
    ),
    perFilterConfig: compilePerFilterConfig(message.typedPerFilterConfig, new Map(), context, scope),
    mostSpecificWins: message.mostSpecificHeaderMutationsWins,
    maxDirectBodyBytes: message.maxDirectResponseBodySizeBytes ?? defaultMaxDirectBodyBytes,
  };
}

function reportUnhonoured(message: RouteConfiguration, scope: ProblemScope): void {
  scope.unhonouredWhenSet(
    {
      internal_only_headers: message.internalOnlyHeaders,
      request_mirror_policies: message.requestMirrorPolicies,
      ignore_path_parameters_in_path_matching: message.ignorePathParametersInPathMatching,
    },
    'not supported by this proxy',
  );
  if (message.validateClusters === true) {
    scope.unhonoured('validate_clusters', 'a missing cluster is answered with 503 and flag NC');
  }
}
