/** Core kinds that describe services: Service, Namespace, ServiceAccount. */
import { z } from 'zod';
import { optional, required, unused } from '../field.ts';
import {
  flag,
  intOrString,
  nonNegative,
  opaqueList,
  port,
  positive,
  stringMap,
  text,
  textList,
} from '../primitives.ts';

const servicePort = z.strictObject({
  name: optional(text, 'Name; its prefix up to a dash tells the protocol (http, grpc, tcp, …)'),
  protocol: optional(z.enum(['TCP', 'UDP', 'SCTP']), 'Transport', { default: 'TCP' }),
  appProtocol: optional(text, 'Protocol; stronger than the name'),
  port: required(port, 'Port of the service'),
  targetPort: optional(intOrString, 'Port of the instances, by number or name', { default: 'the port' }),
  nodePort: unused(nonNegative),
});
export type ServicePort = z.infer<typeof servicePort>;

export const serviceSpec = z.strictObject({
  selector: optional(stringMap, 'Labels of the instances'),
  ports: optional(z.array(servicePort), 'Ports'),
  type: optional(z.enum(['ClusterIP', 'NodePort', 'LoadBalancer', 'ExternalName']), 'Type', {
    default: 'ClusterIP',
  }),
  clusterIP: optional(text, 'Virtual address; None for a headless service'),
  clusterIPs: optional(textList, 'Virtual addresses'),
  externalName: optional(
    text,
    'Name that the service stands for: an alias, where it is of the mesh; a DNS name elsewhere',
  ),
  externalIPs: optional(textList, 'Further addresses'),
  sessionAffinity: optional(z.enum(['None', 'ClientIP']), 'Session affinity', { default: 'None' }),
  sessionAffinityConfig: optional(
    z.strictObject({
      clientIP: optional(
        z.strictObject({ timeoutSeconds: optional(positive, 'Life', { default: '10800' }) }),
        'By address',
      ),
    }),
    'Session affinity',
  ),
  ipFamilies: optional(z.array(z.enum(['IPv4', 'IPv6'])), 'Address families'),
  ipFamilyPolicy: optional(
    z.enum(['SingleStack', 'PreferDualStack', 'RequireDualStack']),
    'Address families',
  ),
  publishNotReadyAddresses: optional(flag, 'Instances that are not ready take traffic too', {
    default: 'false',
  }),
  internalTrafficPolicy: optional(z.enum(['Cluster', 'Local']), 'Preference by node', { default: 'Cluster' }),
  externalTrafficPolicy: unused(z.enum(['Cluster', 'Local'])),
  healthCheckNodePort: unused(nonNegative),
  allocateLoadBalancerNodePorts: unused(flag),
  loadBalancerClass: unused(text),
  loadBalancerIP: unused(text),
  loadBalancerSourceRanges: unused(textList),
  trafficDistribution: optional(text, 'PreferClose, PreferSameZone or PreferSameNode'),
});
export type ServiceSpec = z.infer<typeof serviceSpec>;

export const namespaceSpec = z.strictObject({
  finalizers: optional(textList, 'Names that must be removed before the namespace goes'),
});
export type NamespaceSpec = z.infer<typeof namespaceSpec>;

/** ServiceAccount keeps its content beside the metadata. */
export const serviceAccountFields = {
  secrets: unused(opaqueList),
  imagePullSecrets: unused(opaqueList),
  automountServiceAccountToken: unused(flag),
};
