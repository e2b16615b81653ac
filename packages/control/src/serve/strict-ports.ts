/** Which ports of a workload only mutual TLS may reach, for whoever runs its application. */
import { formatKey } from '@sluice/api';
import type { StrictPort } from '@sluice/api';
import type { MeshModel } from '../model/mesh-model.ts';
import { modeOfPort, originOfPort } from '../model/peer-authentication.ts';
import { transportTls } from '../translate/node.ts';
import type { ClientNode } from '../translate/translator.ts';

/** Of a sidecar that speaks TLS: without one nothing is kept out, and nothing is promised. */
export function strictPortsOf(model: MeshModel, node: ClientNode): readonly StrictPort[] {
  if (!node.capabilities.has(transportTls)) return [];
  const policy = model.mutualTls(node);
  return node.registration.ports.flatMap(({ appPort }) => {
    if (modeOfPort(policy, appPort) !== 'STRICT') return [];
    const origin = originOfPort(policy, appPort);
    return [{ appPort, policy: origin ? formatKey(origin) : '' }];
  });
}
