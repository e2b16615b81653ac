/**
 * A route table. Immutable: VHDS and equal virtual hosts make a new table that shares the compiled hosts
 * of the one before, so an update costs what changed and exchanges keep the table they were matched in.
 */
import { contentHash, canonicalJson } from '@sluice/runtime';
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

/** `key`: of the content that it was compiled from, the table's settings included. */
interface KeyedHost {
  readonly key: string;
  readonly entry: VirtualHostEntry;
}

/** Compiled hosts by name, for the next version of the same table. */
export type HostCache = ReadonlyMap<string, KeyedHost>;

/** Hosts of a table that arrives in parts, compiled as they came. */
export type PreparedHosts = Map<VirtualHost, KeyedHost>;

export class CompiledRouteTable implements RouteTable {
  readonly name: string;
  readonly version: string;
  readonly hosts: HostCache;
  readonly #domains: DomainTable<VirtualHostEntry>;
  readonly #ignorePort: boolean;

  constructor(
    name: string,
    version: string,
    hosts: HostCache,
    domains: DomainTable<VirtualHostEntry>,
    ignorePort: boolean,
  ) {
    this.name = name;
    this.version = version;
    this.hosts = hosts;
    this.#domains = domains;
    this.#ignorePort = ignorePort;
  }

  match(request: RouteRequest, random: () => number): CompiledRoute | null {
    return this.#find(request)?.find(request, random) ?? null;
  }

  findVirtualHost(request: RouteRequest): CompiledVirtualHost | null {
    return this.#find(request)?.host ?? null;
  }

  /** The same table but for one host, which is new or takes the place of the one of its name. */
  withHost(name: string, host: KeyedHost, version: string, scope: ProblemScope): CompiledRouteTable {
    const domains = this.#domains.copy();
    for (const domain of this.hosts.get(name)?.entry.domains ?? []) domains.remove(domain);
    for (const [i, domain] of host.entry.domains.entries())
      domains.add(domain, host.entry, scope.at('domains', i));
    const hosts = new Map(this.hosts).set(name, host);
    return new CompiledRouteTable(this.name, version, hosts, domains, this.#ignorePort);
  }

  #find(request: RouteRequest): VirtualHostEntry | null {
    const host = this.#ignorePort ? withoutPort(request.authority) : request.authority;
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
  const settings = settingsOf(part);
  for (const [i, host] of part.virtualHosts.entries()) {
    const keyed = compileKeyed(host, settings, previous, defaults, context, scope.at('virtual_hosts', i));
    prepared.set(host, keyed);
  }
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
  const settings = settingsOf(message);
  const hosts = new Map<string, KeyedHost>();
  const domains = new DomainTable<VirtualHostEntry>();
  const names = new Set<string>();
  for (const [host, at] of hostsOf(message, extra, scope)) {
    if (names.has(host.name)) at.at('name').error(`virtual host "${host.name}" occurs twice`);
    names.add(host.name);
    const keyed = prepared.get(host) ?? compileKeyed(host, settings, previous, defaults, context, at);
    hosts.set(host.name, keyed);
    for (const [i, domain] of host.domains.entries()) domains.add(domain, keyed.entry, at.at('domains', i));
  }
  return new CompiledRouteTable(message.name, version, hosts, domains, message.ignorePortInHostMatching);
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
  const keyed = compileKeyed(host, settingsOf(message), table, defaults, context, at);
  return table.withHost(host.name, keyed, version, at);
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

function compileKeyed(
  host: VirtualHost,
  settings: string,
  previous: CompiledRouteTable | null,
  defaults: TableDefaults,
  context: RouteCompileContext,
  scope: ProblemScope,
): KeyedHost {
  const key = `${settings} ${keyOf(host)}`;
  const known = previous?.hosts.get(host.name);
  return known?.key === key ? known : { key, entry: compileVirtualHost(host, defaults, context, scope) };
}

/** Messages never change once decoded, so their hashes are remembered. */
const keys = new WeakMap<object, string>();

function keyOf(host: VirtualHost): string {
  let key = keys.get(host);
  if (key === undefined) keys.set(host, (key = contentHash(canonicalJson(host))));
  return key;
}

/** What all hosts of a table depend on beside themselves. */
function settingsOf(message: RouteConfiguration): string {
  let settings = keys.get(message);
  if (settings === undefined) {
    settings = contentHash(canonicalJson({ ...message, virtualHosts: [] }));
    keys.set(message, settings);
  }
  return settings;
}

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
