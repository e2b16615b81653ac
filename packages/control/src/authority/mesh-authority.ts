/**
 * The mesh's authority: signs workloads' certificates, keeps the trust bundle and the revocation lists, and goes on
 * after a restart from what it wrote (authority-table.ts). Its own (authority-ring.ts) unless the operator brings one.
 * Who may have which identity is decided before it is asked (caller.ts, signing-service.ts).
 */
import {
  certificatePem,
  isProblem,
  issueCertificate,
  maySignCrls,
  parseCertificate,
  parseCrl,
  parsePem,
  problem,
  spiffeId,
  trustBundle,
  verifyChain,
  type Authority,
  type Certificate,
  type Crl,
  type Problem,
  type TrustBundle,
} from '@sluice/identity';
import type { Logger } from '@sluice/runtime';
import { hasErrorCode } from '../errors.ts';
import { AuthorityRing } from './authority-ring.ts';
import { backdatingMs, type AuthoritySettings } from './authority-settings.ts';
import type { AuthorityTable, Binding, IssuedRow, Proof } from './authority-table.ts';
import type { OperatorAuthority } from './operator-authority.ts';
import { RevocationLists } from './revocation.ts';

export interface MeshAuthorityOptions {
  readonly table: AuthorityTable;
  readonly settings: AuthoritySettings;
  readonly trustDomain: string;
  readonly wallMs: () => number;
  readonly log: Logger;
  readonly operator: OperatorAuthority | null;
  /** Every proxy that is connected has the present bundle. */
  readonly hasReachedAll: () => boolean;
}

export interface LeafRequest {
  readonly spki: Uint8Array;
  readonly namespace: string;
  readonly account: string;
  readonly binding: Binding;
  readonly proof: Proof;
  /** Of what entitles to it, so that both are revoked together; absent where it begins a lineage of its own. */
  readonly lineage?: string;
  /** 0 for the default. */
  readonly ttlMs: number;
  /** The control plane's own, where nothing can be written: without it no proxy could be served at all. */
  readonly isUnrecorded?: boolean;
  /** For the control plane's own certificate. */
  readonly dnsSans?: readonly string[];
  readonly ipSans?: readonly string[];
}

export interface IssuedChain {
  readonly leaf: Certificate;
  /** Leaf first, root last. */
  readonly chain: readonly Certificate[];
}

/** `instances`: whose certificates are revoked, by instance. */
export type AuthorityChange = 'bundle' | 'revocation' | 'instances';

interface Signing {
  readonly authority: Authority;
  /** What is sent above the leaf, the root last. */
  readonly above: readonly Certificate[];
  readonly root: Certificate;
}

const pruneIntervalMs = 600_000;
/** Expired certificates are remembered this long, for `sluice cert` and the log's readers. */
const rememberExpiredMs = 24 * 3_600_000;

export class MeshAuthority {
  readonly #options: MeshAuthorityOptions;
  readonly #ring: AuthorityRing;
  readonly #lists: RevocationLists;
  readonly #listeners = new Set<(kind: AuthorityChange) => void>();
  #operator: OperatorAuthority | null;
  #bundle: TrustBundle;
  #crls: readonly Crl[] = [];
  #pruneAtMs = 0;
  #revokedInstances: ReadonlySet<string>;

  /** Throws `authority-damaged`. */
  constructor(options: MeshAuthorityOptions) {
    this.#options = options;
    this.#operator = options.operator;
    this.#ring = new AuthorityRing(options);
    this.#lists = new RevocationLists(options.table);
    this.#warnOfOperator();
    this.#advance();
    this.#bundle = this.#readBundle();
    this.#refreshLists();
    this.#crls = readCrls(this.#lists.pem);
    this.#revokedInstances = new Set(options.table.revokedInstances());
  }

  /** Registered or not: those whose certificates were revoked, and that have shown no others since. */
  get revokedInstances(): ReadonlySet<string> {
    return this.#revokedInstances;
  }

  get bundle(): TrustBundle {
    return this.#bundle;
  }

  /** PEM of the revocation lists; empty while nothing is revoked. */
  get crlPem(): string {
    return this.#lists.pem;
  }

  get trustDomain(): string {
    return this.#options.trustDomain;
  }

  /** What a first contact pins: the root that servers' chains lead to now, and the one that takes over next. */
  get pins(): readonly string[] {
    return this.#bundle.roots.map(({ sha256 }) => sha256);
  }

