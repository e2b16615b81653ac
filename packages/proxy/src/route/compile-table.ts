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

/** Compiled hosts by content, for the next version of the same table. */
export type HostCache = ReadonlyMap<string, VirtualHostEntry>;

/** Hosts of a table that arrives in parts, compiled as they came. */
export type PreparedHosts = Map<VirtualHost, { readonly key: string; readonly entry: VirtualHostEntry }>;

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
    const key = `${settings} ${contentHash(canonicalJson(host))}`;
    const entry =
      previous?.hosts.get(key) ?? compileVirtualHost(host, defaults, context, scope.at('virtual_hosts', i));
    prepared.set(host, { key, entry });
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
  const hosts = new Map<string, VirtualHostEntry>();
  const domains = new DomainTable<VirtualHostEntry>();
  const names = new Set<string>();
  for (const [host, at] of hostsOf(message, extra, scope)) {
    if (names.has(host.name)) at.at('name').error(`virtual host "${host.name}" occurs twice`);
    names.add(host.name);
    const ready = prepared.get(host);
    const key = ready?.key ?? `${settings} ${contentHash(canonicalJson(host))}`;
    const entry = ready?.entry ?? previous?.hosts.get(key) ?? compileVirtualHost(host, defaults, context, at);
    hosts.set(key, entry);
    for (const [i, domain] of host.domains.entries()) domains.add(domain, entry, at.at('domains', i));
  }
  return new CompiledRouteTable(message.name, version, hosts, domains, message.ignorePortInHostMatching);
}

/** What all hosts of a table depend on beside themselves. */
function settingsOf(message: RouteConfiguration): string {
  return contentHash(canonicalJson({ ...message, virtualHosts: [] }));
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
