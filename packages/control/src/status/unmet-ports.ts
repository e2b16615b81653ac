/**
 * Ports that a PeerAuthentication names and that no workload has: the mode written for them holds nowhere.
 *
 * As in Istio a policy means the application's port, not the service's. Where sidecars have ports of their own
 * (interception mode NONE) a port that nobody registered leads nowhere; with redirection it is an application's all
 * the same, and nothing is wrong.
 */
import type { Instance } from '../model/instance.ts';
import { selects } from '../model/instance.ts';
import type { MeshModel } from '../model/mesh-model.ts';
import type { PeerAuthenticationSource } from '../model/peer-authentication.ts';
import type { Unresolved } from './references.ts';

export function unmetPorts(model: MeshModel, source: PeerAuthenticationSource): Unresolved[] {
  const ports = Object.keys(source.spec.portLevelMtls ?? {}).map(Number);
  if (ports.length === 0) return [];
  const selected = [...model.allInstances()].filter((instance) => isSelected(source, instance));
  const [first] = selected;
  if (!first || selected.some(({ portMap }) => Object.keys(portMap).length === 0)) return [];
  return ports
    .filter((port) => selected.every(({ portMap }) => portMap[port] === undefined))
    .map((port) => ({ reason: 'PortNotFound', message: messageOf(port, first) }));
}

function isSelected({ namespace, spec }: PeerAuthenticationSource, instance: Instance): boolean {
  const labels = spec.selector?.matchLabels ?? {};
  return instance.hasSidecar && instance.namespace === namespace && selects(labels, instance.labels);
}

function messageOf(port: number, { key, portMap }: Instance): string {
  const known = Object.entries(portMap).map(([own, taken]) =>
    taken === port ? `${own}, which its sidecar takes at ${taken}` : own,
  );
  return (
    `no application that it selects has port ${port}, so its mode holds nowhere: ports are those of applications ` +
    `(targetPort), and ${key.name}.${key.namespace} has ${known.join(' and ')}`
  );
}
