/** VirtualServices: hosts, destinations and the order of routes. */
import { nearestName } from '@sluice/runtime';
import { hostMatches } from '../hosts.ts';
import { describeMissingHost } from './missing-host.ts';
import type { Path } from '../position.ts';
import type { VirtualService } from '../resource-types.ts';
import type { Destination } from '../schema/istio/destination.ts';
import type { HttpMatch, HttpRoute } from '../schema/istio/virtual-service.ts';
import { parseRetryOn, unsafeRetryConditions } from '../validate/istio-retries.ts';
import { coversMatch, matchesEverything } from './match-cover.ts';
import { hasOnlyRequests } from './port-names.ts';
import type { World } from './world.ts';

export function analyzeVirtualServices(world: World): void {
  const owners = new Map<string, VirtualService>();
  for (const service of world.all('networking.istio.io/VirtualService')) {
    const namespace = world.namespaceOf(service);
    if ((service.spec.gateways ?? ['mesh']).includes('mesh')) claimHosts(service, owners, world);
    analyzeGateways(service, world);
    for (const [index, route] of (service.spec.http ?? []).entries()) {
      const path = ['spec', 'http', index];
      for (const [at, weighted] of (route.route ?? []).entries()) {
        analyzeDestination(
          service,
          weighted.destination,
          [...path, 'route', at, 'destination'],
          namespace,
          world,
        );
      }
      analyzeRetries(service, route, path, world);
    }
    analyzeConnectionRoutes(service, world);
    analyzeOrder(service, world);
  }
}

/** `tls` and `tcp`: where they lead (to the port that was called, where they name none), and whether connections of their hosts pass unread at all. */
function analyzeConnectionRoutes(service: VirtualService, world: World): void {
  const namespace = world.namespaceOf(service);
  for (const kind of ['tls', 'tcp'] as const) {
    for (const [index, route] of (service.spec[kind] ?? []).entries()) {
      for (const [at, { destination }] of (route.route ?? []).entries())
        analyzeDestination(
          service,
          destination,
          ['spec', kind, index, 'route', at, 'destination'],
          namespace,
          world,
          false,
        );
    }
  }
  if (service.spec.tcp === undefined) return;
  const sources = (service.spec.hosts ?? []).flatMap((host) => world.host(host, namespace)?.source ?? []);
  if (!hasOnlyRequests(sources)) return;
  const message = 'has no effect: every port of the hosts is read as requests, which http routes';
  world.report(service, 'SL9007', 'warning', ['spec', 'tcp'], message, 'use http, or name the port tcp');
}

function claimHosts(service: VirtualService, owners: Map<string, VirtualService>, world: World): void {
  const namespace = world.namespaceOf(service);
  for (const [index, host] of (service.spec.hosts ?? []).entries()) {
    const full = world.fullName(host, namespace);
    const isPrivate = service.spec.exportTo?.length === 1 && service.spec.exportTo[0] === '.';
    const claim = isPrivate ? `${namespace}/${full}` : full;
    const first = owners.get(claim);
    if (first === undefined) owners.set(claim, service);
    else {
      const message = `${full} is routed by ${world.nameOf(first)} too; only the older one takes effect`;
      world.report(
        service,
        'SL0109',
        'error',
        ['spec', 'hosts', index],
        message,
        'put the routes into one VirtualService',
      );
    }
    shadowedByRoute(service, full, index, world);
  }
}

/** A route attached to the Service is stronger than a VirtualService of its host. */
function shadowedByRoute(service: VirtualService, full: string, index: number, world: World): void {
  const target = world.named(full, world.namespaceOf(service))?.source;
  if (target === undefined || target.kind !== 'Service') return;
  const route = world
    .all('gateway.networking.k8s.io/HTTPRoute')
    .find((route) =>
      (route.spec.parentRefs ?? []).some(
        (parent) =>
          parent.kind === 'Service' &&
          parent.name === target.metadata.name &&
          (parent.namespace ?? world.namespaceOf(route)) === world.namespaceOf(target),
      ),
    );
  if (route === undefined) return;
  const message = `${world.nameOf(route)} is attached to the service and takes the place of this VirtualService`;
  world.report(service, 'SL9001', 'warning', ['spec', 'hosts', index], message, 'keep one of the two');
}

