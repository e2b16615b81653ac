/** Pod and WorkloadEntry objects → Instance; EndpointSlice and Endpoints → given endpoints of a service. */
import type {
  EndpointSliceContent,
  EndpointsContent,
  PodSpec,
  PodStatus,
  WorkloadEntrySpec,
} from '@sluice/api';
import type { StoredObject } from '../source/store.ts';
import { saysMutualTls } from './instance.ts';
import type { Instance } from './instance.ts';

/** Condition of a WorkloadEntry by which Istio, and our registry, say whether it is healthy. */
const healthyCondition = 'Healthy';
/** Written by the registry: `[{name, appPort, inboundPort}]` of a workload whose sidecar has own inbound ports. */
export const portsAnnotation = 'sluice.dev/ports';
/** Written by the registry: the instance has a sidecar of this mesh. */
export const instanceAnnotation = 'sluice.dev/instance';

export function readWorkloadEntry(stored: StoredObject): Instance | null {
  const object = stored.serving;
  if (!object) return null;
  const spec = object.spec as WorkloadEntrySpec;
  if (!spec.address) return null;
  const labels = spec.labels ?? {};
  const annotations = object.metadata.annotations ?? {};
  return {
    key: stored.key,
    namespace: stored.key.namespace,
    address: spec.address,
    labels,
    ports: spec.ports ?? {},
    portNames: 'service',
    portMap: readPortMap(annotations[portsAnnotation]),
    locality: spec.locality ?? '',
    weight: spec.weight || 1,
    network: spec.network ?? '',
    serviceAccount: spec.serviceAccount ?? 'default',
    isHealthy: conditionOf(stored.object.status, healthyCondition) !== 'False',
    workload: labels['service.istio.io/workload-name'] ?? labels['app'] ?? stored.key.name,
    hasSidecar: annotations[instanceAnnotation] !== undefined,
    takesMutualTls: saysMutualTls(labels),
  };
}

export function readPod(stored: StoredObject): Instance | null {
  const object = stored.serving;
  if (!object) return null;
  const spec = (object.spec ?? {}) as PodSpec;
  const status = (stored.object.status ?? {}) as PodStatus;
  if (!status.podIP || status.phase === 'Succeeded' || status.phase === 'Failed') return null;
  const labels = object.metadata.labels ?? {};
  const ports: Record<string, number> = {};
  for (const container of spec.containers ?? []) {
    for (const port of container.ports ?? []) {
      if (port.name !== undefined) ports[port.name] = port.containerPort;
    }
  }
  return {
    key: stored.key,
    namespace: stored.key.namespace,
    address: status.podIP,
    labels,
    ports,
    portNames: 'container',
    portMap: {},
    locality: labels['istio-locality']?.replaceAll('.', '/') ?? '',
    weight: 1,
    network: labels['topology.istio.io/network'] ?? '',
    serviceAccount: spec.serviceAccountName ?? 'default',
    isHealthy: object.metadata.deletionTimestamp === undefined && conditionOf(status, 'Ready') !== 'False',
    workload: workloadOfPod(stored.key.name, labels),
    hasSidecar: object.metadata.annotations?.['sidecar.istio.io/status'] !== undefined,
    takesMutualTls: saysMutualTls(labels),
  };
}

/** Endpoints given by a slice: they replace selection for the service the slice names. */
export function readEndpointSlice(stored: StoredObject): { service: string; endpoints: Instance[] } | null {
  const object = stored.serving;
  if (!object) return null;
  const service = object.metadata.labels?.['kubernetes.io/service-name'];
  if (!service) return null;
  const content = object as unknown as EndpointSliceContent;
  const ports = namedPorts(content.ports ?? []);
  const endpoints = (content.endpoints ?? []).flatMap((endpoint) =>
    endpoint.addresses.map((address) =>
      givenEndpoint(stored, {
        address,
        ports,
        locality: endpoint.zone ?? '',
        workload: endpoint.targetRef?.name ?? service,
        isHealthy: endpoint.conditions?.ready !== false,
      }),
    ),
  );
  return { service, endpoints };
}

export function readEndpoints(stored: StoredObject): { service: string; endpoints: Instance[] } | null {
  const object = stored.serving;
  if (!object) return null;
  const content = object as unknown as EndpointsContent;
  const endpoints = (content.subsets ?? []).flatMap((subset) => {
    const ports = namedPorts(subset.ports ?? []);
    const read = (ip: string, workload: string | undefined, isHealthy: boolean): Instance =>
      givenEndpoint(stored, {
        address: ip,
        ports,
        locality: '',
        workload: workload ?? stored.key.name,
        isHealthy,
      });
    return [
      ...(subset.addresses ?? []).map((one) => read(one.ip, one.targetRef?.name, true)),
      ...(subset.notReadyAddresses ?? []).map((one) => read(one.ip, one.targetRef?.name, false)),
    ];
  });
  return { service: stored.key.name, endpoints };
}

function givenEndpoint(
  stored: StoredObject,
  given: Pick<Instance, 'address' | 'ports' | 'locality' | 'workload' | 'isHealthy'>,
): Instance {
  return {
    ...given,
    key: stored.key,
    namespace: stored.key.namespace,
    labels: {},
    portNames: 'given',
    portMap: {},
    weight: 1,
    network: '',
    serviceAccount: '',
    hasSidecar: false,
    takesMutualTls: false,
  };
}

function namedPorts(ports: readonly { name?: string; port?: number }[]): Record<string, number> {
  const named: Record<string, number> = {};
  for (const port of ports) if (port.port !== undefined) named[port.name ?? ''] = port.port;
  return named;
}

function readPortMap(annotation: string | undefined): Record<number, number> {
  if (annotation === undefined) return {};
  const entries = parseJson(annotation);
  if (!Array.isArray(entries)) return {};
  const map: Record<number, number> = {};
  for (const entry of entries as readonly ({ appPort?: unknown; inboundPort?: unknown } | null)[]) {
    if (isPort(entry?.appPort) && isPort(entry.inboundPort)) map[entry.appPort] = entry.inboundPort;
  }
  return map;
}

/** Undefined for what is not JSON: anybody may write annotations, and only the registry's are meant here. */
function parseJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}

function isPort(value: unknown): value is number {
  return typeof value === 'number' && Number.isInteger(value) && value > 0 && value < 65_536;
}

/** A status is anybody's to write through the API: what is not a list of conditions has none. */
function conditionOf(status: unknown, type: string): string | undefined {
  const conditions = (status as { conditions?: unknown } | null | undefined)?.conditions;
  if (!Array.isArray(conditions)) return undefined;
  const all = conditions as readonly ({ type?: string; status?: string } | null)[];
  return all.find((condition) => condition?.type === type)?.status;
}

/** `reviews-v1-6f7d9c-x2kq` → `reviews-v1`: a pod of a Deployment carries two generated parts. */
function workloadOfPod(name: string, labels: Readonly<Record<string, string>>): string {
  const declared = labels['service.istio.io/workload-name'];
  if (declared) return declared;
  if (labels['pod-template-hash'] !== undefined) return name.split('-').slice(0, -2).join('-') || name;
  return name;
}
