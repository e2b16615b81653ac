/**
 * SDS: the secrets that proxies may ask for, encoded. `ROOTCA` (the trust bundle and the revocation lists) goes to
 * everybody with a certificate; Secrets go by namespace (secret-index.ts). `default`, the workload's own certificate,
 * is never here: its key never leaves the workload.
 *
 * Proxies of one namespace that the same references mean share one map, which stays the same object while nothing of
 * it changed.
 */
import { readCredential, type KubeObject, type Secret } from '@sluice/api';
import { SecretTable, type AdsResources, type Init, type Secret as SecretMessage } from '@sluice/xds';
import type { MeshAuthority } from '../authority/mesh-authority.ts';
import { hasLabels } from '../model/instance.ts';
import type { ResourceStore, StoreChange } from '../source/store.ts';
import { encodeResource, resourceSet, type NamedResource } from '../translate/resources.ts';
import { secretKinds, secretReferences, type SecretRef } from './secret-index.ts';

/** Name of the trust bundle, as Istio has it. */
export const rootSecretName = 'ROOTCA';
/** After a Secret's name: its authorities, for verifying peers. */
const authoritiesSuffix = '-cacert';

interface KnownSecret {
  readonly object: KubeObject;
  readonly resources: readonly NamedResource[];
}

export class SecretResources {
  readonly #store: Pick<ResourceStore, 'all' | 'get'>;
  readonly #authority: Pick<MeshAuthority, 'bundle' | 'crlPem'>;
  readonly #encoded = new Map<string, KnownSecret>();
  readonly #sets = new Map<string, AdsResources>();
  #references: ReadonlyMap<string, readonly SecretRef[]> | null = null;
  #isStale = true;
  #root: { readonly rootsPem: string; readonly crlPem: string; readonly resource: NamedResource } | null =
    null;
  #fresh = new Set<string>();

  constructor(
    store: Pick<ResourceStore, 'all' | 'get'>,
    authority: Pick<MeshAuthority, 'bundle' | 'crlPem'>,
  ) {
    this.#store = store;
    this.#authority = authority;
  }

  /** True when the changes may change what a proxy has. */
  apply(changes: readonly StoreChange[]): boolean {
    if (!changes.some(({ key }) => secretKinds.has(`${key.group}/${key.kind}`))) return false;
    this.#references = null;
    this.#invalidate();
    return true;
  }

  /** Of the trust bundle as it is now, with its lists. */
  get rootVersion(): string {
    return this.#rootResource().resource.version;
  }

  /** The bundle or the revocation lists are others. */
  trustChanged(): void {
    this.#invalidate();
  }

  /** `labels`: of the workload, by which rules select. */
  of(namespace: string, labels: Readonly<Record<string, string>>): AdsResources {
    if (this.#isStale) {
      this.#fresh = new Set();
      this.#isStale = false;
    }
    const all = (this.#references ??= this.#readReferences()).get(namespace) ?? [];
    const isMeant = all.map(({ selector }) => selector === undefined || hasLabels(selector, labels));
    const key = `${namespace} ${isMeant.map(Number).join('')}`;
    const known = this.#sets.get(key);
    if (known !== undefined && this.#fresh.has(key)) return known;
    const references = all.filter((_, i) => isMeant[i]);
    const set = resourceSet(known, [this.#rootResource(), ...references.flatMap((one) => this.#secret(one))]);
    this.#sets.set(key, set);
    this.#fresh.add(key);
    return set;
  }

  #invalidate(): void {
    this.#isStale = true;
  }

  #readReferences(): ReadonlyMap<string, readonly SecretRef[]> {
    this.#encoded.clear();
    const relevant = [...this.#store.all()].flatMap(({ key, serving }) =>
      serving !== null && secretKinds.has(`${key.group}/${key.kind}`)
        ? [{ group: key.group, object: serving }]
        : [],
    );
    return secretReferences(relevant);
  }

  #rootResource(): NamedResource {
    const { rootsPem } = this.#authority.bundle;
    const { crlPem } = this.#authority;
    if (this.#root?.rootsPem === rootsPem && this.#root.crlPem === crlPem) return this.#root.resource;
    const resource = encodeResource(SecretTable, rootSecretName, {
      name: rootSecretName,
      validationContext: {
        trustedCa: { inlineString: rootsPem },
        // Authorities' own certificates are in no list: they go by rotation, and Envoy would ask for a root's.
        ...(crlPem === '' ? {} : { crl: { inlineString: crlPem }, onlyVerifyLeafCertCrl: true }),
      },
    });
    this.#root = { rootsPem, crlPem, resource };
    return resource;
  }

  /** The Secret's certificate, and its authorities under a name of their own. */
  #secret({ namespace, name, form }: SecretRef): readonly NamedResource[] {
    const object = this.#find(namespace, name);
    if (object === null) return [];
    const id = `${form} ${namespace}/${name}`;
    const known = this.#encoded.get(id);
    if (known?.object === object) return known.resources;
    const resources = this.#encode(
      form === 'kubernetes' ? `kubernetes://${name}` : `${form}://${namespace}/${name}`,
      {
        object,
        authorities: this.#find(namespace, `${name}${authoritiesSuffix}`),
        key: { group: '', kind: 'Secret', namespace, name },
      },
    );
    this.#encoded.set(id, { object, resources });
    return resources;
  }

  #encode(
    name: string,
    source: {
      readonly object: KubeObject;
      /** A Secret beside it that holds only the authorities: Istio's other way. */
      readonly authorities: KubeObject | null;
      readonly key: NamedResource['origins'][number];
    },
  ): readonly NamedResource[] {
    const { certificateChain, privateKey, ca, crl } = readCredential(source.object as Secret);
    const beside = source.authorities === null ? null : readCredential(source.authorities as Secret);
    const trusted = beside?.ca ?? ca;
    const revoked = beside?.crl ?? crl;
    const messages: Init<SecretMessage>[] = [];
    if (certificateChain !== null && privateKey !== null) {
      messages.push({
        name,
        tlsCertificate: {
          certificateChain: { inlineString: certificateChain },
          privateKey: { inlineString: privateKey },
        },
      });
    }
    if (trusted !== null) {
      messages.push({
        name: `${name}${authoritiesSuffix}`,
        validationContext: {
          trustedCa: { inlineString: trusted },
          ...(revoked === null ? {} : { crl: { inlineString: revoked } }),
        },
      });
    }
    return messages.map((message) => encodeResource(SecretTable, message.name ?? '', message, [source.key]));
  }

  #find(namespace: string, name: string): KubeObject | null {
    return this.#store.get({ group: '', kind: 'Secret', namespace, name })?.serving ?? null;
  }
}
