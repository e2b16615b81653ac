/** References of resources that lead nowhere, and definitions that lose against another: from the model. */
import type { DestinationRuleSpec, ResourceKey } from '@sluice/api';
import { formatKey } from '@sluice/api';
import type { MeshModel } from '../model/mesh-model.ts';
import { servicesOfHosts } from '../model/mesh-model.ts';
import type { VirtualServiceSource } from '../model/route-index.ts';
import { rulesOf } from '../translate/compile-rules.ts';
import type { Condition } from './condition.ts';

export interface Unresolved {
  readonly reason: string;
  readonly message: string;
}

const shownReferences = 5;

export function resolvedCondition(unresolved: readonly Unresolved[]): Condition {
  const [first] = unresolved;
  if (!first) {
    const message = 'everything it refers to exists';
    return { type: 'ResolvedRefs', status: 'True', reason: 'ResolvedRefs', message };
  }
  const messages = [...new Set(unresolved.map((one) => one.message))];
  const more = messages.length - shownReferences;
  const text = messages.slice(0, shownReferences).join('; ');
  const message = more > 0 ? `${text}; and ${more} more` : text;
  return { type: 'ResolvedRefs', status: 'False', reason: first.reason, message };
}

/** Hosts, ports and subsets that a VirtualService's destinations name in vain. */
export function unresolvedDestinations(model: MeshModel, source: VirtualServiceSource): Unresolved[] {
  return rulesOf(model, source).flatMap(({ action }) => {
    if (action.kind !== 'forward') return [];
    return action.destinations.flatMap((one): Unresolved[] => {
      if (one.problem) return [one.problem];
      const service = one.service === null ? undefined : model.services.get(one.service);
      if (!service || one.subset === '') return [];
      const subsets = model.rule(service, { namespace: source.namespace, labels: {} })?.subsets ?? [];
      if (subsets.some((subset) => subset.spec.name === one.subset)) return [];
      const message = `no DestinationRule defines subset ${one.subset} of ${one.hostname}: its requests get 503`;
      return [{ reason: 'SubsetNotFound', message }];
    });
  });
}

/** A rule's host, and its subsets that select nothing. */
export function unresolvedRule(model: MeshModel, key: ResourceKey, spec: DestinationRuleSpec): Unresolved[] {
  const hosts = model.destinationRules.get(formatKey(key))?.hosts ?? [];
  const services = servicesOfHosts(model, hosts);
  const missing = unresolvedCredentials(model, key.namespace, spec);
  if (services.length === 0)
    return [{ reason: 'HostNotFound', message: `no service has the host ${spec.host}` }, ...missing];
  return [...namedAliases(model, hosts), ...missing];
}

/** Hosts that are aliases: rules for them have no effect, those of the service do. */
export function namedAliases(model: MeshModel, hosts: readonly string[]): Unresolved[] {
  return hosts
    .flatMap((host) => model.servicesNamed(host))
    .flatMap((service): Unresolved[] => {
      const target = model.concrete(service, service.namespace);
      if (target === service) return [];
      const message = `${service.hostname} is an alias of ${target.hostname}, whose rules hold for it: this one has no effect on it`;
      return [{ reason: 'HostIsAlias', message }];
    });
}

/** Secrets of the rule's own namespace; clients of other namespaces use those of theirs. */
function unresolvedCredentials(model: MeshModel, namespace: string, spec: DestinationRuleSpec): Unresolved[] {
  const policies = [spec.trafficPolicy, ...(spec.subsets ?? []).map((subset) => subset.trafficPolicy)];
  const settings = policies.flatMap((policy) => [
    policy?.tls,
    ...(policy?.portLevelSettings ?? []).map((level) => level.tls),
  ]);
  return settings.flatMap((tls): Unresolved[] => {
    const name = tls?.credentialName;
    if (!name || (tls.mode !== 'SIMPLE' && tls.mode !== 'MUTUAL')) return [];
    const own = model.credential(namespace, name);
    const authorities = model.credential(namespace, `${name}-cacert`) ?? own;
    const refuse = (message: string): Unresolved => ({
      reason: 'CredentialNotFound',
      message: `${message}: connections to ${spec.host} fail`,
    });
    if (!own && !authorities) return [refuse(`there is no Secret ${name} in namespace ${namespace}`)];
    const hasPair = own?.certificateChain != null && own.privateKey != null;
    return [
      ...(tls.mode === 'MUTUAL' && !hasPair
        ? [refuse(`Secret ${namespace}/${name} has no certificate with its key (tls.crt and tls.key)`)]
        : []),
      ...(authorities?.ca == null && tls.insecureSkipVerify !== true
        ? [refuse(`Secret ${namespace}/${name} has no authorities (ca.crt), nor has ${name}-cacert`)]
        : []),
    ];
  });
}

/** What each resource loses against, with the winner's name, by formatted key. */
export function conflictsOf(model: MeshModel): ReadonlyMap<string, Condition> {
  const texts = new Map<string, Set<string>>();
  const add = (key: ResourceKey, text: string): void => {
    const id = formatKey(key);
    const known = texts.get(id);
    if (known) known.add(text);
    else texts.set(id, new Set([text]));
  };
  for (const { loser, winner } of model.serviceConflicts)
    add(loser.source, `${loser.hostname} is defined by ${formatKey(winner.source)}, which comes first`);
  for (const source of model.virtualServices.values()) {
    for (const text of lostHosts(model, source)) add(source.key, text);
  }
  const conflicts = new Map([...texts].map(([key, list]) => [key, conflictCondition([...list])]));
  for (const { loser, winner } of model.beatenPeerAuthentications) {
    const message = `${formatKey(winner.key)} is older and holds for the same workloads: this one has no effect`;
    conflicts.set(formatKey(loser.key), {
      type: 'Conflicted',
      status: 'True',
      reason: 'OlderExists',
      message,
    });
  }
  return conflicts;
}

function conflictCondition(texts: readonly string[]): Condition {
  const message = texts.slice(0, shownReferences).join('; ');
  return { type: 'Conflicted', status: 'True', reason: 'HostConflict', message };
}

/** Seen from the VirtualService's own namespace; what other namespaces see may differ by exportTo. */
function lostHosts(model: MeshModel, source: VirtualServiceSource): string[] {
  return servicesOfHosts(model, source.hosts).flatMap((service) =>
    service.ports.flatMap((port) =>
      model
        .routes(service, port, source.namespace)
        .losers.filter((loser) => loser.key === source.key)
        .map(({ winner }) => `${service.hostname}:${port.number} is routed by ${formatKey(winner)}`),
    ),
  );
}
