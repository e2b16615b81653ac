/** The columns each kind prints, as Kubernetes and Istio's own definitions name them, and how long ago is said. */
import type { KubeObject } from '@sluice/api';
import { conditionsOf } from '../conditions.ts';

export interface Column {
  readonly name: string;
  readonly about: string;
  /** Shown with `-o wide` only. */
  readonly isWide?: boolean;
  readonly cell: (object: KubeObject, nowMs: number) => string;
}

export function columnsOf(group: string, kind: string): readonly Column[] {
  return [nameColumn, ...(columnsByKind[`${group}/${kind}`] ?? []), ageColumn];
}

/** `5s`, `3m12s`, `4h`, `12d`: two units while the second one still says something. */
export function formatAge(elapsedMs: number): string {
  const seconds = Math.max(0, Math.floor(elapsedMs / 1000));
  if (seconds < 120) return `${seconds}s`;
  const minutes = Math.floor(seconds / 60);
  if (minutes < 10) return `${minutes}m${seconds % 60 === 0 ? '' : `${seconds % 60}s`}`;
  if (minutes < 180) return `${minutes}m`;
  const hours = Math.floor(minutes / 60);
  if (hours < 8) return `${hours}h${minutes % 60 === 0 ? '' : `${minutes % 60}m`}`;
  if (hours < 48) return `${hours}h`;
  const days = Math.floor(hours / 24);
  return days < 730 ? `${days}d` : `${Math.floor(days / 365)}y`;
}

type Fields = Readonly<Record<string, unknown>>;

const nameColumn: Column = {
  name: 'Name',
  about: 'Name, unique in its namespace',
  cell: (object) => object.metadata.name,
};

const ageColumn: Column = {
  name: 'Age',
  about: 'Time since it was first seen',
  cell: (object, nowMs) => {
    const created = object.metadata.creationTimestamp;
    return created === undefined ? '<unknown>' : formatAge(nowMs - Date.parse(created));
  },
};

/** A column that shows one field, lists joined by commas. */
function field(name: string, about: string, ...path: string[]): Column {
  return { name, about, cell: (object) => show(at(object, path)) };
}

function wide(column: Column): Column {
  return { ...column, isWide: true };
}

/** The status of one condition, wherever the kind keeps its conditions. */
function condition(name: string, type: string): Column {
  return {
    name,
    about: `Condition ${type}`,
    cell: (object) => {
      const found = conditionsOf(object).filter((item) => item.type === type);
      return (found.find((item) => item.status !== 'True') ?? found[0])?.status ?? '';
    },
  };
}

const accepted = condition('Accepted', 'Accepted');
const programmed = condition('Programmed', 'Programmed');

