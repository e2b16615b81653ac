/**
 * Who sent and who served a request, as Istio's standard metrics name workloads.
 *
 * Own identity comes from the node's metadata; a destination's from its endpoint's EDS metadata
 * (`istio.workload` = `name;namespace;canonical name;canonical revision;cluster`). What is not known
 * is `unknown`, Istio's word, so that dashboards written for it work.
 */
import type { Cluster, Endpoint } from '../../cluster/cluster.ts';
import type { ServiceIdentity } from '../../cluster/service-identity.ts';

export interface WorkloadIdentity {
  readonly workload: string;
  readonly namespace: string;
  readonly app: string;
  readonly version: string;
  readonly canonicalService: string;
  readonly canonicalRevision: string;
  readonly cluster: string;
}

export const UNKNOWN = 'unknown';

export const UNKNOWN_WORKLOAD: WorkloadIdentity = {
  workload: UNKNOWN,
  namespace: UNKNOWN,
  app: UNKNOWN,
  version: UNKNOWN,
  canonicalService: UNKNOWN,
  canonicalRevision: UNKNOWN,
  cluster: UNKNOWN,
};

const UNKNOWN_SERVICE: ServiceIdentity = { host: UNKNOWN, name: UNKNOWN, namespace: UNKNOWN };

/** From the metadata that this proxy's node announces (design §6, Node contract). */
export function workloadFromNode(metadata: Readonly<Record<string, unknown>>): WorkloadIdentity {
  const labels = recordOf(metadata['LABELS']);
  const app = textOf(labels['app']);
  const workload = textOf(metadata['WORKLOAD_NAME']);
  const name =
    textOf(labels['service.istio.io/canonical-name']) ??
    textOf(labels['app.kubernetes.io/name']) ??
    app ??
    workload;
  const version = textOf(labels['version']);
  const revision =
    textOf(labels['service.istio.io/canonical-revision']) ??
    textOf(labels['app.kubernetes.io/version']) ??
    version;
  return {
    workload: workload ?? UNKNOWN,
    namespace: textOf(metadata['NAMESPACE']) ?? UNKNOWN,
    app: app ?? name ?? UNKNOWN,
    version: version ?? UNKNOWN,
    canonicalService: name ?? UNKNOWN,
    // Istio's default for a workload that states no revision.
    canonicalRevision: revision ?? 'latest',
    cluster: textOf(metadata['CLUSTER_ID']) ?? UNKNOWN,
  };
}

/** Of an endpoint that the control plane described; otherwise unknown. */
export function workloadFromEndpoint(endpoint: Endpoint): WorkloadIdentity {
  const text = recordOf(endpoint.metadata?.['istio'])['workload'];
  return typeof text === 'string' ? parseWorkload(text) : UNKNOWN_WORKLOAD;
}

/** `name;namespace;canonical name;canonical revision;cluster`; parts that are missing are unknown. */
export function parseWorkload(text: string): WorkloadIdentity {
  const [workload, namespace, app, version, cluster] = text.split(';').map((part) => textOf(part));
  return {
    workload: workload ?? UNKNOWN,
    namespace: namespace ?? UNKNOWN,
    app: app ?? UNKNOWN,
    version: version ?? UNKNOWN,
    canonicalService: app ?? UNKNOWN,
    canonicalRevision: version ?? UNKNOWN,
    cluster: cluster ?? UNKNOWN,
  };
}

/**
 * The service behind a cluster, by Istio's cluster names (`outbound|9080|v1|reviews.default.svc.…`).
 * Pass-through and black-hole clusters name themselves; the client's Host header is never used, since
 * a client could invent any number of them.
 */
export function serviceFromCluster(cluster: Cluster | null, clusterName: string): ServiceIdentity {
  const name = cluster?.name ?? clusterName;
  if (name === '') return UNKNOWN_SERVICE;
  const parts = name.split('|');
  const host = parts.length === 4 ? (parts[3] ?? '') : '';
  if (host === '') return { host: UNKNOWN, name, namespace: UNKNOWN };
  const [service = host, namespace = UNKNOWN, kind] = host.split('.');
  return kind === 'svc' ? { host, name: service, namespace } : { host, name: host, namespace: UNKNOWN };
}

function recordOf(value: unknown): Readonly<Record<string, unknown>> {
  return typeof value === 'object' && value !== null ? (value as Record<string, unknown>) : {};
}

function textOf(value: unknown): string | undefined {
  return typeof value === 'string' && value !== '' ? value : undefined;
}
