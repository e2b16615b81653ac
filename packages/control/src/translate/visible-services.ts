/**
 * What clients of a scope see: one service for each hostname, and apart from them the names that stand for one of
 * them (ExternalName). An alias needs to be visible itself, by its exportTo and the client's Sidecar, and so does what
 * it stands for: else it is a service of its own, found by DNS.
 */
import type { InterceptionMode } from '@sluice/api';
import type { MeshModel } from '../model/mesh-model.ts';
import { canSee, readEgress } from '../model/scope.ts';
import type { SidecarSource } from '../model/scope.ts';
import type { ServiceAlias } from '../model/service-alias.ts';
import type { MeshService } from '../model/service.ts';
import { sameItems } from './memo.ts';

export interface VisibleServices {
  /** By key. */
  readonly services: readonly MeshService[];
  /** By key of the alias. */
  readonly aliases: readonly ServiceAlias[];
  /** By key of what they stand for, in the order of their own keys. */
  readonly aliasesOf: ReadonlyMap<string, readonly MeshService[]>;
}

export interface VisibilityFacts {
  readonly namespace: string;
  readonly mode: InterceptionMode;
  readonly sidecar: SidecarSource | null;
}

export const nothingVisible: VisibleServices = { services: [], aliases: [], aliasesOf: new Map() };

/** Parts that are as before are the objects they were. */
export function visibleServices(
  model: MeshModel,
  facts: VisibilityFacts,
  before: VisibleServices,
): VisibleServices {
  const byHost = visibleByHost(model, facts);
  const services: MeshService[] = [];
  const aliases: ServiceAlias[] = [];
  for (const service of [...byHost.values()].sort((a, b) => compareText(a.key, b.key))) {
    const target = service.externalName === null ? null : targetOf(model, service, byHost);
    if (target === null) services.push(service);
    else aliases.push({ alias: service, target });
  }
  const isSameServices = sameItems(services, before.services);
  const isSameAliases =
    aliases.length === before.aliases.length &&
    aliases.every((one, index) => {
      const old = before.aliases[index];
      return one.alias === old?.alias && one.target === old.target;
    });
  if (isSameServices && isSameAliases) return before;
  return {
    services: isSameServices ? before.services : services,
    ...(isSameAliases
      ? { aliases: before.aliases, aliasesOf: before.aliasesOf }
      : { aliases, aliasesOf: groupByTarget(aliases, before.aliasesOf) }),
  };
}

function visibleByHost(model: MeshModel, facts: VisibilityFacts): Map<string, MeshService> {
  const egress = readEgress(facts.sidecar);
  const byHost = new Map<string, MeshService>();
  for (const service of model.services.values()) {
    if (!canSee(service, facts.namespace, egress)) continue;
    // Where nothing was dialled but the sidecar itself, a wildcard of no endpoints leads nowhere.
    if (facts.mode === 'NONE' && service.resolution === 'none' && service.hostname.startsWith('*')) continue;
    const other = byHost.get(service.hostname);
    // One hostname, several namespaces: the client's own first, then the oldest.
    if (!other || isPreferred(service, other, facts.namespace)) byHost.set(service.hostname, service);
  }
  return byHost;
}

function targetOf(
  model: MeshModel,
  service: MeshService,
  byHost: ReadonlyMap<string, MeshService>,
): MeshService | null {
  const leads = model.aliasTarget(service);
  const target = leads.kind === 'service' ? byHost.get(leads.hostname) : undefined;
  return target && model.aliasTarget(target).kind === 'none' ? target : null;
}

function groupByTarget(
  aliases: readonly ServiceAlias[],
  before: VisibleServices['aliasesOf'],
): VisibleServices['aliasesOf'] {
  const groups = new Map<string, MeshService[]>();
  for (const { alias, target } of aliases) {
    const group = groups.get(target.key);
    if (group) group.push(alias);
    else groups.set(target.key, [alias]);
  }
  return new Map(
    [...groups].map(([key, group]) => {
      const old = before.get(key);
      return [key, old && sameItems(old, group) ? old : group];
    }),
  );
}

function isPreferred(a: MeshService, b: MeshService, namespace: string): boolean {
  const isOwnA = a.namespace === namespace;
  const isOwnB = b.namespace === namespace;
  return isOwnA === isOwnB
    ? a.createdMs < b.createdMs || (a.createdMs === b.createdMs && a.key < b.key)
    : isOwnA;
}

function compareText(a: string, b: string): number {
  return a < b ? -1 : a > b ? 1 : 0;
}
