/**
 * The control plane's own certificate, which it shows on the secure port: of its own authority, with the whole chain
 * up to the root, so that a client that pins the root by its hash can verify the first contact.
 */
import { isIP } from 'node:net';
import { chainPem, exportPrivateKey, generateKeySync } from '@sluice/identity';
import { hasErrorCode } from '../errors.ts';
import type { MeshAuthority } from './mesh-authority.ts';

export interface ServerCredential {
  /** Leaf first, root last. */
  readonly chainPem: string;
  /** PKCS#8. */
  readonly keyPem: string;
  readonly notAfterMs: number;
  /** The root that the chain leads to, by its hash. */
  readonly rootId: string;
  /** Authorities that clients’ certificates may come from. */
  readonly trustedPem: string;
}

export interface ServerNames {
  readonly dnsSans: readonly string[];
  readonly ipSans: readonly string[];
}

/** The names of the flags, and the address it is bound to where that is one of its own. */
export function serverNames(given: ServerNames, secureAddress: string): ServerNames {
  const host = hostOf(secureAddress);
  if (host === '' || isUnspecified(host)) return given;
  return isIP(host) === 0
    ? { ...given, dnsSans: [...given.dnsSans, host] }
    : { ...given, ipSans: [...given.ipSans, host] };
}

/** Where workloads reach what is bound to `bound`: on every address of the machine, by the first name that was given. */
export function advertisedAddress(bound: string, { dnsSans, ipSans }: ServerNames): string {
  const [name] = [...dnsSans, ...ipSans];
  if (name === undefined || !isUnspecified(hostOf(bound))) return bound;
  return `${isIP(name) === 6 ? `[${name}]` : name}:${bound.slice(bound.lastIndexOf(':') + 1)}`;
}

/** Under which this machine itself reaches it: what a forward proxy must not dial. */
export function localAddresses(address: string): readonly string[] {
  const port = address.slice(address.lastIndexOf(':') + 1);
  return [...new Set([address, `127.0.0.1:${port}`, `[::1]:${port}`])];
}

function hostOf(address: string): string {
  return address.slice(0, Math.max(0, address.lastIndexOf(':'))).replace(/^\[|\]$/g, '');
}

function isUnspecified(host: string): boolean {
  return host === '0.0.0.0' || host === '::';
}

/** Under which clients of any set-up call it, Istio's names among them. */
const usualNames = ['localhost', 'istiod.istio-system.svc', 'istiod.istio-system', 'sluice-control'];
const loopback = ['127.0.0.1', '::1'];
export const controlAccount = 'sluice-control';
/** Renewed when this part of its life has passed. */
const renewalPart = 0.5;
/** Of a certificate that could not be recorded: short, since nobody can revoke it. */
const unrecordedTtlMs = 3_600_000;
/** While the disk refuses writes, the next attempt comes after this time. */
const retryMs = 60_000;

export class ServerCredentialKeeper {
  readonly #authority: MeshAuthority;
  readonly #names: ServerNames;
  readonly #namespace: string;
  readonly #wallMs: () => number;
  #current: ServerCredential;
  #renewAtMs = 0;

  constructor(authority: MeshAuthority, names: ServerNames, namespace: string, wallMs: () => number) {
    this.#authority = authority;
    this.#names = names;
    this.#namespace = namespace;
    this.#wallMs = wallMs;
    this.#current = this.#issueInTime(0);
  }

  get current(): ServerCredential {
    return this.#current;
  }

  /**
   * A control plane on a full disk serves what it has: where nothing else is good for long (`endsMs`; 0 = there is none),
   * a certificate that is not recorded, until one can be.
   */
  #issueInTime(endsMs: number): ServerCredential {
    try {
      return this.#issue();
    } catch (error) {
      const isEnding = endsMs - this.#wallMs() <= unrecordedTtlMs / 2;
      if (!isEnding || !hasErrorCode(error, 'state-unwritable')) throw error;
      const unrecorded = this.#issue({ ttlMs: unrecordedTtlMs, isUnrecorded: true });
      this.#renewAtMs = this.#wallMs() + retryMs;
      return unrecorded;
    }
  }

  /** True when there is a new one: it is time, another root signs, or other roots are trusted. */
  check(): boolean {
    const { root } = this.#authority.signing;
    const isDue = this.#wallMs() >= this.#renewAtMs || root.sha256 !== this.#current.rootId;
    if (isDue) {
      // However this ends, it is not tried again at once.
      this.#renewAtMs = this.#wallMs() + retryMs;
      this.#current = this.#issueInTime(this.#current.notAfterMs);
    } else if (this.#current.trustedPem === this.#authority.bundle.rootsPem) return false;
    else this.#current = { ...this.#current, trustedPem: this.#authority.bundle.rootsPem };
    return true;
  }

  #issue(how: { readonly ttlMs: number; readonly isUnrecorded?: boolean } = { ttlMs: 0 }): ServerCredential {
    const key = generateKeySync();
    const { leaf, chain } = this.#authority.issue({
      spki: key.spki,
      namespace: this.#namespace,
      account: controlAccount,
      binding: { instance: '', labels: {}, ports: [] },
      proof: 'own',
      ...how,
      dnsSans: [...new Set([...usualNames, ...this.#names.dnsSans])],
      ipSans: [...new Set([...loopback, ...this.#names.ipSans])],
    });
    const nowMs = this.#wallMs();
    this.#renewAtMs = nowMs + (leaf.notAfterMs - nowMs) * renewalPart;
    return {
      chainPem: chainPem(chain),
      keyPem: exportPrivateKey(key),
      notAfterMs: leaf.notAfterMs,
      rootId: this.#authority.signing.root.sha256,
      trustedPem: this.#authority.bundle.rootsPem,
    };
  }
}
