/**
 * Core Pod, as the description of an instance: addresses, labels, ports, account and readiness. What belongs to
 * the container runtime is known by name, so that a typing error is found, and not looked into.
 */
import { z } from 'zod';
import { optional, required } from '../field.ts';
import { flag, intOrString, nonEmpty, nonNegative, opaque, opaqueList, port, stringMap, text, textList } from '../primitives.ts';

const containerPort = z.strictObject({
  name: optional(text, 'Name'),
  containerPort: required(port, 'Port'),
  protocol: optional(z.enum(['TCP', 'UDP', 'SCTP']), 'Transport', { default: 'TCP' }),
  hostPort: optional(nonNegative, 'Not used'),
  hostIP: optional(text, 'Not used'),
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
  tcpSocket: optional(z.strictObject({ port: required(intOrString, 'Port'), host: optional(text, 'Host') }), 'Connection'),
  exec: optional(z.strictObject({ command: optional(textList, 'Command') }), 'Command'),
  grpc: optional(z.strictObject({ port: required(port, 'Port'), service: optional(text, 'Service') }), 'gRPC health'),
  initialDelaySeconds: optional(nonNegative, 'Wait before the first probe'),
  timeoutSeconds: optional(nonNegative, 'Limit'),
  periodSeconds: optional(nonNegative, 'Time between probes'),
  successThreshold: optional(nonNegative, 'Successes to be ready'),
  failureThreshold: optional(nonNegative, 'Failures to be unready'),
  terminationGracePeriodSeconds: optional(nonNegative, 'Grace'),
});

const container = z.strictObject({
  name: required(nonEmpty, 'Name'),
  image: optional(text, 'Image; not used'),
  imagePullPolicy: optional(text, 'Not used'),
  command: optional(textList, 'Not used'),
  args: optional(textList, 'Not used'),
  workingDir: optional(text, 'Not used'),
  ports: optional(z.array(containerPort), 'Ports'),
  env: optional(opaqueList, 'Not used'),
  envFrom: optional(opaqueList, 'Not used'),
  resources: optional(opaque, 'Not used'),
  resizePolicy: optional(opaqueList, 'Not used'),
  restartPolicy: optional(text, 'Not used'),
  restartPolicyRules: optional(opaqueList, 'Not used'),
  volumeMounts: optional(opaqueList, 'Not used'),
  volumeDevices: optional(opaqueList, 'Not used'),
  livenessProbe: optional(podProbe, 'Not used'),
  readinessProbe: optional(podProbe, 'Readiness'),
  startupProbe: optional(podProbe, 'Not used'),
  lifecycle: optional(opaque, 'Not used'),
  terminationMessagePath: optional(text, 'Not used'),
  terminationMessagePolicy: optional(text, 'Not used'),
  securityContext: optional(opaque, 'Not used'),
  stdin: optional(flag, 'Not used'),
  stdinOnce: optional(flag, 'Not used'),
  tty: optional(flag, 'Not used'),
});

export const podSpec = z.strictObject({
  containers: optional(z.array(container), 'Containers, whose named ports services refer to'),
  initContainers: optional(z.array(container), 'Containers that run first'),
  ephemeralContainers: optional(opaqueList, 'Not used'),
  serviceAccountName: optional(text, 'Service account, which gives the identity', { default: 'default' }),
  serviceAccount: optional(text, 'Service account', { deprecated: 'use serviceAccountName' }),
  nodeName: optional(text, 'Node'),
  hostname: optional(text, 'Host name'),
  subdomain: optional(text, 'Subdomain'),
  hostNetwork: optional(flag, 'Uses the network of the node'),
  volumes: optional(opaqueList, 'Not used'),
  restartPolicy: optional(text, 'Not used'),
  terminationGracePeriodSeconds: optional(nonNegative, 'Not used'),
  activeDeadlineSeconds: optional(nonNegative, 'Not used'),
  dnsPolicy: optional(text, 'Not used'),
  dnsConfig: optional(opaque, 'Not used'),
  nodeSelector: optional(stringMap, 'Not used'),
  automountServiceAccountToken: optional(flag, 'Not used'),
  hostPID: optional(flag, 'Not used'),
  hostIPC: optional(flag, 'Not used'),
  hostUsers: optional(flag, 'Not used'),
  shareProcessNamespace: optional(flag, 'Not used'),
  securityContext: optional(opaque, 'Not used'),
  imagePullSecrets: optional(opaqueList, 'Not used'),
  affinity: optional(opaque, 'Not used'),
  schedulerName: optional(text, 'Not used'),
  tolerations: optional(opaqueList, 'Not used'),
  hostAliases: optional(opaqueList, 'Not used'),
  priorityClassName: optional(text, 'Not used'),
  priority: optional(z.int(), 'Not used'),
  readinessGates: optional(opaqueList, 'Not used'),
  runtimeClassName: optional(text, 'Not used'),
  enableServiceLinks: optional(flag, 'Not used'),
  preemptionPolicy: optional(text, 'Not used'),
  overhead: optional(opaque, 'Not used'),
  topologySpreadConstraints: optional(opaqueList, 'Not used'),
  setHostnameAsFQDN: optional(flag, 'Not used'),
  os: optional(opaque, 'Not used'),
  schedulingGates: optional(opaqueList, 'Not used'),
  resourceClaims: optional(opaqueList, 'Not used'),
  resources: optional(opaque, 'Not used'),
});
export type PodSpec = z.infer<typeof podSpec>;

/** What the mesh reads of a Pod's status; the rest passes through. */
export const podStatus = z.looseObject({
  phase: optional(text, 'Pending, Running, Succeeded, Failed or Unknown'),
  podIP: optional(text, 'Address'),
  podIPs: optional(z.array(z.looseObject({ ip: optional(text, 'Address') })), 'Addresses'),
  hostIP: optional(text, 'Address of the node'),
  conditions: optional(
    z.array(z.looseObject({ type: required(text, 'Condition'), status: required(text, 'True, False or Unknown') })),
    'Conditions; Ready decides whether the instance takes traffic',
  ),
});
export type PodStatus = z.infer<typeof podStatus>;