  get signing(): {
    readonly certificate: Certificate;
    readonly root: Certificate;
    readonly isOperators: boolean;
  } {
    const { authority, root } = this.#signing();
    return { certificate: authority.certificate, root, isOperators: this.#operator !== null };
  }

  get ring(): Pick<AuthorityRing, 'roots' | 'intermediates'> {
    return this.#ring;
  }

  subscribe(listener: (kind: AuthorityChange) => void): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  /** Signs and remembers. Durable when it returns; throws `state-unwritable` with nothing signed. */
  issue(request: LeafRequest): IssuedChain {
    const { settings, wallMs, table, trustDomain } = this.#options;
    const { authority, above, root } = this.#signing();
    const nowMs = wallMs();
    const ttlMs = Math.min(request.ttlMs > 0 ? request.ttlMs : settings.leafTtlMs, settings.maxLeafTtlMs);
    const identity = spiffeId(trustDomain, request.namespace, request.account);
    const leaf = parseCertificate(
      issueCertificate(authority, {
        spki: request.spki,
        notBeforeMs: Math.max(nowMs - backdatingMs, authority.certificate.notBeforeMs),
        notAfterMs: Math.min(nowMs + ttlMs, authority.certificate.notAfterMs),
        uriSans: [identity],
        dnsSans: request.dnsSans ?? [],
        ipSans: request.ipSans ?? [],
      }),
    );
    // Invariant: what we write, we read.
    if (isProblem(leaf)) throw new Error(`a certificate of our own is ${leaf.message}`);
    const authorityId = authority.certificate.sha256;
    const row: IssuedRow = {
      serial: leaf.serial,
      lineage: request.lineage ?? leaf.serial,
      authorityId,
      rootId: root.sha256,
      identity,
      namespace: request.namespace,
      account: request.account,
      binding: request.binding,
      proof: request.proof,
      issuedMs: nowMs,
      notAfterMs: leaf.notAfterMs,
      revokedMs: 0,
    };
    if (request.isUnrecorded !== true) table.addIssued(row);
    this.#ring.noteLeaf([authorityId, root.sha256], leaf.notAfterMs);
    if (this.#revokedInstances.has(request.binding.instance)) this.#refreshInstances();
    return { leaf, chain: [leaf, ...above] };
  }

  /** Judges a chain as it was presented on a connection whose peer holds the leaf's key. */
  verify(presented: readonly Certificate[], expiredMs = 0): readonly Certificate[] | Problem {
    // Else an authority of our own would stand where the leaf should.
    if (presented.length === 0) return problem('malformed', 'no certificate');
    const known = this.#ring.intermediates.map(({ certificate }) => certificate);
    return verifyChain([...presented, ...known], this.#bundle.roots, {
      nowMs: this.#options.wallMs(),
      expiredLeafMs: expiredMs,
      usage: 'client',
      crls: this.#crls,
    });
  }

  issuedRow(serial: string): IssuedRow | null {
    return this.#options.table.issued(serial);
  }

  unexpired(): readonly IssuedRow[] {
    return this.#options.table.unexpired(this.#options.wallMs());
  }

  /** The lineage that a certificate belongs to; a certificate that is not on record is the first of its own. */
  lineageOf(serial: string): string {
    return this.issuedRow(serial)?.lineage ?? serial;
  }

  isLineageRevoked(lineage: string): boolean {
    return this.#options.table.isLineageRevoked(lineage);
  }

  /** The instance speaks by this certificate from now on. */
  noteInstance(instance: string, serial: string): void {
    const { table, log } = this.#options;
    try {
      if (!table.noteInstance(instance, this.lineageOf(serial))) return;
    } catch (error) {
      if (!hasErrorCode(error, 'state-unwritable')) throw error;
      log.error('which certificate an instance shows could not be written', {
        instance,
        error: error.message,
      });
      return;
    }
    this.#refreshInstances();
  }

  /**
   * The certificates that are revoked by this: those that are meant, and all that follow from the same proofs, since
   * a workload that was renewed is still the one that was meant. Those that were revoked already are not among them.
   */
  revoke(select: (row: IssuedRow) => boolean): readonly IssuedRow[] {
    const { table, wallMs, log, settings } = this.#options;
    const nowMs = wallMs();
    // What has expired may still ask for its renewal where the operator allows that.
    const good = table
      .unexpired(nowMs - settings.expiredRenewalMs)
      .filter(({ revokedMs }) => revokedMs === 0);
    const lineages = new Set(good.filter(select).map(({ lineage }) => lineage));
    const chosen = good.filter(({ lineage }) => lineages.has(lineage));
    if (chosen.length === 0) return [];
    table.revoke(
      chosen.map(({ serial }) => serial),
      [...lineages],
      nowMs,
    );
    for (const row of chosen) {
      const { serial, identity, authorityId: authority } = row;
      log.warning('certificate revoked', { serial, identity });
      if (!this.isListable(row))
        log.error(
          'a revoked certificate can be put on no list: the key of its authority is gone, or may not sign lists; peers take it until its end',
          { serial, authority },
        );
    }
    this.#refreshLists();
    this.#refreshInstances();
    return chosen;
  }

  /** Whether peers can be told when it is revoked; else only the control plane knows. */
  isListable({ authorityId }: Pick<IssuedRow, 'authorityId'>): boolean {
    return this.#ring.listSigners.some(({ certificate }) => certificate.sha256 === authorityId);
  }

  /** To be called every `checkIntervalMs`: rotations that are due, and what may be forgotten. */
  check(): void {
    const { table, wallMs, settings } = this.#options;
    const nowMs = wallMs();
    if (nowMs >= this.#pruneAtMs) {
      const rememberMs = rememberExpiredMs + settings.expiredRenewalMs;
      // A certificate that is not on record may be as old as the longest there are.
      table.prune(nowMs - rememberMs, nowMs - rememberMs - settings.maxLeafTtlMs);
      this.#pruneAtMs = nowMs + pruneIntervalMs;
    }
    if (this.#advance()) this.#bundleChanged();
    this.#refreshLists();
  }

  /** Begins to replace the root, or the intermediate. False where there is nothing to begin. */
  rotate(what: 'root' | 'intermediate'): boolean {
    if (this.#operator !== null) return false;
    if (what === 'intermediate') {
      this.#ring.beginIntermediateRotation();
      this.#refreshLists();
      return true;
    }
    if (!this.#ring.beginRootRotation()) return false;
    this.#bundleChanged();
    return true;
  }

  /** The operator changed the files or the Secret. Throws `state-unwritable`; the one before goes on then. */
  replaceOperator(operator: OperatorAuthority): void {
    const before = this.#operator;
    this.#operator = operator;
    try {
      if (this.#advance()) this.#bundleChanged();
    } catch (error) {
      // What cannot be recorded does not sign: nobody would be told of its root.
      this.#operator = before;
      throw error;
    }
    this.#warnOfOperator();
    this.#refreshLists();
  }

  #warnOfOperator(): void {
    if (this.#operator === null || maySignCrls(this.#operator.signing.certificate)) return;
    this.#options.log.warning(
      'the operator’s authority may not sign revocation lists (key usage without cRLSign): peers cannot be told of what is revoked',
      { authority: this.#operator.signing.certificate.subject },
    );
  }

  #advance(): boolean {
    return this.#operator === null ? this.#ring.advance() : this.#ring.followOperator(this.#operator);
  }

  #signing(): Signing {
    if (this.#operator !== null) {
      const { signing, chain, root } = this.#operator;
      return { authority: signing, above: [...chain, root], root };
    }
    const own = this.#ring.signing;
    // Invariant: `advance` leaves an active root and intermediate.
    if (own === null) throw new Error('the authority has nothing to sign with');
    return { authority: own.intermediate, above: [own.intermediate.certificate, own.root], root: own.root };
  }

  #readBundle(): TrustBundle {
    return trustBundle(
      this.#options.trustDomain,
      this.#ring.roots.map(({ certificate }) => certificate),
    );
  }

  #bundleChanged(): void {
    this.#bundle = this.#readBundle();
    this.#options.log.info('the trust bundle changed', { roots: this.pins.join(' ') });
    this.#tell('bundle');
  }

  #refreshLists(): void {
    const { table, wallMs } = this.#options;
    if (!this.#lists.refresh(this.#ring.listSigners, table.revoked(wallMs()), wallMs())) return;
    this.#crls = readCrls(this.#lists.pem);
    this.#tell('revocation');
  }

  #refreshInstances(): void {
    const present = this.#options.table.revokedInstances();
    const before = this.#revokedInstances;
    if (present.length === before.size && present.every((instance) => before.has(instance))) return;
    this.#revokedInstances = new Set(present);
    this.#tell('instances');
  }

  #tell(change: AuthorityChange): void {
    for (const listener of this.#listeners) listener(change);
  }
}

/** The PEM of a whole chain, one text for each certificate, as the signing service answers. */
export function chainTexts(chain: readonly Certificate[]): string[] {
  return chain.map((certificate) => certificatePem(certificate));
}

function readCrls(pem: string): readonly Crl[] {
  const blocks = parsePem(pem);
  if (isProblem(blocks)) return [];
  return blocks.flatMap(({ der }) => {
    const crl = parseCrl(der);
    return isProblem(crl) ? [] : [crl];
  });
}
