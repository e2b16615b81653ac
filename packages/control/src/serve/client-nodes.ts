/**
 * Registrations as nodes of translation. What a proxy may see and be is its registration's; what it can do is what
 * it registered or announces, and what its kind can by itself (design §6, Node contract).
 */
import type { Registration } from '@sluice/api';
import type { Node } from '@sluice/xds';
import type { RegisteredInstance } from '../registry/registry.ts';
import { toWorkloadEntry } from '../registry/workload-entry.ts';
import { builtInCapabilities } from '../translate/node.ts';
import type { ProxyNode } from '../translate/node.ts';
import type { ClientNode } from '../translate/translator.ts';

type AllotPort = (instance: string, service: string, port: number) => number | null;

/** Keeps each node's facts the same objects while its registration and announcement are, for caches downstream. */
export class ClientNodes {
  readonly #allot: AllotPort;
  readonly #controlAddresses: () => readonly string[];
  readonly #known = new WeakMap<Registration, Map<string, ClientNode>>();

  /** `controlAddresses`: what the control plane itself listens on. */
  constructor(allot: AllotPort, controlAddresses: () => readonly string[]) {
    this.#allot = allot;
    this.#controlAddresses = controlAddresses;
  }

  /** `announced`: the node of its stream, if it has one. */
  of({ instance, registration }: RegisteredInstance, announced: Node | undefined): ClientNode {
    let known = this.#known.get(registration);
    if (!known) this.#known.set(registration, (known = new Map()));
    const capabilities = capabilitiesOf(registration, announced);
    const id = capabilities.join(' ');
    let node = known.get(id);
    if (!node)
      known.set(id, (node = makeNode(instance, registration, capabilities, this.#controlAddresses())));
    return node;
  }

  forTranslation(instance: RegisteredInstance, announced: Node | undefined): ProxyNode {
    return {
      ...this.of(instance, announced),
      outboundPort: (service, port) => this.#allot(instance.instance, service, port),
    };
  }
}

function makeNode(
  instance: string,
  registration: Registration,
  capabilities: readonly string[],
  controlAddresses: readonly string[],
): ClientNode {
  const { labels } = toWorkloadEntry(registration).spec as { labels: Record<string, string> };
  return {
    id: instance,
    instance,
    namespace: registration.namespace,
    workload: registration.replicaOf ?? registration.app ?? registration.name,
    // Those that services select by: the registration's own and the ones it implies.
    labels,
    mode: registration.interceptionMode,
    registration,
    capabilities: new Set(capabilities),
    refusedAddresses: [
      ...controlAddresses,
      `127.0.0.1:${registration.adminPort}`,
      `127.0.0.1:${registration.healthPort}`,
    ],
  };
}

function capabilitiesOf(registration: Registration, announced: Node | undefined): string[] {
  const told = announced?.metadata?.['SLUICE_CAPABILITIES'];
  const list = Array.isArray(told) ? told.filter((one): one is string => typeof one === 'string') : [];
  const builtIn = builtInCapabilities[announced?.userAgentName ?? ''] ?? [];
  return [...new Set([...(registration.capabilities ?? []), ...list, ...builtIn])].sort();
}
