/**
 * DestinationRules as clients see them: looked up by host in the client's namespace, the service's, then
 * the root namespace; rules for one host in one namespace merge (subsets unite, the oldest's
 * trafficPolicy stays; design §6, One service model).
 */
import type { DestinationRuleSpec, ResourceKey } from '@sluice/api';
import { hasLabels } from './instance.ts';
import { isVisibleTo } from './service.ts';
import type { ExportTo } from './service.ts';

export type TrafficPolicy = NonNullable<DestinationRuleSpec['trafficPolicy']>;
export type SubsetSpec = NonNullable<DestinationRuleSpec['subsets']>[number];

export interface RuleSource {
  readonly key: ResourceKey;
  readonly namespace: string;
  /** Fully qualified, may begin with `*.`; several where the written name has several readings. */
  readonly hosts: readonly string[];
  readonly spec: DestinationRuleSpec;
  readonly exportTo: ExportTo;
  readonly createdMs: number;
}

/** The merged rule of one namespace for one host, and for one set of clients of that namespace. */
export interface MergedRule {
  readonly host: string;
  readonly namespace: string;
  /** Labels of the clients it is for; null = all of them. */
  readonly clients: Readonly<Record<string, string>> | null;
  /** The oldest first: its policy counts, and it is the origin that clusters name. */
  readonly sources: readonly RuleSource[];
  readonly policy: TrafficPolicy | null;
  readonly subsets: readonly { readonly spec: SubsetSpec; readonly origin: ResourceKey }[];
}

/** A caller, as far as rules tell callers apart. */
export interface RuleClient {
  readonly namespace: string;
  readonly labels: Readonly<Record<string, string>>;
}

/** Indexes rules by namespace and host; rebuilt when any DestinationRule changes. */
export class RuleIndex {
  /** Namespace → host → rules: those for some clients first, the one for all clients last. */
  readonly #byNamespace = new Map<string, Map<string, MergedRule[]>>();
  /** Labels by which rules choose their clients. */
  readonly clientLabels: ReadonlySet<string>;

  /** `before`: merged rules whose sources are the same are taken over, so that they stay the same objects. */
  constructor(sources: Iterable<RuleSource>, before?: RuleIndex) {
    const groups = new Map<string, RuleSource[]>();
    const labels = new Set<string>();
    for (const source of sources) {
      const clients = clientsOf(source);
      for (const label of Object.keys(clients ?? {})) labels.add(label);
      for (const host of source.hosts)
        append(groups, JSON.stringify([source.namespace, host, clients]), source);
    }
    this.clientLabels = labels;
    for (const [id, group] of groups) {
      const [, host = ''] = JSON.parse(id) as [string, string];
      const fresh = merge(host, group);
      const known = before === undefined ? [] : before.#at(fresh.namespace, fresh.host);
      const old = known.find((rule) => sameSources(rule, fresh));
      this.#add(old ?? fresh);
    }
  }

  /** The rule a client gets for a service, or null. */
  find(
    client: RuleClient,
    serviceNamespace: string,
    hostname: string,
    rootNamespace: string,
  ): MergedRule | null {
    const places = new Set([client.namespace, serviceNamespace, rootNamespace]);
    for (const place of places) {
      const isOwn = place === client.namespace;
      const found = this.#lookup(place, hostname, isOwn ? client.labels : null);
      if (
        found &&
        (isOwn || found.sources.some((source) => isVisibleTo(source.exportTo, client.namespace)))
      ) {
        return found;
      }
    }
    return null;
  }

  /** `labels`: of the client in its own namespace; in others a rule for some clients only is for none. */
  #lookup(
    namespace: string,
    hostname: string,
    labels: Readonly<Record<string, string>> | null,
  ): MergedRule | null {
    const pick = (host: string): MergedRule | undefined =>
      this.#at(namespace, host).find(
        ({ clients }) => clients === null || (labels !== null && hasLabels(clients, labels)),
      );
    const exact = pick(hostname);
    if (exact) return exact;
    // The most specific wildcard: the one with the longest suffix.
    for (let dot = hostname.indexOf('.'); dot >= 0; dot = hostname.indexOf('.', dot + 1)) {
      const wild = pick(`*${hostname.slice(dot)}`);
      if (wild) return wild;
    }
    return pick('*') ?? null;
  }

  #at(namespace: string, host: string): readonly MergedRule[] {
    return this.#byNamespace.get(namespace)?.get(host) ?? [];
  }

  #add(rule: MergedRule): void {
    let hosts = this.#byNamespace.get(rule.namespace);
    if (!hosts) this.#byNamespace.set(rule.namespace, (hosts = new Map()));
    const rules = [...(hosts.get(rule.host) ?? []), rule];
    hosts.set(rule.host, rules.sort(compareReach));
  }
}

/** Those for some clients first, the oldest first among them. */
function compareReach(a: MergedRule, b: MergedRule): number {
  return (
    Number(a.clients === null) - Number(b.clients === null) ||
    (a.sources[0]?.createdMs ?? 0) - (b.sources[0]?.createdMs ?? 0)
  );
}

function clientsOf({ spec }: RuleSource): Readonly<Record<string, string>> | null {
  const labels = spec.workloadSelector?.matchLabels ?? {};
  const names = Object.keys(labels).sort();
  return names.length === 0 ? null : Object.fromEntries(names.map((name) => [name, labels[name] ?? '']));
}

function append<T>(map: Map<string, T[]>, key: string, value: T): void {
  const list = map.get(key);
  if (list) list.push(value);
  else map.set(key, [value]);
}

function sameSources(a: MergedRule, b: MergedRule): boolean {
  return (
    a.sources.length === b.sources.length && a.sources.every((source, index) => source === b.sources[index])
  );
}

function merge(host: string, group: RuleSource[]): MergedRule {
  const sources = group.sort((a, b) => a.createdMs - b.createdMs || (a.key.name < b.key.name ? -1 : 1));
  const seen = new Set<string>();
  const subsets = sources.flatMap((source) =>
    (source.spec.subsets ?? []).flatMap((spec) => {
      if (seen.has(spec.name)) return [];
      seen.add(spec.name);
      return [{ spec, origin: source.key }];
    }),
  );
  const policy =
    sources.find((source) => source.spec.trafficPolicy !== undefined)?.spec.trafficPolicy ?? null;
  const [oldest] = sources;
  return {
    host,
    namespace: oldest?.namespace ?? '',
    clients: oldest ? clientsOf(oldest) : null,
    sources,
    policy,
    subsets,
  };
}
