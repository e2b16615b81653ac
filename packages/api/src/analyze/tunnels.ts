/**
 * Tunnels of DestinationRules (`trafficPolicy.tunnel`) hold for connections that pass unread, and one route of several
 * destinations has one tunnel: where that leaves one without effect, it is said.
 */
import { isWildcard } from '../hosts.ts';
import type { DestinationRule, VirtualService } from '../resource-types.ts';
import type { Destination } from '../schema/istio/destination.ts';
import type { TrafficPolicy } from '../schema/istio/traffic-policy.ts';
import { hasOnlyRequests } from './port-names.ts';
import type { World } from './world.ts';

type Tunnel = NonNullable<TrafficPolicy['tunnel']>;

export function analyzeTunnels(world: World): void {
  const rules = world.all('networking.istio.io/DestinationRule');
  if (!rules.some((rule) => tunnelsOf(rule).length > 0)) return;
  const reached = new Set<string>();
  for (const service of world.all('networking.istio.io/VirtualService'))
    analyzeConnections(service, reached, world);
  for (const rule of rules) {
    const known = isWildcard(rule.spec.host)
      ? undefined
      : world.named(rule.spec.host, world.namespaceOf(rule));
    if (known === undefined || reached.has(known.hostname)) continue;
    if (!hasOnlyRequests([known.source])) continue;
    for (const path of tunnelsOf(rule)) {
      const message = `has no effect: every port of ${known.hostname} is read as requests, and no tcp or tls route leads there`;
      world.report(rule, 'SL9015', 'warning', path, message, 'lead connections there by a tcp or tls route');
    }
  }
}

function tunnelsOf({ spec }: DestinationRule): (string | number)[][] {
  return [
    ...(spec.trafficPolicy?.tunnel === undefined ? [] : [['spec', 'trafficPolicy', 'tunnel']]),
    ...(spec.subsets ?? []).flatMap((subset, index) =>
      subset.trafficPolicy?.tunnel === undefined
        ? []
        : [['spec', 'subsets', index, 'trafficPolicy', 'tunnel']],
    ),
  ];
}

function analyzeConnections(service: VirtualService, reached: Set<string>, world: World): void {
  const namespace = world.namespaceOf(service);
  for (const kind of ['tls', 'tcp'] as const) {
    for (const [index, route] of (service.spec[kind] ?? []).entries()) {
      const destinations = (route.route ?? []).map(({ destination }) => destination);
      const tunnels = destinations.map((destination) => tunnelOf(destination, namespace, reached, world));
      if (new Set(tunnels).size < 2) continue;
      const message =
        'leads to several destinations that do not have the same tunnel: none is gone through, connections go to the proxies themselves';
      const remedy = 'give all of them one tunnel, or each a route of its own';
      world.report(service, 'SL9014', 'warning', ['spec', kind, index, 'route'], message, remedy);
    }
  }
}

/** As text, so that equal ones are one. */
function tunnelOf(
  { host, subset }: Destination,
  namespace: string,
  reached: Set<string>,
  world: World,
): string {
  const known = world.host(host, namespace);
  if (known === undefined) return '';
  reached.add(known.hostname);
  const rules = world.destinationRulesFor(known.hostname);
  const own = rules.flatMap((rule) => rule.spec.subsets ?? []).find(({ name }) => name === subset);
  const general = rules.find((rule) => rule.spec.trafficPolicy !== undefined)?.spec.trafficPolicy;
  const tunnel: Tunnel | undefined = own?.trafficPolicy?.tunnel ?? general?.tunnel;
  if (tunnel === undefined) return '';
  return JSON.stringify([tunnel.protocol || 'CONNECT', tunnel.targetHost, tunnel.targetPort]);
}
