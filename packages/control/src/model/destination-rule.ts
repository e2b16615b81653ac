/**
 * DestinationRules as clients see them: looked up by host in the client's namespace, the service's, then
 * the root namespace; rules for one host in one namespace merge (subsets unite, the oldest's
 * trafficPolicy stays; design §6, One service model).
 */
import type { DestinationRuleSpec, ResourceKey } from '@sluice/api';
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

/** The merged rule of one namespace for one host. */
export interface MergedRule {
  readonly host: string;
  readonly namespace: string;
  /** The oldest first: its policy counts, and it is the origin that clusters name. */
  readonly sources: readonly RuleSource[];
  readonly policy: TrafficPolicy | null;
  readonly subsets: readonly { readonly spec: SubsetSpec; readonly origin: ResourceKey }[];
}

/** Indexes rules by namespace and host; rebuilt when any DestinationRule changes. */
export class RuleIndex {
  readonly #byNamespace = new Map<string, Map<string, MergedRule>>();

  /** `before`: merged rules whose sources are the same are taken over, so that they stay the same objects. */
  constructor(sources: Iterable<RuleSource>, before?: RuleIndex) {
    const groups = new Map<string, RuleSource[]>();
    for (const source of sources) {
      for (const host of source.hosts) {
        const id = `${source.namespace}/${host}`;
        const group = groups.get(id);
        if (group) group.push(source);
        else groups.set(id, [source]);
      }
    }
    for (const [id, group] of groups) {
      const fresh = merge(id.slice(id.indexOf('/') + 1), group);
      const old =
        before === undefined ? undefined : before.#byNamespace.get(fresh.namespace)?.get(fresh.host);
      this.#add(old && sameSources(old, fresh) ? old : fresh);
    }
  }

  /** The rule a client in `client` gets for a service, or null. */
  find(client: string, serviceNamespace: string, hostname: string, rootNamespace: string): MergedRule | null {
    const places = new Set([client, serviceNamespace, rootNamespace]);
    for (const place of places) {
      const found = this.#lookup(place, hostname);
      if (
        found &&
        (place === client || found.sources.some((source) => isVisibleTo(source.exportTo, client)))
      ) {
        return found;
      }
    }
    return null;
  }

  #lookup(namespace: string, hostname: string): MergedRule | null {
    const hosts = this.#byNamespace.get(namespace);
    if (!hosts) return null;
    const exact = hosts.get(hostname);
    if (exact) return exact;
    // The most specific wildcard: the one with the longest suffix.
    for (let dot = hostname.indexOf('.'); dot >= 0; dot = hostname.indexOf('.', dot + 1)) {
      const wild = hosts.get(`*${hostname.slice(dot)}`);
      if (wild) return wild;
    }
    return hosts.get('*') ?? null;
  }

  #add(rule: MergedRule): void {
    let hosts = this.#byNamespace.get(rule.namespace);
    if (!hosts) this.#byNamespace.set(rule.namespace, (hosts = new Map()));
    hosts.set(rule.host, rule);
  }
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
  return { host, namespace: sources[0]?.namespace ?? '', sources, policy, subsets };
}
