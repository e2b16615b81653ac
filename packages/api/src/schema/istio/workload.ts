/** networking.istio.io ServiceEntry, WorkloadEntry, WorkloadGroup: services and instances outside a cluster. */
import { z } from 'zod';
import { optional, required } from '../field.ts';
import { int32, nonEmpty, port, stringMap, text, textList, uint32 } from '../primitives.ts';

export const workloadEntrySpec = z.strictObject({
  address: optional(text, 'IP address, DNS name or unix:// socket'),
  ports: optional(z.record(z.string(), port), 'Port numbers by port name'),
  labels: optional(stringMap, 'Labels, by which services select the workload'),
  network: optional(text, 'Network; endpoints of one network reach each other directly'),
  locality: optional(text, 'region/zone/subzone'),
  weight: optional(uint32, 'Share relative to other endpoints', { default: '1' }),
  serviceAccount: optional(text, 'Service account, which gives the identity'),
});
export type WorkloadEntrySpec = z.infer<typeof workloadEntrySpec>;

export const workloadSelector = z.strictObject({
  labels: optional(stringMap, 'Labels that a workload must carry'),
});

const serviceEntryPort = z.strictObject({
  number: required(port, 'Port number'),
  name: required(nonEmpty, 'Port name'),
  protocol: optional(text, 'HTTP, HTTPS, GRPC, HTTP2, MONGO, TCP or TLS', { default: 'by port name' }),
  targetPort: optional(port, 'Port of the endpoints', { default: 'the port number' }),
});

export const serviceEntrySpec = z.strictObject({
  hosts: required(
    textList.min(1, 'must name at least one host').max(256, 'must name at most 256 hosts'),
    'Names of the service',
  ),
  addresses: optional(textList, 'Virtual addresses (IP or CIDR)'),
  ports: optional(z.array(serviceEntryPort), 'Ports of the service'),
  location: optional(z.enum(['MESH_EXTERNAL', 'MESH_INTERNAL']), 'Whether its instances belong to the mesh', {
    default: 'MESH_EXTERNAL',
  }),
  resolution: optional(
    z.enum(['NONE', 'STATIC', 'DNS', 'DNS_ROUND_ROBIN', 'DYNAMIC_DNS']),
    'How endpoints are found: NONE takes the original destination',
    { default: 'NONE' },
  ),
  endpoints: optional(z.array(workloadEntrySpec).max(4096, 'must have at most 4096 endpoints'), 'Endpoints'),
  workloadSelector: optional(workloadSelector, 'Instances that are the endpoints (MESH_INTERNAL only)'),
  exportTo: optional(textList, 'Namespaces that see the service: `.` own, `*` all', { default: '[*]' }),
  subjectAltNames: optional(textList, 'Names of which its instances must prove one'),
});
export type ServiceEntrySpec = z.infer<typeof serviceEntrySpec>;
export type ServiceEntryPort = z.infer<typeof serviceEntryPort>;

const readinessProbe = z.strictObject({
  initialDelaySeconds: optional(int32.min(0), 'Wait before the first probe', { default: '0' }),
  timeoutSeconds: optional(int32.min(0), 'Limit of a probe', { default: '1' }),
  periodSeconds: optional(int32.min(0), 'Time between probes', { default: '10' }),
  successThreshold: optional(int32.min(0), 'Successes in a row to be ready', { default: '1' }),
  failureThreshold: optional(int32.min(0), 'Failures in a row to be unready', { default: '3' }),
  httpGet: optional(
    z.strictObject({
      path: optional(text, 'Path', { default: '/' }),
      port: required(port, 'Port'),
      host: optional(text, 'Host', { default: 'the address of the workload' }),
      scheme: optional(text, 'HTTP or HTTPS', { default: 'HTTP' }),
      httpHeaders: optional(
        z.array(z.strictObject({ name: optional(text, 'Name'), value: optional(text, 'Value') })),
        'Headers sent',
      ),
    }),
    'Ready when this request is answered with 200 to 399',
  ),
  tcpSocket: optional(
    z.strictObject({ host: optional(text, 'Host'), port: required(port, 'Port') }),
    'Ready when a connection is accepted',
  ),
  exec: optional(
    z.strictObject({ command: required(textList, 'Command and arguments') }),
    'Ready when the command exits with 0',
  ),
  grpc: optional(
    z.strictObject({ port: optional(port, 'Port'), service: optional(text, 'Service asked about') }),
    'Ready when the gRPC health service says so',
  ),
});
export type WorkloadProbe = z.infer<typeof readinessProbe>;

export const workloadGroupSpec = z.strictObject({
  metadata: optional(
    z.strictObject({
      labels: optional(stringMap, 'Labels of the entries'),
      annotations: optional(stringMap, 'Annotations of the entries'),
    }),
    'Metadata of the entries made from the group',
  ),
  template: required(workloadEntrySpec, 'Entries made from the group'),
  probe: optional(readinessProbe, 'When an instance is ready'),
});
export type WorkloadGroupSpec = z.infer<typeof workloadGroupSpec>;
