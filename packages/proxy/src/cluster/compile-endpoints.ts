/** ClusterLoadAssignment → endpoint specifications, with all problems. */
import { isIP } from 'node:net';
import type { Address, ClusterLoadAssignment, LbEndpoint, LocalityLbEndpoints } from '@sluice/xds';
import type { ProblemScope } from '../config/problems.ts';
import type { Locality } from './cluster.ts';
import type { EndpointSpec } from './endpoint-state.ts';

/** Envoy's bound (LocalityLbEndpoints.priority). */
const maxPriority = 128;

export interface CompiledAssignment {
  readonly endpoints: readonly EndpointSpec[];
  /** By `region/zone/sub_zone`; where a locality occurs in several priorities they must agree. */
  readonly localityWeights: ReadonlyMap<string, number>;
}

/** `allowNames`: host names are still to be resolved (DNS clusters on the main thread). */
export function compileAssignment(
  assignment: ClusterLoadAssignment,
  allowNames: boolean,
  scope: ProblemScope,
): CompiledAssignment {
  reportPolicy(assignment, scope);
  const endpoints: EndpointSpec[] = [];
  const localityWeights = new Map<string, number>();
  for (const [i, group] of assignment.endpoints.entries()) {
    const at = scope.at('endpoints', i);
    if (group.priority > maxPriority) at.at('priority').error(`must be at most ${maxPriority}`);
    const locality = localityOf(group);
    const key = `${locality.region}/${locality.zone}/${locality.subZone}`;
    localityWeights.set(key, group.loadBalancingWeight ?? localityWeights.get(key) ?? 0);
    for (const [j, member] of group.lbEndpoints.entries()) {
      const spec = compileEndpoint(member, group.priority, locality, allowNames, at.at('lb_endpoints', j));
      if (spec !== null) endpoints.push(spec);
    }
  }
  return { endpoints, localityWeights };
}

function compileEndpoint(
  member: LbEndpoint,
  priority: number,
  locality: Locality,
  allowNames: boolean,
  scope: ProblemScope,
): EndpointSpec | null {
  if (member.endpointName !== undefined)
    scope.unhonoured('endpoint_name', 'named endpoints are not supported');
  const at = scope.at('endpoint');
  scope.unhonouredWhenSet(
    { 'endpoint.additional_addresses': member.endpoint?.additionalAddresses },
    'one address per endpoint',
  );
  const target = readAddress(member.endpoint?.address, allowNames, at.at('address'));
  if (target === null) return null;
  const weight = member.loadBalancingWeight ?? 1;
  if (weight < 1) scope.at('load_balancing_weight').error('must be at least 1');
  return {
    ...target,
    hostname: member.endpoint?.hostname ?? '',
    weight,
    priority,
    locality,
    health: member.healthStatus,
    metadata: member.metadata?.filterMetadata ?? null,
  };
}

/** Null (with a problem) for an address the proxy cannot dial. */
export function readAddress(
  address: Address | undefined,
  allowNames: boolean,
  scope: ProblemScope,
): { address: string; port: number } | null {
  if (address?.pipe !== undefined) {
    if (address.pipe.path !== '') return { address: address.pipe.path, port: 0 };
    scope.at('pipe').at('path').error('must not be empty');
    return null;
  }
  const socket = address?.socketAddress;
  if (socket === undefined) {
    scope.error('must have socket_address or pipe');
    return null;
  }
  const at = scope.at('socket_address');
  if (socket.protocol !== 'TCP') at.unhonoured('protocol', 'only TCP is supported');
  at.unhonouredWhenSet(
    { named_port: socket.namedPort, resolver_name: socket.resolverName },
    'only an address and port_value are read',
  );
  if (socket.address === '') at.at('address').error('must not be empty');
  else if (!allowNames && isIP(socket.address) === 0) {
    at.at('address').error(`"${socket.address}" is not an IP address; names need STRICT_DNS or LOGICAL_DNS`);
  }
  const port = socket.portValue ?? 0;
  if (port > 65_535) at.at('port_value').error('must be at most 65535');
  return { address: socket.address, port };
}

function localityOf(group: LocalityLbEndpoints): Locality {
  const { region = '', zone = '', subZone = '' } = group.locality ?? {};
  return { region, zone, subZone };
}

function reportPolicy(assignment: ClusterLoadAssignment, scope: ProblemScope): void {
  scope.unhonouredWhenSet(
    { named_endpoints: Object.keys(assignment.namedEndpoints) },
    'named endpoints are not supported',
  );
  const policy = assignment.policy;
  scope.at('policy').unhonouredWhenSet(
    {
      drop_overloads: policy?.dropOverloads,
      overprovisioning_factor: policy?.overprovisioningFactor,
      endpoint_stale_after: policy?.endpointStaleAfter,
      weighted_priority_health: policy?.weightedPriorityHealth,
    },
    'not supported by this proxy',
  );
}
