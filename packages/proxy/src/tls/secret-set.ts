/**
 * The secrets of a data loop: certificates and trust that contexts name. A context looks its secrets up for
 * each handshake, so a new one counts at once; who has connections of the old one is told.
 */
import type { CertificateValidationContext, Secret } from '@sluice/xds';
import { loadCredential, type Credential } from './credential.ts';

export interface LoadedSecret {
  readonly name: string;
  readonly version: string;
  readonly credential: Credential | null;
  /** Every DataSource is inline. Rules are compiled by each context, which may add some of its own. */
  readonly validation: CertificateValidationContext | null;
}

export class SecretSet {
  readonly #secrets = new Map<string, LoadedSecret>();
  readonly #watchers = new Set<(name: string) => void>();
  /** Rises with every change: whoever has looked at this one needs not look again. */
  revision = 0;

  get(name: string): LoadedSecret | null {
    return this.#secrets.get(name) ?? null;
  }

  /** The main thread has judged the secret; one that cannot be used is a broken invariant and throws. */
  put(name: string, version: string, secret: Secret): void {
    const { tlsCertificate, validationContext } = secret;
    const credential = tlsCertificate === undefined ? null : loadCredential(tlsCertificate);
    if (typeof credential === 'string') throw new Error(`secret "${name}": ${credential}`);
    this.#secrets.set(name, { name, version, credential, validation: validationContext ?? null });
    this.#changed(name);
  }

  remove(name: string): void {
    if (this.#secrets.delete(name)) this.#changed(name);
  }

  onChange(watcher: (name: string) => void): void {
    this.#watchers.add(watcher);
  }

  #changed(name: string): void {
    this.revision++;
    for (const watcher of this.#watchers) watcher(name);
  }
}
