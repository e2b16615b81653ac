/** Kubernetes' defaults of Service and Pod. */
import type { Pod, Service } from '../resource-types.ts';

export function defaultService({ spec }: Service): void {
  spec.type ??= 'ClusterIP';
  spec.sessionAffinity ??= 'None';
  spec.internalTrafficPolicy ??= 'Cluster';
  spec.publishNotReadyAddresses ??= false;
  for (const port of spec.ports ?? []) {
    port.protocol ??= 'TCP';
    port.targetPort ??= port.port;
  }
}

export function defaultPod({ spec }: Pod): void {
  spec.serviceAccountName ??= spec.serviceAccount ?? 'default';
  for (const container of [...(spec.containers ?? []), ...(spec.initContainers ?? [])]) {
    for (const port of container.ports ?? []) port.protocol ??= 'TCP';
  }
}
