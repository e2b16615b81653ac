/** Service and ServiceEntry objects → MeshService. Pure; one object may make several services. */
import { normalizeHost } from '@sluice/api';
import type { ServiceEntrySpec, ServiceSpec, WorkloadEntrySpec } from '@sluice/api';
import type { StoredObject } from '../source/store.ts';
import { saysMutualTls } from './instance.ts';
import { portProtocol } from './protocol.ts';
import { readExportTo, serviceKey } from './service.ts';
import type { InlineEndpoint, MeshService, MeshServicePort, Resolution } from './service.ts';

/** Annotation by which Istio's users scope a Kubernetes Service. */
const exportToAnnotation = 'networking.istio.io/exportTo';

export function readService(stored: StoredObject, clusterDomain: string): MeshService[] {
  const object = stored.serving;
  if (!object) return [];
  const spec = (object.spec ?? {}) as ServiceSpec;
  const { namespace, name } = stored.key;
  const hostname = `${name}.${namespace}.svc.${clusterDomain}`;
  const isExternalName = spec.type === 'ExternalName' && spec.externalName !== undefined;
  const isHeadless = spec.clusterIP === 'None';
  const listed = object.metadata.annotations?.[exportToAnnotation]?.split(',').map((part) => part.trim());
  return [
    {
      key: serviceKey(namespace, hostname),
      hostname,
      namespace,
      name,
      ports: (spec.ports ?? []).map((port) => ({
        number: port.port,
        name: port.name ?? '',
        protocol: portProtocol({
          number: port.port,
          name: port.name,
          appProtocol: port.appProtocol,
          transport: port.protocol,
        }),
        targetPort: port.targetPort ?? port.port,
      })),
      addresses: virtualAddresses(spec),
      resolution: isExternalName ? 'dns' : 'registry',
      isExternal: isExternalName,
      externalName: isExternalName ? normalizeHost(spec.externalName ?? '') : null,
      isHeadless,
      // A name has no instances: Kubernetes ignores its selector.
      selector:
        !isExternalName && spec.selector && Object.keys(spec.selector).length > 0 ? spec.selector : null,
      publishNotReady: spec.publishNotReadyAddresses === true,
      inlineEndpoints: isExternalName && spec.externalName ? [namedEndpoint(spec.externalName)] : [],
      subjectAltNames: [],
      exportTo: readExportTo(listed, namespace),
      source: stored.key,
      createdMs: stored.createdMs,
      labels: object.metadata.labels ?? {},
    },
  ];
}

/** One MeshService per host, as Istio keys them. */
export function readServiceEntry(stored: StoredObject): MeshService[] {
  const object = stored.serving;
  if (!object) return [];
  const spec = object.spec as ServiceEntrySpec;
  const { namespace } = stored.key;
  const resolution = entryResolution(spec);
  const inline = (spec.endpoints ?? []).map(readInlineEndpoint);
  return spec.hosts.map(normalizeHost).map((hostname) => ({
    key: serviceKey(namespace, hostname),
    hostname,
    namespace,
    name: hostname,
    ports: (spec.ports ?? []).map(readEntryPort),
    addresses: spec.addresses ?? [],
    resolution,
    isExternal: spec.location !== 'MESH_INTERNAL',
    externalName: null,
    isHeadless: false,
    selector: spec.workloadSelector?.labels ?? null,
    publishNotReady: false,
    // Without endpoints of its own, a DNS entry resolves its host.
    inlineEndpoints:
      inline.length === 0 && isDns(resolution) && spec.workloadSelector === undefined
        ? [namedEndpoint(hostname)]
        : inline,
    subjectAltNames: spec.subjectAltNames ?? [],
    exportTo: readExportTo(spec.exportTo, namespace),
    source: stored.key,
    createdMs: stored.createdMs,
    labels: object.metadata.labels ?? {},
  }));
}

export function isDns(resolution: Resolution): boolean {
  return resolution === 'dns' || resolution === 'dns-round-robin';
}

function entryResolution(spec: ServiceEntrySpec): Resolution {
  switch (spec.resolution) {
    case 'STATIC':
      return 'static';
    case 'DNS':
      return 'dns';
    case 'DNS_ROUND_ROBIN':
      return 'dns-round-robin';
    default:
      return 'none';
  }
}

function readEntryPort(port: NonNullable<ServiceEntrySpec['ports']>[number]): MeshServicePort {
  return {
    number: port.number,
    name: port.name,
    protocol: portProtocol({ number: port.number, name: port.name, appProtocol: port.protocol }),
    targetPort: port.targetPort ?? port.number,
  };
}

function readInlineEndpoint(endpoint: WorkloadEntrySpec): InlineEndpoint {
  return {
    address: endpoint.address ?? '',
    ports: endpoint.ports ?? {},
    labels: endpoint.labels ?? {},
    locality: endpoint.locality ?? '',
    weight: endpoint.weight || 1,
    network: endpoint.network ?? '',
    serviceAccount: endpoint.serviceAccount ?? '',
    takesMutualTls: saysMutualTls(endpoint.labels ?? {}),
  };
}

/** An endpoint that is only an address or a name. */
export function namedEndpoint(address: string): InlineEndpoint {
  return {
    address,
    ports: {},
    labels: {},
    locality: '',
    weight: 1,
    network: '',
    serviceAccount: '',
    takesMutualTls: false,
  };
}

function virtualAddresses(spec: ServiceSpec): string[] {
  const all = spec.clusterIPs ?? (spec.clusterIP === undefined ? [] : [spec.clusterIP]);
  return all.filter((address) => address !== 'None' && address !== '');
}
