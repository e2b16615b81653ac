/** HTTPRoutes: parents and backends that exist, and references that are granted. */
import { nearestName } from '@sluice/runtime';
import type { Path } from '../position.ts';
import type { HttpRouteObject, Service } from '../resource-types.ts';
import type { HttpBackendRef } from '../schema/gateway-api/http-route.ts';
import type { ParentReference } from '../schema/gateway-api/references.ts';
import type { KnownHost, World } from './world.ts';

export function analyzeHttpRoutes(world: World): void {
  for (const route of world.all('gateway.networking.k8s.io/HTTPRoute')) {
    for (const [index, parent] of (route.spec.parentRefs ?? []).entries()) {
      analyzeParent(route, parent, ['spec', 'parentRefs', index], world);
    }
    for (const [index, rule] of (route.spec.rules ?? []).entries()) {
      for (const [at, backend] of (rule.backendRefs ?? []).entries()) {
        analyzeBackend(route, backend, ['spec', 'rules', index, 'backendRefs', at], world);
      }
    }
  }
}

function analyzeParent(route: HttpRouteObject, parent: ParentReference, path: Path, world: World): void {
  const namespace = parent.namespace ?? world.namespaceOf(route);
  if (parent.kind === 'Service') {
    const service = world.find('/Service', namespace, parent.name);
    if (service === undefined) reportMissing(route, 'Service', parent.name, namespace, path, world);
    else if (
      parent.port !== undefined &&
      !world.isAlias(service) &&
      !(service.spec.ports ?? []).some((port) => port.port === parent.port)
    ) {
      world.report(
        route,
        'SL0101',
        'error',
        [...path, 'port'],
        `Service ${namespace}/${parent.name} has no port ${parent.port}`,
      );
    }
    return;
  }
  const gateway = world.find('gateway.networking.k8s.io/Gateway', namespace, parent.name);
  if (gateway === undefined) {
    world.report(
      route,
      'SL0101',
      'error',
      [...path, 'name'],
      `there is no Gateway ${namespace}/${parent.name}`,
      'for a service of the mesh write group: "" and kind: Service',
    );
  } else if (parent.sectionName !== undefined) {
    const names = (gateway.spec.listeners ?? []).map((listener) => listener.name);
    if (names.includes(parent.sectionName)) return;
    world.report(
      route,
      'SL0101',
      'error',
      [...path, 'sectionName'],
      `the Gateway has no listener ${parent.sectionName}`,
      `its listeners are ${names.join(', ')}`,
    );
  }
}

function analyzeBackend(route: HttpRouteObject, backend: HttpBackendRef, path: Path, world: World): void {
  if ((backend.kind ?? 'Service') !== 'Service' || (backend.group ?? '') !== '') return;
  const own = world.namespaceOf(route);
  const namespace = backend.namespace ?? own;
  const service = world.find('/Service', namespace, backend.name);
  if (service === undefined) {
    reportMissing(route, 'Service', backend.name, namespace, path, world);
  } else if (backend.port !== undefined && !portsOf(service, world).includes(backend.port)) {
    const ports = portsOf(service, world).join(' or ');
    world.report(
      route,
      'SL0101',
      'error',
      [...path, 'port'],
      `Service ${namespace}/${backend.name} has no port ${backend.port}`,
      `use ${ports}`,
    );
  }
  requireGrant(route, namespace, backend.name, [...path, 'namespace'], world);
  const target = service === undefined ? undefined : targetOf(service, world)?.source;
  // An ExternalName leads nowhere that a reference would need a grant for.
  if (target !== undefined && target !== service && target.kind === 'Service')
    requireGrant(route, world.namespaceOf(target), target.metadata.name, [...path, 'name'], world);
}

function requireGrant(
  route: HttpRouteObject,
  namespace: string,
  name: string,
  path: Path,
  world: World,
): void {
  const own = world.namespaceOf(route);
  if (namespace === own || isGranted(own, namespace, name, world)) return;
  const message = `no ReferenceGrant of ${namespace} allows HTTPRoutes of ${own} to use the Service ${name}`;
  world.report(route, 'SL9002', 'error', path, message, `create a ReferenceGrant in ${namespace}`);
}

/** Of an alias, those of what it stands for. */
function portsOf(service: Service, world: World): readonly number[] {
  return targetOf(service, world)?.ports ?? [];
}

/** Itself, or what it is an alias of. */
function targetOf(service: Service, world: World): KnownHost | undefined {
  const namespace = world.namespaceOf(service);
  return world.host(world.serviceHost(service.metadata.name, namespace), namespace);
}

function isGranted(from: string, to: string, name: string, world: World): boolean {
  return world
    .all('gateway.networking.k8s.io/ReferenceGrant')
    .some(
      (grant) =>
        world.namespaceOf(grant) === to &&
        grant.spec.from.some(
          (entry) =>
            entry.namespace === from &&
            entry.kind === 'HTTPRoute' &&
            entry.group === 'gateway.networking.k8s.io',
        ) &&
        grant.spec.to.some(
          (entry) =>
            entry.kind === 'Service' &&
            entry.group === '' &&
            (entry.name === undefined || entry.name === name),
        ),
    );
}

function reportMissing(
  route: HttpRouteObject,
  kind: string,
  name: string,
  namespace: string,
  path: Path,
  world: World,
): void {
  const names = world.all('/Service').filter((service) => world.namespaceOf(service) === namespace);
  const nearest = nearestName(
    name,
    names.map((service) => service.metadata.name),
  );
  const suggestion =
    nearest === undefined ? `create ${kind} ${namespace}/${name}` : `did you mean ${nearest}?`;
  world.report(
    route,
    'SL0101',
    'error',
    [...path, 'name'],
    `there is no ${kind} ${namespace}/${name}`,
    suggestion,
  );
}
