/**
 * What clients must know of a service's endpoints to speak TLS with them: what each workload takes, and as whom they
 * may answer. Kept per service; the same object as long as it says the same, since clusters and endpoints are made
 * from it.
 */
import type { Instance } from './instance.ts';
import type { MutualTlsPolicy, PeerAuthenticationIndex } from './peer-authentication.ts';
import type { MeshService } from './service.ts';

export interface EndpointTls {
  /** One for each instance of the service, in their order. */
  readonly policies: readonly MutualTlsPolicy[];
  /** Accounts that its instances run as, sorted, each once. */
  readonly accounts: readonly ServiceAccount[];
}

export interface ServiceAccount {
  readonly namespace: string;
  readonly name: string;
}

interface Entry {
  readonly service: MeshService;
  readonly instances: readonly Instance[];
  readonly index: PeerAuthenticationIndex;
  readonly value: EndpointTls;
}

export class EndpointTlsIndex {
  readonly #entries = new Map<string, Entry>();

  of(service: MeshService, instances: readonly Instance[], index: PeerAuthenticationIndex): EndpointTls {
    const known = this.#entries.get(service.key);
    if (known?.service === service && known.instances === instances && known.index === index)
      return known.value;
    const fresh = {
      policies: instances.map((one) => index.of(one)),
      accounts: accountsOf(service, instances),
    };
    const value = keepParts(known?.value, fresh);
    this.#entries.set(service.key, { service, instances, index, value });
    return value;
  }

  forget(serviceKey: string): void {
    this.#entries.delete(serviceKey);
  }
}

function accountsOf(service: MeshService, instances: readonly Instance[]): ServiceAccount[] {
  const ids = new Set<string>();
  for (const { namespace, serviceAccount } of instances)
    if (serviceAccount !== '') ids.add(`${namespace}/${serviceAccount}`);
  for (const { serviceAccount } of service.inlineEndpoints)
    if (serviceAccount !== '') ids.add(`${service.namespace}/${serviceAccount}`);
  return [...ids].sort().map((id) => {
    const slash = id.indexOf('/');
    return { namespace: id.slice(0, slash), name: id.slice(slash + 1) };
  });
}

/** The parts that are equal keep their objects. */
function keepParts(before: EndpointTls | undefined, fresh: EndpointTls): EndpointTls {
  if (!before) return fresh;
  const { policies, accounts } = before;
  const samePolicies =
    policies.length === fresh.policies.length && policies.every((one, at) => one === fresh.policies[at]);
  const sameAccounts =
    accounts.length === fresh.accounts.length &&
    accounts.every(
      (one, at) => one.name === fresh.accounts[at]?.name && one.namespace === fresh.accounts[at]?.namespace,
    );
  if (samePolicies && sameAccounts) return before;
  return {
    policies: samePolicies ? policies : fresh.policies,
    accounts: sameAccounts ? accounts : fresh.accounts,
  };
}
