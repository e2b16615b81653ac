/**
 * Registrations as nodes of translation. What a proxy may see and be is its registration's; what it can do is what
 * it registered or announces, and what its kind can by itself (design §6, Node contract).
 */
import type { Registration } from '@sluice/api';
import type { AdsVariant, Node } from '@sluice/xds';
import type { RegisteredInstance } from '../registry/registry.ts';
import { toWorkloadEntry } from '../registry/workload-entry.ts';
import { builtInCapabilities, transportTls, virtualHostDiscovery } from '../translate/node.ts';
import type { ProxyNode } from '../translate/node.ts';
import type { ClientNode } from '../translate/translator.ts';

/** The stream of a connected proxy, as far as it tells what the proxy can do. */
export interface ClientStream {
  readonly node: Node | undefined;
  readonly variant: AdsVariant;
  /** Certificates and keys go only to those who proved themselves by a certificate. */
  readonly proof: 'token' | 'certificate';
}

/**
 * Admin pages, health ports and the control plane of everything on the machine. An application reaches what it runs
 * beside it directly (`NO_PROXY`), and services of the mesh by their routes.
 */
const loopback: readonly string[] = ['127.0.0.0/8', '::1'];

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

  /** `stream`: what it announces and speaks, once it is connected. */
  of({ instance, registration }: RegisteredInstance, stream: ClientStream | null): ClientNode {
    let known = this.#known.get(registration);
    if (!known) this.#known.set(registration, (known = new Map()));
    const capabilities = capabilitiesOf(registration, stream);
    const id = capabilities.join(' ');
    let node = known.get(id);
    if (!node)
      known.set(id, (node = makeNode(instance, registration, capabilities, this.#controlAddresses())));
    return node;
  }

  forTranslation(instance: RegisteredInstance, stream: ClientStream | null): ProxyNode {
    return {
      ...this.of(instance, stream),
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
    refusedAddresses: [...loopback, ...controlAddresses],
  };
}

function capabilitiesOf(registration: Registration, stream: ClientStream | null): string[] {
  const told = stream?.node?.metadata?.['SLUICE_CAPABILITIES'];
  const list = Array.isArray(told) ? told.filter((one): one is string => typeof one === 'string') : [];
  const builtIn = builtInCapabilities[stream?.node?.userAgentName ?? ''] ?? [];
  const all = new Set([...(registration.capabilities ?? []), ...list, ...builtIn]);
  // Virtual hosts on demand are a matter of delta streams (design §6, xDS).
  if (stream?.variant !== 'delta') all.delete(virtualHostDiscovery);
  // Without secrets nothing of TLS works: over the plain port a proxy has none, whatever it can do.
  if (stream !== null && stream.proof !== 'certificate') all.delete(transportTls);
  return [...all].sort();
}
