/** sluice.yaml: a local mesh, that is its settings, its resources and the workloads that run in it. */
import { z } from 'zod';
import { optional, required } from './field.ts';
import { meshConfig } from './mesh-config.ts';
import {
  duration,
  flag,
  nonEmpty,
  nonNegative,
  port,
  positive,
  stringMap,
  text,
  textList,
} from './primitives.ts';

const command = z.union([z.string().min(1), z.array(z.string()).min(1)], {
  error: 'must be a command line or a list of command and arguments',
});

const serviceName = z.string().max(127, 'must be at most 127 characters long');

const readiness = z.strictObject({
  http: optional(
    z.union([
      text,
      z.strictObject({
        path: optional(text, 'Path', { default: '/' }),
        port: optional(port, 'Port', { default: 'the first port' }),
        headers: optional(stringMap, 'Headers sent'),
      }),
    ]),
    'Ready when this path is answered with 200 to 399',
  ),
  tcp: optional(
    z.union([port, flag, z.strictObject({ port: optional(port, 'Port', { default: 'the first port' }) })]),
    'Ready when a connection is accepted; `true` means the first port',
  ),
  grpc: optional(
    z.union([
      port,
      flag,
      serviceName,
      z.strictObject({
        port: optional(port, 'Port', { default: 'the first port' }),
        service: optional(serviceName, 'Name of the service', { default: 'the whole server' }),
      }),
    ]),
    'Ready when the gRPC health check (grpc.health.v1) of the first port, of this port or of this service says SERVING',
  ),
  exec: optional(command, 'Ready when this command exits with 0'),
  initialDelay: optional(duration, 'Wait before the first probe', { default: '0s' }),
  period: optional(duration, 'Time between probes', { default: '750ms' }),
  timeout: optional(duration, 'Limit of a probe', { default: '1s' }),
  successThreshold: optional(positive, 'Successes in a row to be ready', { default: '1' }),
  failureThreshold: optional(positive, 'Failures in a row to be unready', { default: '3' }),
});

const portSetting = z.union(
  [
    port,
    z.strictObject({
      name: optional(text, 'Port name; its prefix up to a dash tells the protocol', { default: 'http' }),
      port: required(port, 'Port of the service'),
      targetPort: optional(port, 'Port of the application', { default: 'allotted, and given as PORT' }),
      protocol: optional(text, 'Protocol', { default: 'by name' }),
    }),
  ],
  { error: 'must be a port number or an object with name, port and targetPort' },
);

const portFields = {
  port: optional(port, 'Port of the application, when it has one'),
  ports: optional(z.array(portSetting), 'Ports of the application, when it has several'),
  protocol: optional(text, 'Protocol of the port', { default: 'http' }),
};

const alternative = z.strictObject({
  requires: optional(z.union([text, textList]), 'Programs that must be on PATH'),
  command: required(command, 'Command to run then'),
  cwd: optional(text, 'Folder to run it in'),
  env: optional(z.record(z.string(), z.union([z.string(), z.number(), z.boolean()])), 'Further environment'),
});

const workloadFields = {
  namespace: optional(text, 'Namespace', { default: 'default' }),
  command: optional(command, 'Command to run; a text is split at blanks, quotes honoured'),
  requires: optional(z.union([text, textList]), 'Programs that must be on PATH'),
  alternatives: optional(
    z.array(alternative),
    'Commands to try in order before `command`; the first whose programs are found runs',
  ),
  cwd: optional(text, 'Folder to run it in', { default: 'that of the file' }),
  env: optional(z.record(z.string(), z.union([z.string(), z.number(), z.boolean()])), 'Environment'),
  ...portFields,
  replicas: optional(nonNegative.max(1000, 'must be at most 1000'), 'Instances', { default: '1' }),
  labels: optional(stringMap, 'Labels', { default: 'app: name, version: version' }),
  service: optional(z.union([text, z.literal(false)]), 'Service made for the workload; false for none', {
    default: 'the name',
  }),
  serviceAccount: optional(text, 'Service account', { default: 'the name' }),
  version: optional(text, 'Value of the version label', { default: 'v1' }),
  locality: optional(text, 'region/zone/subzone'),
  weight: optional(positive, 'Share relative to other instances', { default: '1' }),
  readiness: optional(readiness, 'When an instance takes traffic', {
    default: 'when its ports accept connections',
  }),
  restart: optional(z.enum(['always', 'on-failure', 'never']), 'When it is started again', {
    default: 'always',
  }),
  dependsOn: optional(textList, 'Workloads that must be ready first'),
  sidecar: optional(flag, 'Run it behind a sidecar', { default: 'true' }),
  secretPaths: optional(
    textList,
    'Files and folders, relative to its own, from which its sidecar may read certificates and keys that DestinationRules name',
    { default: 'none' },
  ),
  allowBypass: optional(
    flag,
    'Under STRICT, run it although it listens beyond loopback, where its sidecar can be bypassed',
    { default: 'false' },
  ),
  stopTimeout: optional(duration, 'Time between SIGTERM and SIGKILL', { default: '10s' }),
};

const namedWorkload = z.strictObject({ name: required(nonEmpty, 'Name'), ...workloadFields });
const workload = z.strictObject({
  name: optional(nonEmpty, 'Name, when it is not the key'),
  ...workloadFields,
});

export const sluiceFile = z.strictObject({
  name: optional(text, 'Name of the mesh', { default: 'that of the folder' }),
  meshConfig: optional(meshConfig, "Settings of the mesh, in the schema of Istio's MeshConfig"),
  resources: optional(z.union([text, textList]), 'Folders or files with mesh resources', { default: 'mesh' }),
  workloads: optional(
    z.union([z.array(namedWorkload), z.record(z.string(), workload)]),
    'Workloads, as a list or by name',
  ),
  ports: optional(
    z.strictObject({
      xds: optional(port, 'Configuration of proxies', { default: '15010' }),
      secure: optional(port, 'Configuration and certificates over TLS', { default: '15012' }),
      metrics: optional(port, 'Metrics of the control plane', { default: '15014' }),
      api: optional(port, 'API and page', { default: '15080' }),
      sidecars: optional(
        z.strictObject({
          from: required(port, 'First port'),
          to: required(port, 'Last port'),
        }),
        'Ports that sidecars and applications are given',
      ),
    }),
    'Ports of the control plane',
  ),
});
export type SluiceFile = z.infer<typeof sluiceFile>;
export type SluiceWorkloadInput = z.infer<typeof workload>;
export type SluiceReadiness = z.infer<typeof readiness>;
