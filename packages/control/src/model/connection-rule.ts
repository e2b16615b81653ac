/**
 * Rules for connections whose content is not read: `tls` and `tcp` of a VirtualService. The first that applies to a
 * client and port wins, as for requests.
 */
import type { ResourceKey, RouteDestination, VirtualServiceSpec } from '@sluice/api';
import type { ResolveDestination } from './read-virtual-service.ts';
import type { RuleDestination } from './route-rule.ts';

export interface ConnectionRule {
  readonly kind: 'tls' | 'tcp';
  readonly origin: ResourceKey;
  /** Alternatives, one of which must hold; empty = every connection. */
  readonly matches: readonly ConnectionMatch[];
  readonly destinations: readonly ConnectionDestination[];
}

export interface ConnectionMatch {
  /** Exact names and `*.suffix`; empty = any, and connections without TLS. */
  readonly serverNames: readonly string[];
  /** CIDR ranges or addresses; empty = any. */
  readonly subnets: readonly string[];
  readonly port: number | null;
  readonly sourceLabels: Readonly<Record<string, string>> | null;
  readonly sourceNamespace: string | null;
}

export type ConnectionDestination = Omit<RuleDestination, 'headers'>;

/** Rules that apply to sidecars: those without gateways, or with the gateway `mesh`. */
export function readConnectionRules(
  spec: VirtualServiceSpec,
  origin: ResourceKey,
  resolve: ResolveDestination,
): ConnectionRule[] {
  const gateways = spec.gateways ?? ['mesh'];
  const read = (
    kind: ConnectionRule['kind'],
    matches: readonly WrittenMatch[],
    routes: readonly RouteDestination[] | undefined,
  ): ConnectionRule[] => {
    const own = matches.filter((match) => (match.gateways ?? gateways).includes('mesh'));
    const applies = matches.length === 0 ? gateways.includes('mesh') : own.length > 0;
    if (!applies) return [];
    return [
      { kind, origin, matches: own.map(readMatch), destinations: readDestinations(routes ?? [], resolve) },
    ];
  };
  return [
    ...(spec.tls ?? []).flatMap((rule) => read('tls', rule.match, rule.route)),
    ...(spec.tcp ?? []).flatMap((rule) => read('tcp', rule.match ?? [], rule.route)),
  ];
}

interface WrittenMatch {
  readonly sniHosts?: readonly string[];
  readonly destinationSubnets?: readonly string[];
  readonly port?: number;
  readonly sourceLabels?: Readonly<Record<string, string>>;
  readonly gateways?: readonly string[];
  readonly sourceNamespace?: string;
}

function readMatch(match: WrittenMatch): ConnectionMatch {
  return {
    serverNames: match.sniHosts ?? [],
    subnets: match.destinationSubnets ?? [],
    port: match.port ?? null,
    sourceLabels: match.sourceLabels ?? null,
    sourceNamespace: match.sourceNamespace ?? null,
  };
}

/** One destination takes everything whatever its weight says; of several, one without weight takes nothing. */
function readDestinations(
  routes: readonly RouteDestination[],
  resolve: ResolveDestination,
): ConnectionDestination[] {
  const all = routes.map(({ destination, weight }) => ({
    ...resolve(destination.host, destination.port?.number),
    subset: destination.subset ?? '',
    weight: routes.length === 1 ? 1 : (weight ?? 0),
  }));
  return all.filter((one) => one.weight > 0);
}
