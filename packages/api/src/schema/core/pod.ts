/**
 * Core Pod, as the description of an instance: addresses, labels, ports, account and readiness. What belongs to
 * the container runtime is known by name, so that a typing error is found, and not looked into.
 */
import { z } from 'zod';
import { optional, required, unused } from '../field.ts';
import {
  flag,
  intOrString,
  nonEmpty,
  nonNegative,
  opaque,
  opaqueList,
  port,
  stringMap,
  text,
  textList,
} from '../primitives.ts';

const containerPort = z.strictObject({
  name: optional(text, 'Name'),
  containerPort: required(port, 'Port'),
  protocol: optional(z.enum(['TCP', 'UDP', 'SCTP']), 'Transport', { default: 'TCP' }),
  hostPort: unused(nonNegative),
  hostIP: unused(text),
});

const podProbe = z.strictObject({
  httpGet: optional(
    z.strictObject({
      path: optional(text, 'Path'),
      port: required(intOrString, 'Port'),
      host: optional(text, 'Host'),
      scheme: optional(text, 'HTTP or HTTPS'),
      httpHeaders: optional(opaqueList, 'Headers'),
    }),
    'HTTP request',
  ),
  tcpSocket: optional(
    z.strictObject({ port: required(intOrString, 'Port'), host: optional(text, 'Host') }),
    'Connection',
  ),
  exec: optional(z.strictObject({ command: optional(textList, 'Command') }), 'Command'),
  grpc: optional(
    z.strictObject({ port: required(port, 'Port'), service: optional(text, 'Service') }),
    'gRPC health',
  ),
  initialDelaySeconds: optional(nonNegative, 'Wait before the first probe'),
  timeoutSeconds: optional(nonNegative, 'Limit'),
  periodSeconds: optional(nonNegative, 'Time between probes'),
  successThreshold: optional(nonNegative, 'Successes to be ready'),
  failureThreshold: optional(nonNegative, 'Failures to be unready'),
  terminationGracePeriodSeconds: optional(nonNegative, 'Grace'),
});

const container = z.strictObject({
  name: required(nonEmpty, 'Name'),
  image: unused(text),
  imagePullPolicy: unused(text),
  command: unused(textList),
  args: unused(textList),
  workingDir: unused(text),
  ports: optional(z.array(containerPort), 'Ports'),
  env: unused(opaqueList),
  envFrom: unused(opaqueList),
  resources: unused(opaque),
  resizePolicy: unused(opaqueList),
  restartPolicy: unused(text),
  restartPolicyRules: unused(opaqueList),
  volumeMounts: unused(opaqueList),
  volumeDevices: unused(opaqueList),
  livenessProbe: unused(podProbe),
  readinessProbe: optional(podProbe, 'Readiness'),
  startupProbe: unused(podProbe),
  lifecycle: unused(opaque),
  terminationMessagePath: unused(text),
  terminationMessagePolicy: unused(text),
  securityContext: unused(opaque),
  stdin: unused(flag),
  stdinOnce: unused(flag),
  tty: unused(flag),
});

export const podSpec = z.strictObject({
  containers: optional(z.array(container), 'Containers, whose named ports services refer to'),
  initContainers: optional(z.array(container), 'Containers that run first'),
  ephemeralContainers: unused(opaqueList),
  serviceAccountName: optional(text, 'Service account, which gives the identity', { default: 'default' }),
  serviceAccount: optional(text, 'Service account', { deprecated: 'use serviceAccountName' }),
  nodeName: optional(text, 'Node'),
  hostname: optional(text, 'Host name'),
  subdomain: optional(text, 'Subdomain'),
  hostNetwork: optional(flag, 'Uses the network of the node'),
  volumes: unused(opaqueList),
  restartPolicy: unused(text),
  terminationGracePeriodSeconds: unused(nonNegative),
  activeDeadlineSeconds: unused(nonNegative),
  dnsPolicy: unused(text),
  dnsConfig: unused(opaque),
  nodeSelector: unused(stringMap),
  automountServiceAccountToken: unused(flag),
  hostPID: unused(flag),
  hostIPC: unused(flag),
  hostUsers: unused(flag),
  shareProcessNamespace: unused(flag),
  securityContext: unused(opaque),
  imagePullSecrets: unused(opaqueList),
  affinity: unused(opaque),
  schedulerName: unused(text),
  tolerations: unused(opaqueList),
  hostAliases: unused(opaqueList),
  priorityClassName: unused(text),
  priority: unused(z.int()),
  readinessGates: unused(opaqueList),
  runtimeClassName: unused(text),
  enableServiceLinks: unused(flag),
  preemptionPolicy: unused(text),
  overhead: unused(opaque),
  topologySpreadConstraints: unused(opaqueList),
  setHostnameAsFQDN: unused(flag),
  os: unused(opaque),
  schedulingGates: unused(opaqueList),
  resourceClaims: unused(opaqueList),
  resources: unused(opaque),
});
export type PodSpec = z.infer<typeof podSpec>;

/** What the mesh reads of a Pod's status; the rest passes through. */
export const podStatus = z.looseObject({
  phase: optional(text, 'Pending, Running, Succeeded, Failed or Unknown'),
  podIP: optional(text, 'Address'),
  podIPs: optional(z.array(z.looseObject({ ip: optional(text, 'Address') })), 'Addresses'),
  hostIP: optional(text, 'Address of the node'),
  conditions: optional(
    z.array(
      z.looseObject({ type: required(text, 'Condition'), status: required(text, 'True, False or Unknown') }),
    ),
    'Conditions; Ready decides whether the instance takes traffic',
  ),
});
export type PodStatus = z.infer<typeof podStatus>;
