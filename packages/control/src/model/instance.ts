/**
 * Instances: everything that selectors and subsets select over (Pod, WorkloadEntry, registration),
 * and given endpoints (EndpointSlice, Endpoints, a ServiceEntry's own list) in the same shape.
 */
import type { ResourceKey } from '@sluice/api';

export interface Instance {
  readonly key: ResourceKey;
  readonly namespace: string;
  /** IP address, DNS name (WorkloadEntry) or `unix://` path. */
  readonly address: string;
  readonly labels: Readonly<Record<string, string>>;
  /** Port name → port number on `address`. */
  readonly ports: Readonly<Record<string, number>>;
  /**
   * Application port → port that takes its traffic, where the two differ: with interception mode NONE
   * the sidecar's inbound listener has a port of its own (design §6, Instances).
   */
  readonly portMap: Readonly<Record<number, number>>;
  /** `region/zone/subzone`, parts may be missing. */
  readonly locality: string;
  readonly weight: number;
  readonly network: string;
  readonly serviceAccount: string;
  readonly isHealthy: boolean;
  /** Name of the workload (deployment) for metrics; the instance's own name when nothing else is known. */
  readonly workload: string;
  /** True when a sidecar of the mesh stands in front of it. */
  readonly hasSidecar: boolean;
}

/**
 * The port an instance serves a service port on, or null when it does not.
 * A WorkloadEntry's named port wins over a number, as in Istio.
 */
export function resolvePort(
  instance: Pick<Instance, 'ports' | 'portMap'>,
  port: { readonly name: string; readonly number: number; readonly targetPort: number | string },
): number | null {
  const named = instance.ports[port.name];
  if (named !== undefined) return named;
  if (typeof port.targetPort === 'string') return instance.ports[port.targetPort] ?? null;
  return instance.portMap[port.targetPort] ?? port.targetPort;
}

/** True when every selector label has the same value; an empty selector selects nothing. */
export function selects(
  selector: Readonly<Record<string, string>>,
  labels: Readonly<Record<string, string>>,
): boolean {
  const wanted = Object.entries(selector);
  return wanted.length > 0 && wanted.every(([name, value]) => labels[name] === value);
}

/** As `selects`, but an empty set of labels selects everything: subsets and workload selectors. */
export function hasLabels(
  wanted: Readonly<Record<string, string>>,
  labels: Readonly<Record<string, string>>,
): boolean {
  return Object.entries(wanted).every(([name, value]) => labels[name] === value);
}
