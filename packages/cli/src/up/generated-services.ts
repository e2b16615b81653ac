/**
 * Services for workloads whose folder defines none: `up` writes them as a resource file of its own, so that a mesh
 * needs no YAML beyond sluice.yaml to work. What the folder defines is left alone.
 */
import type { SluiceWorkload } from '@sluice/api';
import { stringify } from 'yaml';

interface Wanted {
  readonly name: string;
  readonly namespace: string;
  readonly workloads: SluiceWorkload[];
}

/** A YAML text with a Service for each name that `defined` (`namespace/name`) lacks; empty when none does. */
export function renderServices(workloads: readonly SluiceWorkload[], defined: ReadonlySet<string>): string {
  const wanted = new Map<string, Wanted>();
  for (const workload of workloads) {
    const { service, namespace, ports } = workload;
    if (service === undefined || ports.length === 0 || defined.has(`${namespace}/${service}`)) continue;
    const key = `${namespace}/${service}`;
    const entry = wanted.get(key) ?? { name: service, namespace, workloads: [] };
    entry.workloads.push(workload);
    wanted.set(key, entry);
  }
  return [...wanted.values()].map((service) => stringify(toService(service))).join('---\n');
}

function toService({ name, namespace, workloads }: Wanted): object {
  const ports = new Map(workloads.flatMap((workload) => workload.ports).map((port) => [port.name, port]));
  return {
    apiVersion: 'v1',
    kind: 'Service',
    metadata: { name, namespace, labels: { app: name, 'app.kubernetes.io/managed-by': 'sluice' } },
    spec: {
      selector: sharedLabels(workloads),
      ports: [...ports.values()].map((port) => ({
        name: port.name,
        port: port.port,
        targetPort: port.name,
        appProtocol: port.protocol,
      })),
    },
  };
}

/** What all versions of a service have in common selects them. */
function sharedLabels(workloads: readonly SluiceWorkload[]): Record<string, string> {
  const [first, ...others] = workloads;
  const shared = Object.entries(first?.labels ?? {}).filter(([name, value]) =>
    others.every(({ labels }) => labels[name] === value),
  );
  const withoutVersion = shared.filter(([name]) => name !== 'version');
  return Object.fromEntries(withoutVersion.length > 0 ? withoutVersion : shared);
}
