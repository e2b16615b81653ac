/** Workloads with a sidecar as clients, for the view of edges: instances of one workload count once. */
import type { RegisteredInstance } from '../registry/registry.ts';
import type { EdgeClient } from '../status/edges.ts';
import { transportTls } from '../translate/node.ts';
import type { Translator } from '../translate/translator.ts';
import type { ClientNodes } from './client-nodes.ts';
import type { EdgeFilter } from './mesh-views.ts';

export function edgeClients(
  instances: Iterable<RegisteredInstance>,
  nodes: ClientNodes,
  translator: Translator,
  of: EdgeFilter = {},
): EdgeClient[] {
  const clients = new Map<string, EdgeClient>();
  for (const instance of instances) {
    const node = nodes.of(instance, null);
    const id = `${node.namespace}/${node.workload}`;
    // Without capabilities there is no sidecar: the workload calls as it likes.
    if (of.workload !== undefined && of.workload !== node.workload) continue;
    if (of.namespace !== undefined && of.namespace !== node.namespace) continue;
    if (clients.has(id) || node.capabilities.size === 0) continue;
    clients.set(id, {
      workload: node.workload,
      namespace: node.namespace,
      account: node.registration.serviceAccount,
      labels: node.labels,
      knowsTls: node.capabilities.has(transportTls),
      services: translator.visible(node).services,
    });
  }
  return [...clients.values()].sort((a, b) =>
    `${a.namespace}/${a.workload}` < `${b.namespace}/${b.workload}` ? -1 : 1,
  );
}
