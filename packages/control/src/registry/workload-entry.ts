/** A registration as the WorkloadEntry that the model reads (design §6, One service model). */
import type { KubeObject, Registration } from '@sluice/api';

/** Marks the entry as an instance with a sidecar of this mesh; the value is the instance. */
const instanceAnnotation = 'sluice.dev/instance';
/** `[{name, appPort, inboundPort}]`: which of the sidecar's ports takes an application port's traffic. */
const portsAnnotation = 'sluice.dev/ports';

/** Istio's label for instances whose sidecar takes mutual TLS, and the capability that says so. */
const tlsModeLabel = 'security.istio.io/tlsMode';
const transportTls = 'sluice.dev/tls';

export interface Health {
  readonly isHealthy: boolean;
  readonly message: string;
  /** Not healthy for this reason, and not for what a probe saw. */
  readonly isRevoked?: boolean;
}

/** `name.namespace`; unique, since a namespace has no dots. */
export function instanceName(registration: Pick<Registration, 'name' | 'namespace'>): string {
  return `${registration.name}.${registration.namespace}`;
}

/** Istio's node id: type, address, instance and DNS domain. */
export function nodeIdOf(registration: Registration, clusterDomain: string): string {
  const { address, namespace } = registration;
  return `sidecar~${address}~${instanceName(registration)}~${namespace}.svc.${clusterDomain}`;
}

export function toWorkloadEntry(registration: Registration): KubeObject {
  const { name, namespace, address, labels, locality, weight, network, serviceAccount } = registration;
  return {
    apiVersion: 'networking.istio.io/v1',
    kind: 'WorkloadEntry',
    metadata: { name, namespace, labels: { ...labels }, annotations: annotationsOf(registration) },
    spec: {
      address,
      labels: workloadLabels(registration),
      serviceAccount,
      ...(registration.ports.length === 0 ? {} : { ports: portsOf(registration) }),
      ...(locality === undefined ? {} : { locality }),
      ...(weight === undefined ? {} : { weight }),
      ...(network === undefined ? {} : { network }),
    },
  };
}

/** The status with its `Healthy` condition replaced; conditions of others stay. */
export function withHealth(status: unknown, health: Health, wallMs: number): unknown {
  const present = (typeof status === 'object' && status !== null ? status : {}) as Record<string, unknown>;
  const conditions = Array.isArray(present['conditions']) ? (present['conditions'] as Condition[]) : [];
  const before = conditions.find((condition) => condition.type === 'Healthy');
  const value = health.isHealthy ? 'True' : 'False';
  const time = new Date(wallMs).toISOString();
  const healthy: Condition = {
    type: 'Healthy',
    status: value,
    reason: health.isRevoked === true ? 'Revoked' : health.isHealthy ? 'ProbeSucceeded' : 'ProbeFailed',
    message: health.message,
    lastTransitionTime: before?.status === value ? (before.lastTransitionTime ?? time) : time,
  };
  return {
    ...present,
    conditions: [...conditions.filter((condition) => condition.type !== 'Healthy'), healthy],
  };
}

interface Condition {
  readonly type: string;
  readonly status: string;
  readonly reason?: string;
  readonly message?: string;
  readonly lastTransitionTime?: string;
}

function annotationsOf(registration: Registration): Record<string, string> {
  const ports = registration.ports.map(({ name, appPort, inboundPort }) => ({ name, appPort, inboundPort }));
  const annotations: Record<string, string> = { [instanceAnnotation]: instanceName(registration) };
  if (registration.interceptionMode === 'NONE') annotations[portsAnnotation] = JSON.stringify(ports);
  return annotations;
}

/** With mode NONE others reach the sidecar's own port; behind a redirect they dial the application's. */
function portsOf({ ports, interceptionMode }: Registration): Record<string, number> {
  return Object.fromEntries(
    ports.map(({ name, appPort, inboundPort }) => [
      name,
      interceptionMode === 'NONE' ? inboundPort : appPort,
    ]),
  );
}

/** The labels by which services select, and the workload's name for metrics where they do not say it. */
export function workloadLabels({
  labels,
  app,
  replicaOf,
  capabilities,
}: Registration): Record<string, string> {
  const named: Record<string, string> = { ...labels };
  if (app !== undefined) named['app'] ??= app;
  if (replicaOf !== undefined) named['service.istio.io/workload-name'] ??= replicaOf;
  if (capabilities?.includes(transportTls)) named[tlsModeLabel] ??= 'istio';
  return named;
}
