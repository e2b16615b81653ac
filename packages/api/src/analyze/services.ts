/** DestinationRules, Services, Sidecars and ServiceEntries: selectors and ports. */
import { isWildcard } from '../hosts.ts';
import { matchesLabels } from '../selector.ts';
import type { DestinationRule, Service } from '../resource-types.ts';
import type { Path } from '../position.ts';
import type { KubeObject } from '../object.ts';
import { describeMissingHost } from './missing-host.ts';
import type { KnownHost, World } from './world.ts';

/** Prefixes of port names that tell a protocol. */
const protocolNames = new Set([
  'http',
  'http2',
  'https',
  'grpc',
  'grpc-web',
  'mongo',
  'mysql',
  'redis',
  'tcp',
  'tls',
  'udp',
  'auto',
]);

export function analyzeServices(world: World): void {
  for (const rule of world.all('networking.istio.io/DestinationRule')) analyzeRule(rule, world);
  analyzeDuplicateSubsets(world);
  for (const service of world.all('/Service')) analyzeService(service, world);
  for (const entry of world.all('networking.istio.io/ServiceEntry')) {
    reportUnmatched(
      entry,
      entry.spec.workloadSelector?.labels,
      ['spec', 'workloadSelector', 'labels'],
      world,
    );
  }
  analyzeSidecars(world);
}

function analyzeRule(rule: DestinationRule, world: World): void {
  const namespace = world.namespaceOf(rule);
  if (isWildcard(rule.spec.host)) return;
  const known = world.named(rule.spec.host, namespace);
  if (known === undefined) {
    const { message, suggestion } = describeMissingHost(world, rule.spec.host, namespace);
    world.report(rule, 'SL0174', 'warning', ['spec', 'host'], message, suggestion);
    return;
  }
  // Of an alias it has no effect (aliases.ts).
  if (!world.canJudgeSelectors() || world.concrete(known) !== known) return;
  for (const [index, subset] of (rule.spec.subsets ?? []).entries()) {
    const labels = { ...selectorOf(known), ...subset.labels };
    const isMatched = world.instances.some(
      (instance) => instance.namespace === known.namespace && matchesLabels(labels, instance.labels),
    );
    if (isMatched) continue;
    const message = `the subset ${subset.name} selects no workload of ${known.hostname}`;
    world.report(
      rule,
      'SL0173',
      'warning',
      ['spec', 'subsets', index, 'labels'],
      message,
      'check the labels of the workloads',
    );
  }
}

function selectorOf(known: KnownHost): Readonly<Record<string, string>> {
  const { source } = known;
  if (source.kind === 'Service') return (source as Service).spec.selector ?? {};
  const entry = source.spec as { workloadSelector?: { labels?: Record<string, string> } };
  return entry.workloadSelector?.labels ?? {};
}

function analyzeDuplicateSubsets(world: World): void {
  const owners = new Map<string, DestinationRule>();
  for (const rule of world.all('networking.istio.io/DestinationRule')) {
    const namespace = world.namespaceOf(rule);
    const hostname = world.fullName(rule.spec.host, namespace);
    for (const [index, subset] of (rule.spec.subsets ?? []).entries()) {
      const claim = `${namespace}/${hostname}/${subset.name}`;
      const first = owners.get(claim);
      if (first === undefined) owners.set(claim, rule);
      else if (first !== rule) {
        const message = `${world.nameOf(first)} defines the subset ${subset.name} of ${hostname} already`;
        world.report(
          rule,
          'SL0201',
          'warning',
          ['spec', 'subsets', index, 'name'],
          message,
          'rename or remove one of them',
        );
      }
    }
  }
}

function analyzeService(service: Service, world: World): void {
  // Names have no instances, and aliases no ports that count (aliases.ts).
  const isName = service.spec.type === 'ExternalName';
  if (isName && world.isAlias(service)) return;
  for (const [index, port] of (service.spec.ports ?? []).entries()) {
    if (port.appProtocol !== undefined || (port.protocol ?? 'TCP') !== 'TCP') continue;
    const name = port.name ?? '';
    const isTelling = protocolNames.has(name) || protocolNames.has(name.split('-')[0] ?? '');
    if (isTelling) continue;
    const what = name === '' ? 'the port has no name' : `the name ${name} does not begin with a protocol`;
    world.report(
      service,
      'SL0118',
      'notice',
      ['spec', 'ports', index, name === '' ? 'port' : 'name'],
      `${what}; the protocol is found out at each connection`,
      'name it http, grpc-api, tcp-db, or set appProtocol',
    );
  }
  if (!isName) reportUnmatched(service, service.spec.selector, ['spec', 'selector'], world);
}

function reportUnmatched(
  object: KubeObject,
  labels: Readonly<Record<string, string>> | undefined,
  path: Path,
  world: World,
): void {
  if (labels === undefined || Object.keys(labels).length === 0 || !world.canJudgeSelectors()) return;
  const namespace = world.namespaceOf(object);
  const isMatched = world.instances.some(
    (instance) => instance.namespace === namespace && matchesLabels(labels, instance.labels),
  );
  if (!isMatched)
    world.report(
      object,
      'SL0127',
      'warning',
      path,
      'selects no workload',
      'check the labels of the workloads',
    );
}

function analyzeSidecars(world: World): void {
  const defaults = new Map<string, KubeObject>();
  const bySelector = new Map<string, KubeObject>();
  for (const sidecar of world.all('networking.istio.io/Sidecar')) {
    const namespace = world.namespaceOf(sidecar);
    const labels = sidecar.spec.workloadSelector?.labels;
    if (labels === undefined) {
      const first = defaults.get(namespace);
      if (first === undefined) defaults.set(namespace, sidecar);
      else
        world.report(
          sidecar,
          'SL0111',
          'error',
          ['metadata', 'name'],
          `${world.nameOf(first)} holds for the whole namespace already`,
          'keep one of them, or add a workloadSelector',
        );
      continue;
    }
    reportUnmatched(sidecar, labels, ['spec', 'workloadSelector', 'labels'], world);
    const identity = `${namespace}/${JSON.stringify(Object.entries(labels).sort())}`;
    const first = bySelector.get(identity);
    if (first === undefined) bySelector.set(identity, sidecar);
    else
      world.report(
        sidecar,
        'SL0110',
        'error',
        ['spec', 'workloadSelector'],
        `${world.nameOf(first)} selects the same workloads`,
        'merge the two',
      );
  }
}
