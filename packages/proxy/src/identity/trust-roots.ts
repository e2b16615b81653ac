/**
 * The workload's own copy of the trust bundle, until the control plane sends the real one (SDS `ROOTCA`),
 * and whom the authority is verified by.
 *
 * While a root takes over from another, certificates of both are about. The bundle of the control plane holds
 * both; without it, the roots that our own chains led to are kept side by side.
 *
 * The revocation lists that came with the control plane's bundle are kept as well: a proxy that restarts while the
 * control plane is away must not take a peer that was refused before.
 */
import {
  isJoinToken,
  isProblem,
  parseChain,
  parseCrl,
  parseJoinToken,
  parsePem,
  trustBundle,
  type Certificate,
} from '@sluice/identity';
import type { Logger } from '@sluice/runtime';
import type { IdentityStore } from './identity-dir.ts';
import type { AuthorityTrust } from './signing-tls.ts';

/** The last roots of our own chains that are kept: one old, one new. */
const maxOwnRoots = 2;

export class TrustRoots {
  readonly #store: IdentityStore | null;
  readonly #logger: Logger;
  readonly #onChange: (rootsPem: string, crlPem: string) => void;
  #pem = '';
  #crlPem = '';
  #isFromControlPlane = false;

  /** `onChange`: the workload's own copy is another one now. */
  constructor(
    store: IdentityStore | null,
    logger: Logger,
    onChange: (rootsPem: string, crlPem: string) => void,
  ) {
    this.#store = store;
    this.#logger = logger;
    this.#onChange = onChange;
  }

  load(): void {
    const stored = this.#store?.loadRoots() ?? null;
    if (stored === null || isProblem(parseChain(stored))) return;
    this.#pem = stored;
    this.#crlPem = this.#loadRevocations();
    this.#onChange(stored, this.#crlPem);
  }

  /** The revocation lists of the moment; empty while nothing is revoked. */
  get crlPem(): string {
    return this.#crlPem;
  }

  /** Newest first. A bundle of the control plane is not added to: a root that it took out stays out. */
  fromAuthority(pinnedRootPem: string, root: Certificate | null): void {
    if (this.#isFromControlPlane) return;
    const fresh = [...(root === null ? [] : [root]), ...readRoots(pinnedRootPem)];
    const merged = trustBundle('', [...fresh, ...readRoots(this.#pem)]);
    const kept = trustBundle('', merged.roots.slice(0, Math.max(maxOwnRoots, fresh.length)));
    if (kept.rootsPem === this.#pem || kept.roots.length === 0) return;
    this.#change(kept.rootsPem);
    this.#onChange(kept.rootsPem, this.#crlPem);
  }

  fromControlPlane(pem: string, crlPem: string): void {
    if (pem.trim() === '') return;
    this.#isFromControlPlane = true;
    if (crlPem !== this.#crlPem) this.#changeRevocations(crlPem);
    if (pem !== this.#pem) this.#change(pem);
  }

  holds(root: Certificate): boolean {
    return readRoots(this.#pem).some(({ sha256 }) => sha256 === root.sha256);
  }

  /**
   * How the authority is to be verified, or in words why it cannot be. A join token is the operator's newest
   * word: its pins hold even where an older bundle is at hand, so that a workload that missed a rotation of
   * roots can join anew.
   */
  towardsAuthority(token: string | null, operatorRoots: () => string | null): AuthorityTrust | string {
    if (token !== null && isJoinToken(token)) {
      const parsed = parseJoinToken(token);
      return isProblem(parsed) ? parsed.message : { kind: 'pins', sha256: parsed.ca };
    }
    if (this.#isFromControlPlane) return { kind: 'roots', pem: this.#pem };
    try {
      const pem = this.#pem + (operatorRoots() ?? '');
      if (pem !== '') return { kind: 'roots', pem };
    } catch (error) {
      return error instanceof Error ? error.message : String(error);
    }
    return 'nothing says whom to trust: the token pins no root (it is no join token), so --ca-root-file must name one';
  }

  #change(pem: string): void {
    this.#pem = pem;
    this.#keep('the trust bundle', (store) => store.saveRoots(pem));
  }

  #changeRevocations(crlPem: string): void {
    this.#crlPem = crlPem;
    this.#keep('the revocation lists', (store) => store.saveRevocations(crlPem));
  }

  #keep(what: string, save: (store: IdentityStore) => void): void {
    try {
      if (this.#store !== null) save(this.#store);
    } catch (error) {
      this.#logger.error(`${what} could not be stored; a restart will not find it`, { error: String(error) });
    }
  }

  /** One that cannot be read must not take the roots with it: without them no peer at all would be taken. */
  #loadRevocations(): string {
    const stored = this.#store?.loadRevocations() ?? '';
    if (stored === '') return '';
    const blocks = parsePem(stored);
    const lists = isProblem(blocks) ? [] : blocks.map(({ der }) => parseCrl(der));
    if (lists.length > 0 && !lists.some(isProblem)) return stored;
    this.#logger.error('the stored revocation lists cannot be read; the control plane’s are waited for');
    return '';
  }
}

function readRoots(pem: string): readonly Certificate[] {
  if (pem === '') return [];
  const chain = parseChain(pem);
  return isProblem(chain) ? [] : chain;
}
