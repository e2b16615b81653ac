/** Instances of a service → ClusterLoadAssignment. Pure; deterministic order, so equal content is equal bytes. */
import type { ClusterLoadAssignment, Init, LbEndpoint, LocalityLbEndpoints } from '@sluice/xds';
import { hasLabels, resolvePort } from '../model/instance.ts';
import type { Instance } from '../model/instance.ts';
import type { InlineEndpoint, MeshService, MeshServicePort } from '../model/service.ts';

interface Target {
  readonly address: string;
  readonly port: number;
  readonly locality: string;
  readonly weight: number;
  readonly isHealthy: boolean;
  readonly workload: string;
}

/** Endpoints of one port, narrowed to a subset's labels. */
export function loadAssignment(
  clusterName: string,
  service: MeshService,
  port: MeshServicePort,
  labels: Readonly<Record<string, string>>,
  instances: readonly Instance[],
): Init<ClusterLoadAssignment> {
  const targets = [
    ...selectedTargets(service, port, labels, instances),
    ...inlineTargets(service, port, labels),
  ];
  const byLocality = new Map<string, Target[]>();
  for (const target of targets) {
    const group = byLocality.get(target.locality);
    if (group) group.push(target);
    else byLocality.set(target.locality, [target]);
  }
  const localities = [...byLocality.entries()].sort(([a], [b]) => compareText(a, b));
  return { clusterName, endpoints: localities.map(([locality, group]) => localityMessage(locality, group)) };
}

/** How many endpoints a subset has, healthy or not: a subset that selects nothing is reported. */
export function countTargets(
  service: MeshService,
  port: MeshServicePort,
  labels: Readonly<Record<string, string>>,
  instances: readonly Instance[],
): number {
  return (
    selectedTargets(service, port, labels, instances).length + inlineTargets(service, port, labels).length
  );
}

function selectedTargets(
  service: MeshService,
  port: MeshServicePort,
  labels: Readonly<Record<string, string>>,
  instances: readonly Instance[],
): Target[] {
  return instances.flatMap((instance) => {
    if (!hasLabels(labels, instance.labels)) return [];
    const number = resolvePort(instance, port);
    if (number === null) return [];
    const { namespace, labels: own } = instance;
    return [
      {
        address: instance.address,
        port: number,
        locality: instance.locality,
        weight: instance.weight,
        isHealthy: instance.isHealthy || service.publishNotReady,
        workload: workloadId(instance.workload, namespace, own),
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
    }));
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
    metadata: { filterMetadata: { istio: { workload: target.workload } } },
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