function analyzeGateways(service: VirtualService, world: World): void {
  const namespace = world.namespaceOf(service);
  const found = [];
  for (const [index, reference] of (service.spec.gateways ?? []).entries()) {
    if (reference === 'mesh') continue;
    const slash = reference.indexOf('/');
    const owner = slash < 0 ? namespace : reference.slice(0, slash);
    const gateway = world.find('networking.istio.io/Gateway', owner, reference.slice(slash + 1));
    if (gateway === undefined) {
      world.report(
        service,
        'SL0101',
        'error',
        ['spec', 'gateways', index],
        `there is no Gateway ${reference}`,
        `create Gateway ${owner}/${reference.slice(slash + 1)}`,
      );
    } else found.push(gateway);
  }
  if (found.length === 0) return;
  const served = found.flatMap((gateway) => (gateway.spec.servers ?? []).flatMap((server) => server.hosts));
  for (const [index, host] of (service.spec.hosts ?? []).entries()) {
    const isServed = served.some((entry) => {
      const name = entry.slice(entry.indexOf('/') + 1);
      return hostMatches(name, host) || hostMatches(host, name);
    });
    if (isServed) continue;
    world.report(
      service,
      'SL0132',
      'warning',
      ['spec', 'hosts', index],
      `no gateway of the VirtualService serves ${host}`,
      'add the host to a server of the Gateway',
    );
  }
}

function analyzeDestination(
  service: VirtualService,
  destination: Destination,
  path: Path,
  namespace: string,
  world: World,
  needsPort = true,
): void {
  const known = world.host(destination.host, namespace);
  if (known === undefined) {
    const { message, suggestion } = describeMissingHost(world, destination.host, namespace);
    world.report(service, 'SL0101', 'error', [...path, 'host'], message, suggestion);
    return;
  }
  const port = destination.port?.number;
  if (needsPort && port === undefined && known.ports.length > 1) {
    world.report(
      service,
      'SL0112',
      'error',
      path,
      `${known.hostname} has the ports ${known.ports.join(', ')}; the route must name one`,
      'add port.number',
    );
  } else if (port !== undefined && !known.ports.includes(port)) {
    world.report(
      service,
      'SL0101',
      'error',
      [...path, 'port', 'number'],
      `${known.hostname} has no port ${port}`,
      `use ${known.ports.join(' or ')}`,
    );
  }
  analyzeSubset(service, destination, path, known.hostname, world);
}

function analyzeSubset(
  service: VirtualService,
  { subset }: Destination,
  path: Path,
  hostname: string,
  world: World,
): void {
  if (subset === undefined || subset === '') return;
  const names = world
    .destinationRulesFor(hostname)
    .flatMap((rule) => (rule.spec.subsets ?? []).map(({ name }) => name));
  if (names.includes(subset)) return;
  const nearest = nearestName(subset, names);
  const suggestion =
    nearest === undefined ? 'define it in a DestinationRule of the host' : `did you mean ${nearest}?`;
  world.report(
    service,
    'SL1107',
    'error',
    [...path, 'subset'],
    `no DestinationRule defines the subset ${subset} of ${hostname}`,
    suggestion,
  );
}

function analyzeRetries(service: VirtualService, route: HttpRoute, path: Path, world: World): void {
  const { retryOn, attempts } = route.retries ?? {};
  if (retryOn === undefined || attempts === 0) return;
  const unsafe = parseRetryOn(retryOn).filter(
    ({ name, status }) => status !== undefined || unsafeRetryConditions.has(name),
  );
  if (unsafe.length === 0 || onlySafeMethods(route)) return;
  const list = unsafe.map(({ name }) => name).join(', ');
  world.report(
    service,
    'SL9004',
    'warning',
    [...path, 'retries', 'retryOn'],
    `${list} may repeat a POST that was already carried out`,
    'leave retryOn out to repeat only what is safe, or match only safe methods',
  );
}

const safeMethods = new Set(['GET', 'HEAD', 'OPTIONS', 'PUT', 'DELETE', 'TRACE']);

function onlySafeMethods(route: HttpRoute): boolean {
  const matches = route.match ?? [];
  return (
    matches.length > 0 &&
    matches.every(({ method }) => method?.exact !== undefined && safeMethods.has(method.exact))
  );
}

/** Routes and matches that an earlier one leaves nothing for. */
function analyzeOrder(service: VirtualService, world: World): void {
  const earlier: { readonly match: HttpMatch; readonly route: number }[] = [];
  for (const [index, route] of (service.spec.http ?? []).entries()) {
    const path = ['spec', 'http', index];
    const matches = route.match?.length ? route.match : [{}];
    const covered = matches.map((match) => earlier.find((before) => coversMatch(before.match, match)));
    if (covered.every((before) => before !== undefined)) {
      const by = covered[0]?.route ?? 0;
      const why = matchesEverything(earlier.find((before) => before.route === by)?.match ?? {})
        ? 'takes every request'
        : 'takes the same requests';
      world.report(
        service,
        'SL0130',
        'warning',
        path,
        `is never reached: route ${by} ${why} before`,
        'put the more specific route first',
      );
    } else {
      for (const [at, before] of covered.entries()) {
        if (before !== undefined)
          world.report(
            service,
            'SL0131',
            'warning',
            [...path, 'match', at],
            `has no effect: route ${before.route} takes these requests before`,
            'remove it or put it first',
          );
      }
    }
    earlier.push(...matches.map((match) => ({ match, route: index })));
  }
}
