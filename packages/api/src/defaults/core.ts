/** Kubernetes' defaults of Service, Pod and Secret. */
import type { Pod, Secret, Service } from '../resource-types.ts';
import { foldStringData } from '../secret-content.ts';

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

/** Text becomes base64, so that there is one place to read. */
export function defaultSecret(secret: Secret): void {
  secret.type ??= 'Opaque';
  const { data } = foldStringData(secret);
  if (data !== undefined) secret.data = data;
  delete secret.stringData;
}