const columnsByKind: Readonly<Record<string, readonly Column[]>> = {
  '/Service': [
    {
      name: 'Type',
      about: 'Type of the service',
      cell: (object) => show(at(object, ['spec', 'type'])) || 'ClusterIP',
    },
    field('Cluster-IP', 'Virtual address', 'spec', 'clusterIP'),
    {
      name: 'Port(s)',
      about: 'Ports',
      cell: (object) => listAt(object, ['spec', 'ports']).map(servicePort).join(','),
    },
    wide({
      name: 'Selector',
      about: 'Labels of its instances',
      cell: (object) => labels(at(object, ['spec', 'selector'])),
    }),
  ],
  '/Secret': [
    field('Type', 'Type of the secret', 'type'),
    {
      name: 'Data',
      about: 'Number of entries',
      cell: (object) => String(Object.keys((object['data'] ?? {}) as object).length),
    },
  ],
  '/Namespace': [
    { name: 'Status', about: 'Phase', cell: (object) => show(at(object, ['status', 'phase'])) || 'Active' },
  ],
  '/Pod': [
    { name: 'Ready', about: 'Condition Ready', cell: (object) => condition('', 'Ready').cell(object, 0) },
    field('Status', 'Phase', 'status', 'phase'),
    field('IP', 'Address', 'status', 'podIP'),
  ],
  '/Endpoints': [
    {
      name: 'Endpoints',
      about: 'Addresses',
      cell: (object) =>
        listAt(object, ['subsets'])
          .flatMap((subset) => listAt(subset, ['addresses']).map((address) => show(address['ip'])))
          .join(','),
    },
  ],
  'discovery.k8s.io/EndpointSlice': [
    field('AddressType', 'Kind of addresses', 'addressType'),
    {
      name: 'Ports',
      about: 'Ports',
      cell: (object) =>
        listAt(object, ['ports'])
          .map((item) => show(item['port']))
          .join(','),
    },
    {
      name: 'Endpoints',
      about: 'Addresses',
      cell: (object) =>
        listAt(object, ['endpoints'])
          .map((item) => show(item['addresses']))
          .join(','),
    },
  ],
  'networking.istio.io/VirtualService': [
    field('Gateways', 'Gateways it is attached to', 'spec', 'gateways'),
    field('Hosts', 'Hosts it routes', 'spec', 'hosts'),
    wide(accepted),
  ],
  'networking.istio.io/DestinationRule': [
    field('Host', 'Host it is for', 'spec', 'host'),
    wide({
      name: 'Subsets',
      about: 'Subsets it defines',
      cell: (object) =>
        listAt(object, ['spec', 'subsets'])
          .map((item) => show(item['name']))
          .join(','),
    }),
    wide(accepted),
  ],
  'networking.istio.io/ServiceEntry': [
    field('Hosts', 'Hosts of the service', 'spec', 'hosts'),
    field('Location', 'In or outside the mesh', 'spec', 'location'),
    field('Resolution', 'How endpoints are found', 'spec', 'resolution'),
    wide(accepted),
  ],
  'networking.istio.io/WorkloadEntry': [
    field('Address', 'Address of the instance', 'spec', 'address'),
    condition('Healthy', 'Healthy'),
    wide({ name: 'Labels', about: 'Labels', cell: (object) => labels(at(object, ['spec', 'labels'])) }),
  ],
  'networking.istio.io/WorkloadGroup': [],
  'networking.istio.io/Sidecar': [wide(accepted)],
  'networking.istio.io/Gateway': [
    {
      name: 'Hosts',
      about: 'Hosts of its servers',
      cell: (object) =>
        listAt(object, ['spec', 'servers'])
          .map((item) => show(item['hosts']))
          .join(','),
    },
    wide(accepted),
  ],
  'security.istio.io/PeerAuthentication': [
    {
      name: 'Mode',
      about: 'Mutual TLS mode',
      cell: (object) => show(at(object, ['spec', 'mtls', 'mode'])) || 'UNSET',
    },
    wide(accepted),
  ],
  'gateway.networking.k8s.io/HTTPRoute': [
    field('Hostnames', 'Host names', 'spec', 'hostnames'),
    wide(accepted),
  ],
  'gateway.networking.k8s.io/Gateway': [
    field('Class', 'Gateway class', 'spec', 'gatewayClassName'),
    {
      name: 'Address',
      about: 'Addresses',
      cell: (object) =>
        listAt(object, ['status', 'addresses'])
          .map((item) => show(item['value']))
          .join(','),
    },
    programmed,
  ],
  'gateway.networking.k8s.io/GatewayClass': [
    field('Controller', 'Controller', 'spec', 'controllerName'),
    accepted,
  ],
};

function at(value: unknown, path: readonly string[]): unknown {
  let present: unknown = value;
  for (const step of path) {
    if (typeof present !== 'object' || present === null) return undefined;
    present = (present as Fields)[step];
  }
  return present;
}

function listAt(value: unknown, path: readonly string[]): readonly Fields[] {
  const found = at(value, path);
  return Array.isArray(found)
    ? found.filter((item): item is Fields => typeof item === 'object' && item !== null)
    : [];
}

function show(value: unknown): string {
  if (value === undefined || value === null) return '';
  if (Array.isArray(value)) return value.map(show).join(',');
  return typeof value === 'object' ? JSON.stringify(value) : String(value);
}

function labels(value: unknown): string {
  if (typeof value !== 'object' || value === null) return '';
  return Object.entries(value)
    .map(([name, text]) => `${name}=${show(text)}`)
    .join(',');
}

function servicePort(port: Fields): string {
  const nodePort = port['nodePort'] === undefined ? '' : `:${show(port['nodePort'])}`;
  return `${show(port['port'])}${nodePort}/${show(port['protocol']) || 'TCP'}`;
}
