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
   * What the names in `ports` mean: a Pod's are those of its containers, which `targetPort` refers to; a
   * WorkloadEntry's are those of the service's ports, else of targets; given endpoints have service ports only.
   */
  readonly portNames: 'container' | 'service' | 'given';
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
  /** That sidecar takes mutual TLS, as far as policies let it. */
  readonly takesMutualTls: boolean;
}

/**
 * The port an instance serves a service port on, or null when it does not. A WorkloadEntry's named port wins over
 * a number, as in Istio; behind a sidecar with ports of its own only what that sidecar listens on is served.
 */
export function resolvePort(
  instance: Pick<Instance, 'ports' | 'portMap' | 'portNames'>,
  port: { readonly name: string; readonly number: number; readonly targetPort: number | string },
): number | null {
  const { ports, portMap, portNames } = instance;
  const { targetPort } = port;
  if (portNames === 'given') return ports[port.name] ?? null;
  if (portNames === 'container')
    return typeof targetPort === 'string' ? (ports[targetPort] ?? null) : targetPort;
  const hasOwnPorts = Object.keys(portMap).length > 0;
  if (hasOwnPorts && typeof targetPort === 'number' && portMap[targetPort] !== undefined)
    return portMap[targetPort];
  const named = ports[port.name] ?? (typeof targetPort === 'string' ? ports[targetPort] : undefined);
  if (named !== undefined) return named;
  return typeof targetPort === 'number' && !hasOwnPorts ? targetPort : null;
}

/** Label by which Istio, and our registry, mark instances whose sidecar takes mutual TLS. */
const tlsModeLabel = 'security.istio.io/tlsMode';

export function saysMutualTls(labels: Readonly<Record<string, string>>): boolean {
  return labels[tlsModeLabel] === 'istio';
}

/** The workload's own port for one of its address: where its sidecar has ports of its own, policies name the application's. */
export function applicationPort(instance: Pick<Instance, 'portMap'>, addressPort: number): number {
  for (const [appPort, inboundPort] of Object.entries(instance.portMap))
    if (inboundPort === addressPort) return Number(appPort);
  return addressPort;
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
