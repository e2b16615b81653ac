/**
 * Route tables of a scope. A table that many services share is large, and one changed route would send all of it
 * again: proxies that know VHDS (on delta streams) get the table as a frame with its catch-all, and each virtual
 * host as a resource of its own. Others get the hosts inline.
 */
import { RouteConfigurationTable, VirtualHostTable } from '@sluice/xds';
import type { Init, VirtualHost } from '@sluice/xds';
import { adsSource } from './config-source.ts';
import { connectRoute, unknownProxyHost } from './connect-routes.ts';
import type { HostEntry, HostFacts } from './host-entry.ts';
import { Memo } from './memo.ts';
import { httpProxyRoutes, portRoutes, serviceRoutes } from './names.ts';
import { encodeResource } from './resources.ts';
import type { NamedResource } from './resources.ts';
import { routeTable, unmatchedHost, virtualHost } from './virtual-hosts.ts';

export interface BuiltTables {
  readonly tables: readonly NamedResource[];
  /** Virtual hosts as resources, `table/host`; empty where they stand inline. */
  readonly hosts: readonly NamedResource[];
}

type Policy = 'ALLOW_ANY' | 'REGISTRY_ONLY';

/** A table of many services. */
interface SharedTable {
  readonly name: string;
  readonly entries: readonly HostEntry[];
  readonly domainsOf: (entry: HostEntry) => readonly string[];
  readonly hostOf: (entry: HostEntry, domains: readonly string[]) => Init<VirtualHost>;
  /** What happens to hosts of no service. */
  readonly rest: Init<VirtualHost>;
  readonly ignoresPort: boolean;
}

export class RouteTables {
  readonly #facts: HostFacts & { readonly knowsVirtualHosts: boolean };
  readonly #tableMemo = new Memo<NamedResource>();
  readonly #hostMemo = new Memo<NamedResource>();

  constructor(facts: HostFacts & { readonly knowsVirtualHosts: boolean }) {
    this.#facts = facts;
  }

  build(entries: readonly HostEntry[], policy: Policy): BuiltTables {
    const isExplicit = this.#facts.mode === 'NONE';
    const own = entries
      .filter((entry) => (entry.isHttp ? isExplicit : entry.port.protocol === 'auto'))
      .flatMap((entry) => this.#serviceTables(entry, isExplicit));
    const shared = isExplicit ? [proxyTable(entries, policy)] : portTables(entries, policy);
    const built = shared.map((table) =>
      this.#facts.knowsVirtualHosts ? this.#byHost(table, policy) : this.#inline(table, policy),
    );
    this.#tableMemo.sweep();
    this.#hostMemo.sweep();
    return {
      tables: [...own, ...built.map(({ table }) => table)],
      hosts: built.flatMap(({ hosts }) => hosts),
    };
  }

  /** Tables of a service's own listeners, one for each of its names: whatever the authority says, it is meant. */
  #serviceTables(entry: HostEntry, isExplicit: boolean): NamedResource[] {
    const { hostname } = entry.service;
    const named = isExplicit ? entry.explicit : [{ hostname, routes: entry.shared }];
    return named.map((one) => {
      const name = serviceRoutes(one.hostname, entry.port.number);
      return this.#tableMemo.get(name, [entry], () => {
        const host = virtualHost(entry.service, entry.port, ['*'], one.routes);
        return encodeResource(RouteConfigurationTable, name, routeTable(name, [host], true), entry.origins);
      });
    });
  }

  #inline(shared: SharedTable, policy: Policy): { table: NamedResource; hosts: NamedResource[] } {
    const { name, entries, rest, ignoresPort } = shared;
    const table = this.#tableMemo.get(name, [policy, ...entries], () => {
      const hosts = ownedDomains(shared).map(({ entry, domains }) => shared.hostOf(entry, domains));
      const message = routeTable(name, [...hosts, rest], ignoresPort);
      return encodeResource(
        RouteConfigurationTable,
        name,
        message,
        entries.flatMap((entry) => entry.origins),
      );
    });
    return { table, hosts: [] };
  }

  #byHost(shared: SharedTable, policy: Policy): { table: NamedResource; hosts: NamedResource[] } {
    const { name, rest, ignoresPort } = shared;
    const table = this.#tableMemo.get(name, [policy], () => {
      const message = { ...routeTable(name, [rest], ignoresPort), vhds: { configSource: adsSource } };
      return encodeResource(RouteConfigurationTable, name, message);
    });
    const hosts = ownedDomains(shared).map(({ entry, domains }) => {
      const id = `${name}/${entry.service.hostname}:${entry.port.number}`;
      return this.#hostMemo.get(id, [entry, domains.join(' ')], () => {
        const encoded = encodeResource(VirtualHostTable, id, shared.hostOf(entry, domains), entry.origins);
        const aliases = domains.map((domain) => `${name}/${domain}`);
        return { ...encoded, resource: { ...encoded.resource, aliases } };
      });
    });
    return { table, hosts };
  }
}

/** One table for each HTTP port, shared by its services. */
function portTables(entries: readonly HostEntry[], policy: Policy): SharedTable[] {
  const byPort = new Map<number, HostEntry[]>();
  for (const entry of entries) {
    if (!entry.isHttp) continue;
    const list = byPort.get(entry.port.number);
    if (list) list.push(entry);
    else byPort.set(entry.port.number, [entry]);
  }
  return [...byPort].map(([port, members]) => ({
    name: portRoutes(port),
    entries: members,
    domainsOf: (entry) => entry.domains,
    hostOf: (entry, domains) => virtualHost(entry.service, entry.port, domains, entry.shared),
    rest: unmatchedHost(policy),
    ignoresPort: true,
  }));
}

/** The forward proxy's table: every service and port under its names, absolute form and CONNECT. */
function proxyTable(entries: readonly HostEntry[], policy: Policy): SharedTable {
  return {
    name: httpProxyRoutes,
    entries,
    domainsOf: ({ port, domains }) => {
      const withPort = domains.map((domain) => `${domain}:${port.number}`);
      return port.number === 80 ? [...withPort, ...domains] : withPort;
    },
    hostOf: (entry, domains) => {
      const isRead = entry.isHttp || entry.port.protocol === 'auto';
      const routes = [connectRoute(entry.connect), ...(isRead ? entry.shared : [])];
      return virtualHost(entry.service, entry.port, domains, routes);
    },
    rest: unknownProxyHost(policy),
    ignoresPort: false,
  };
}

/** A domain belongs to one virtual host: a table with a repeated one is refused as a whole. */
function ownedDomains({ entries, domainsOf }: SharedTable): { entry: HostEntry; domains: string[] }[] {
  const taken = new Set<string>();
  return entries.flatMap((entry) => {
    const domains = domainsOf(entry).filter((domain) => !taken.has(domain));
    for (const domain of domains) taken.add(domain);
    return domains.length > 0 ? [{ entry, domains }] : [];
  });
}
