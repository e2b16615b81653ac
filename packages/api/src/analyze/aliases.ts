/**
 * ExternalName Services: aliases of services of the mesh (what holds for the service holds for them, and nothing that
 * is written for the alias itself), names that go in a circle, and names that only look like one of the mesh.
 */
import { isWildcard, normalizeHost } from '../hosts.ts';
import type { KubeObject } from '../object.ts';
import type { Path } from '../position.ts';
import type { Service } from '../resource-types.ts';
import type { World } from './world.ts';

export function analyzeAliases(world: World): void {
  for (const service of world.all('/Service')) {
    if (service.spec.type === 'ExternalName') analyzeExternalName(service, world);
  }
  for (const rule of world.all('networking.istio.io/DestinationRule'))
    reportRuleForAlias(rule, rule.spec.host, ['spec', 'host'], world);
  for (const service of world.all('networking.istio.io/VirtualService')) {
    for (const [index, host] of (service.spec.hosts ?? []).entries())
      reportRuleForAlias(service, host, ['spec', 'hosts', index], world);
  }
  for (const route of world.all('gateway.networking.k8s.io/HTTPRoute')) {
    for (const [index, { kind, name, namespace }] of (route.spec.parentRefs ?? []).entries()) {
      if (kind !== 'Service') continue;
      const host = world.serviceHost(name, namespace ?? world.namespaceOf(route));
      reportRuleForAlias(route, host, ['spec', 'parentRefs', index, 'name'], world);
    }
  }
}

function reportRuleForAlias(object: KubeObject, host: string, path: Path, world: World): void {
  const named = isWildcard(host) ? undefined : world.named(host, world.namespaceOf(object));
  if (named === undefined) return;
  const target = world.concrete(named);
  if (target === named) return;
  const message = `${named.hostname} is an alias: the rules of ${target.hostname} hold for it, and this one has no effect on it`;
  world.report(object, 'SL9010', 'warning', path, message, `write it for ${target.hostname}`);
}

function analyzeExternalName(service: Service, world: World): void {
  const namespace = world.namespaceOf(service);
  const { externalName = '' } = service.spec;
  const path = ['spec', 'externalName'];
  const own = world.named(world.serviceHost(service.metadata.name, namespace), namespace);
  if (own === undefined) return;
  const circle = world.circleOf(own);
  if (circle !== undefined) {
    const message = `goes in a circle, ${circle.join(' → ')}: there is nothing at its end, and DNS is asked`;
    world.report(service, 'SL9011', 'error', path, message, 'name a service, or a host outside the mesh');
    return;
  }
  const target = world.concrete(own);
  if (target !== own) reportPorts(service, target.hostname, target.ports, world);
  else reportAlmost(service, externalName, path, world);
}

/** A name has no ports: who calls the alias calls those of the service. */
function reportPorts(service: Service, target: string, ports: readonly number[], world: World): void {
  for (const [index, { port }] of (service.spec.ports ?? []).entries()) {
    if (ports.includes(port)) continue;
    const message = `${target}, of which it is an alias, has no port ${port}: nothing answers there`;
    const remedy = `call ${ports.join(' or ')}; an ExternalName maps no ports`;
    world.report(service, 'SL9012', 'warning', ['spec', 'ports', index, 'port'], message, remedy);
  }
}

/** DNS takes the name as it is written: a short form is none of the cluster's names. */
function reportAlmost(service: Service, externalName: string, path: Path, world: World): void {
  const meant = world.named(externalName, world.namespaceOf(service));
  if (meant?.source.kind !== 'Service' || meant.hostname === normalizeHost(externalName)) return;
  const message = `is looked up by DNS as it is written, and is no alias of ${meant.hostname}`;
  world.report(service, 'SL9013', 'warning', path, message, `write ${meant.hostname} in full`);
}
