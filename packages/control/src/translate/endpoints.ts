/** Instances of a service → ClusterLoadAssignment. Pure; deterministic order, so equal content is equal bytes. */
import { isIP } from 'node:net';
import type { ClusterLoadAssignment, Init, LbEndpoint, LocalityLbEndpoints } from '@sluice/xds';
import type { EndpointTls } from '../model/endpoint-tls.ts';
import { applicationPort, hasLabels, resolvePort } from '../model/instance.ts';
import type { Instance } from '../model/instance.ts';
import { modeOfPort } from '../model/peer-authentication.ts';
import type { InlineEndpoint, MeshService, MeshServicePort } from '../model/service.ts';

/** Key under which endpoints say what their sidecar takes, and what clusters match on. */
export const transportMatchKey = 'envoy.transport_socket_match';
export const mutualTlsMatch = { tlsMode: 'istio' } as const;

interface Target {
  readonly address: string;
  readonly port: number;
  readonly locality: string;
  readonly weight: number;
  readonly isHealthy: boolean;
  readonly workload: string;
  readonly takesMutualTls: boolean;
}

export interface AssignmentSource {
  readonly clusterName: string;
  readonly service: MeshService;
  readonly port: MeshServicePort;
  /** Of the subset; empty for all instances. */
  readonly labels: Readonly<Record<string, string>>;
  readonly instances: readonly Instance[];
  /** What the instances take, in their order. */
  readonly policies: EndpointTls['policies'];
  /** Endpoint resources hold addresses only, one name there refuses them all; logical DNS has one name. */
  readonly resolution: 'addresses' | 'names' | 'first-name';
}

/** Endpoints of one port, narrowed to a subset's labels. */
export function loadAssignment(source: AssignmentSource): Init<ClusterLoadAssignment> {
  const { clusterName, service, port, labels, resolution } = source;
  const all = [...selectedTargets(source), ...inlineTargets(service, port, labels)];
  const targets =
    resolution === 'addresses'
      ? all.filter((target) => isAddress(target.address))
      : resolution === 'names'
        ? all
        : all.slice(0, 1);
  const byLocality = new Map<string, Target[]>();
  for (const target of targets) {
    const group = byLocality.get(target.locality);
    if (group) group.push(target);
    else byLocality.set(target.locality, [target]);
  }
  const localities = [...byLocality.entries()].sort(([a], [b]) => compareText(a, b));
  return { clusterName, endpoints: localities.map(([locality, group]) => localityMessage(locality, group)) };
}

function selectedTargets({ service, port, labels, instances, policies }: AssignmentSource): Target[] {
  return instances.flatMap((instance, index) => {
    if (!hasLabels(labels, instance.labels)) return [];
    const number = resolvePort(instance, port);
    if (number === null) return [];
    const { namespace, labels: own } = instance;
    const policy = policies[index];
    const mode = policy ? modeOfPort(policy, applicationPort(instance, number)) : 'DISABLE';
    return [
      {
        address: instance.address,
        port: number,
        locality: instance.locality,
        weight: instance.weight,
        isHealthy: instance.isHealthy || service.publishNotReady,
        workload: workloadId(instance.workload, namespace, own),
        takesMutualTls: instance.takesMutualTls && mode !== 'DISABLE',
      },
    ];
  });
}

function inlineTargets(
  service: MeshService,
  port: MeshServicePort,
  labels: Readonly<Record<string, string>>,
): Target[] {
  return service.inlineEndpoints
    .filter((endpoint) => endpoint.address !== '' && hasLabels(labels, endpoint.labels))
    .map((endpoint) => ({
      address: endpoint.address,
      port: inlinePort(endpoint, port),
      locality: endpoint.locality,
      weight: endpoint.weight,
      isHealthy: true,
      workload: workloadId(service.source.name, service.namespace, endpoint.labels),
      takesMutualTls: endpoint.takesMutualTls,
    }));
}

/** An address that needs no name service; WorkloadEntries may have names. */
export function isAddress(text: string): boolean {
  return text.startsWith('unix://') || isIP(text) !== 0;
}

function inlinePort(endpoint: InlineEndpoint, port: MeshServicePort): number {
  const named = endpoint.ports[port.name];
  return named ?? (typeof port.targetPort === 'number' ? port.targetPort : port.number);
}

function localityMessage(locality: string, group: readonly Target[]): Init<LocalityLbEndpoints> {
  const [region = '', zone = '', ...rest] = locality.split('/');
  const sorted = [...group].sort((a, b) => compareText(a.address, b.address) || a.port - b.port);
  return {
    locality: { region, zone, subZone: rest.join('/') },
    lbEndpoints: sorted.map(endpointMessage),
    loadBalancingWeight: sorted.reduce((sum, target) => sum + target.weight, 0),
  };
}

function endpointMessage(target: Target): Init<LbEndpoint> {
  const address = target.address.startsWith('unix://')
    ? { pipe: { path: target.address.slice('unix://'.length) } }
    : { socketAddress: { address: target.address, portValue: target.port } };
  return {
    endpoint: { address },
    ...(target.isHealthy ? {} : { healthStatus: 'UNHEALTHY' as const }),
    metadata: {
      filterMetadata: {
        istio: { workload: target.workload },
        ...(target.takesMutualTls ? { [transportMatchKey]: mutualTlsMatch } : {}),
      },
    },
    loadBalancingWeight: target.weight,
  };
}

/** `name;namespace;app;revision;cluster`, as Istio puts it into endpoint metadata. */
function workloadId(workload: string, namespace: string, labels: Readonly<Record<string, string>>): string {
  const app =
    labels['service.istio.io/canonical-name'] ?? labels['app.kubernetes.io/name'] ?? labels['app'] ?? '';
  const revision =
    labels['service.istio.io/canonical-revision'] ??
    labels['app.kubernetes.io/version'] ??
    labels['version'] ??
    '';
  return [workload, namespace, app || workload, revision, 'Kubernetes'].join(';');
}

function compareText(a: string, b: string): number {
  return a < b ? -1 : a > b ? 1 : 0;
}
