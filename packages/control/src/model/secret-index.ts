/** Secrets as proxies use them: certificates and keys by namespace and name. */
import { readCredential } from '@sluice/api';
import type { Credential, KubeObject, ResourceKey, Secret } from '@sluice/api';
import type { StoredObject } from '../source/store.ts';

/** Suffix by which Istio names a Secret that holds only the authorities of another. */
export const caSuffix = '-cacert';

export class SecretIndex {
  readonly #secrets = new Map<string, Credential>();

  /** Returns whether anything that proxies use is another than before. */
  replace(key: ResourceKey, stored: StoredObject | null): boolean {
    const id = secretId(key.namespace, key.name);
    const before = this.#secrets.get(id) ?? null;
    const after = stored?.serving ? readCredential(stored.serving as KubeObject & Secret) : null;
    if (after) this.#secrets.set(id, after);
    else this.#secrets.delete(id);
    return !sameCredential(before, after);
  }

  /** As Istio looks it up: `NAME-cacert` falls back to the authorities of `NAME`. */
  find(namespace: string, name: string): Credential | null {
    const own = this.#secrets.get(secretId(namespace, name));
    if (own) return own;
    if (!name.endsWith(caSuffix)) return null;
    const stripped = this.#secrets.get(secretId(namespace, name.slice(0, -caSuffix.length)));
    return stripped ? { ...stripped, certificateChain: null, privateKey: null } : null;
  }
}

/** `namespace/name` */
export function secretId(namespace: string, name: string): string {
  return `${namespace}/${name}`;
}

function sameCredential(a: Credential | null, b: Credential | null): boolean {
  if (a === null || b === null) return a === b;
  return (
    a.certificateChain === b.certificateChain &&
    a.privateKey === b.privateKey &&
    a.ca === b.ca &&
    a.crl === b.crl
  );
}
