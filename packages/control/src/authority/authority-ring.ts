/**
 * The roots and intermediates of the mesh's own authority, and how one takes over from another:
 *
 *     root          pending ──all proxies have it, or the overlap passed──► active ──successor active──► retired ──last leaf expired──► gone
 *     intermediate                                       active ──successor made──► retired ──last leaf expired──► gone
 *
 * An operator's authority stands in the same table with its key, so that certificates below it can be revoked after
 * the operator has replaced it; nothing else is signed with that key then, and it goes with the last certificate.
 *
 * A root is in the bundle from pending until gone, so that every certificate that is about is trusted by everybody.
 * A new intermediate signs at once: its certificate travels with the leaf. Every step is written before it counts,
 * so that a control plane that dies in between goes on from where it was.
 */
import {
  certificatePem,
  createIntermediate,
  createRoot,
  exportPrivateKey,
  generateKeySync,
  importPrivateKey,
  isProblem,
  maySignCrls,
  parseCertificate,
  type Authority,
  type Certificate,
  type KeyPair,
} from '@sluice/identity';
import type { Logger } from '@sluice/runtime';
import { localError } from '../errors.ts';
import {
  backdatingMs,
  intermediateRenewalPart,
  rootRenewalPart,
  type AuthoritySettings,
} from './authority-settings.ts';
import type { AuthorityPhase, AuthorityRow, AuthorityTable } from './authority-table.ts';
import type { OperatorAuthority } from './operator-authority.ts';

/** A row with its certificate and key read. */
export interface RingMember {
  readonly row: AuthorityRow;
  readonly certificate: Certificate;
  readonly key: KeyPair | null;
}

export interface AuthorityRingOptions {
  readonly table: AuthorityTable;
  readonly settings: AuthoritySettings;
  readonly trustDomain: string;
  readonly wallMs: () => number;
  readonly log: Logger;
  /** Every proxy that is connected has the present bundle. */
  readonly hasReachedAll: () => boolean;
}

export class AuthorityRing {
  readonly #options: AuthorityRingOptions;
  readonly #members = new Map<string, RingMember>();

  /** Throws `authority-damaged` for a state that cannot be read. */
  constructor(options: AuthorityRingOptions) {
    this.#options = options;
    for (const row of options.table.authorities()) this.#members.set(row.id, readMember(row));
  }

  /** Every root that is to be trusted, the active one first. */
  get roots(): readonly RingMember[] {
    const order: readonly AuthorityPhase[] = ['active', 'pending', 'retired'];
    return order.flatMap((phase) => this.#of('root', phase));
  }

  /** Every intermediate whose leaves may be about. */
  get intermediates(): readonly RingMember[] {
    return [...this.#of('intermediate', 'active'), ...this.#of('intermediate', 'retired')];
  }

  /** Those that have leaves about, whose keys are at hand, and that may: they sign revocation lists. */
  get listSigners(): readonly Authority[] {
    const signers = [...this.intermediates, ...this.roots.filter(({ row }) => row.origin === 'operator')];
    return signers.flatMap(({ certificate, key }) =>
      key === null || !maySignCrls(certificate) ? [] : [{ certificate, key }],
    );
  }

  /** The intermediate that signs now and the root above it; null before the first `advance`. */
  get signing(): { readonly intermediate: Authority; readonly root: Certificate } | null {
    const [intermediate] = this.#of('intermediate', 'active');
    const root = this.#members.get(intermediate?.row.rootId ?? '');
    if (root === undefined || intermediate?.key == null) return null;
    return {
      intermediate: { certificate: intermediate.certificate, key: intermediate.key },
      root: root.certificate,
    };
  }

  /** Takes every step that is due. True when the set of trusted roots changed. */
  advance(): boolean {
    const before = this.#bundleId();
    if (!this.#hasOwnRoot()) this.#addRoot('active');
    this.#renewRoot();
    this.#activatePending();
    // After the activation, and again for one that was interrupted: the newest root is the one that signs.
    for (const { row } of this.#of('root', 'active').slice(1)) this.#setPhase(row.id, 'retired');
    this.#renewIntermediate();
    this.#removeFinished();
    return this.#bundleId() !== before;
  }

  /** Begins a rotation now. False when one is under way. */
  beginRootRotation(): boolean {
    if (this.#of('root', 'pending').length > 0) return false;
    this.#addRoot('pending');
    return true;
  }

  beginIntermediateRotation(): void {
    const [root] = this.#of('root', 'active');
    if (root !== undefined) this.#addIntermediate(root);
  }

  /**
   * The operator's authority is the one in force; other ones retire, our own among them. True when the bundle changed.
   */
  followOperator({ roots, root, signing }: OperatorAuthority): boolean {
    const before = this.#bundleId();
    const signingId = signing.certificate.sha256;
    for (const one of roots) {
      const key = one.sha256 === signingId ? signing.key : null;
      this.#adopt(one, { role: 'root', rootId: one.sha256, key });
    }
    const present = new Set([signingId, ...roots.map(({ sha256 }) => sha256)]);
    if (!roots.some(({ sha256 }) => sha256 === signingId))
      this.#adopt(signing.certificate, { role: 'intermediate', rootId: root.sha256, key: signing.key });
    for (const { row } of this.#members.values()) {
      if (row.phase !== 'retired' && !present.has(row.id)) this.#setPhase(row.id, 'retired');
    }
    this.#removeFinished();
    return this.#bundleId() !== before;
  }

  /** A part of the operator's authority that is in force. */
  #adopt(
    certificate: Certificate,
    { role, rootId, key }: Pick<AuthorityRow, 'role' | 'rootId'> & { readonly key: KeyPair | null },
  ): void {
    const known = this.#members.get(certificate.sha256);
    const keyPem = key === null ? null : exportPrivateKey(key);
    if (known === undefined) {
      this.#put({
        id: certificate.sha256,
        role,
        origin: 'operator',
        phase: 'active',
        rootId,
        certificatePem: certificatePem(certificate),
        keyPem,
        createdMs: this.#options.wallMs(),
        lastLeafMs: 0,
      });
    } else if (known.row.phase !== 'active' || (known.row.keyPem === null && keyPem !== null)) {
      this.#put({ ...known.row, phase: 'active', keyPem: known.row.keyPem ?? keyPem });
    }
  }

  /** What was signed below an authority, as the table knows it after `addIssued`. */
  noteLeaf(ids: readonly string[], notAfterMs: number): void {
    for (const id of ids) {
      const member = this.#members.get(id);
      if (member === undefined || member.row.lastLeafMs >= notAfterMs) continue;
      this.#members.set(id, { ...member, row: { ...member.row, lastLeafMs: notAfterMs } });
    }
  }

  #renewRoot(): void {
    const active = this.#of('root', 'active').find(({ row }) => row.origin === 'own');
    if (active === undefined || this.#of('root', 'pending').length > 0) return;
    if (this.#isDue(active.certificate, rootRenewalPart)) this.#addRoot('pending');
  }

  #activatePending(): void {
    const { settings, wallMs, hasReachedAll, log } = this.#options;
    const [pending] = this.#of('root', 'pending');
    if (pending === undefined) return;
    const waitedMs = wallMs() - pending.row.createdMs;
    // However short the overlap: what a root signs before proxies have heard of it is refused by them.
    if (waitedMs < settings.settleMs) return;
    const isKnown = hasReachedAll();
    if (waitedMs < settings.overlapMs && !isKnown) return;
    this.#setPhase(pending.row.id, 'active');
    log.info('a new root signs from now on', {
      root: pending.row.id,
      because: isKnown ? 'every proxy has it' : 'the overlap passed',
    });
  }

  #renewIntermediate(): void {
    const root = this.#of('root', 'active').find(({ row }) => row.origin === 'own');
    if (root === undefined) return;
    const active = this.#of('intermediate', 'active').find(({ row }) => row.rootId === root.row.id);
    if (active === undefined || this.#isDue(active.certificate, intermediateRenewalPart))
      this.#addIntermediate(root);
  }

  /** Retired, and the last certificate below it has expired. */
  #removeFinished(): void {
    const { table, wallMs, settings, log } = this.#options;
    // Intermediates first: a root goes when none is left below it.
    for (const { row } of [...this.intermediates, ...this.roots]) {
      if (row.phase !== 'retired' || row.lastLeafMs + settings.expiredRenewalMs > wallMs()) continue;
      const hasChildren = [...this.#members.values()].some(
        ({ row: other }) => other.rootId === row.id && other.id !== row.id,
      );
      if (hasChildren) continue;
      table.deleteAuthority(row.id);
      this.#members.delete(row.id);
      log.info('an authority is forgotten: the last certificate below it has expired', {
        role: row.role,
        id: row.id,
      });
    }
  }

  #isDue({ notBeforeMs, notAfterMs }: Certificate, part: number): boolean {
    return this.#options.wallMs() >= notBeforeMs + (notAfterMs - notBeforeMs) * part;
  }

  #hasOwnRoot(): boolean {
    return this.#of('root', 'active').some(({ row }) => row.origin === 'own');
  }

  #addRoot(phase: 'pending' | 'active'): void {
    const { trustDomain, settings, wallMs, log } = this.#options;
    const nowMs = wallMs();
    const root = createRoot(generateKeySync(), {
      organization: trustDomain,
      commonName: `${trustDomain} root ${new Date(nowMs).toISOString()}`,
      notBeforeMs: nowMs - backdatingMs,
      notAfterMs: nowMs + settings.rootTtlMs,
    });
    this.#add(root, 'root', phase, root.certificate.sha256);
    log.info('a root was made', { root: root.certificate.sha256, phase });
  }

  #addIntermediate({ row, certificate, key }: RingMember): void {
    const { trustDomain, settings, wallMs, log } = this.#options;
    if (key === null) return;
    const nowMs = wallMs();
    const intermediate = createIntermediate({ certificate, key }, generateKeySync(), {
      organization: trustDomain,
      commonName: `${trustDomain} intermediate ${new Date(nowMs).toISOString()}`,
      notBeforeMs: Math.max(nowMs - backdatingMs, certificate.notBeforeMs),
      notAfterMs: nowMs + settings.intermediateTtlMs,
    });
    const before = this.#of('intermediate', 'active');
    this.#add(intermediate, 'intermediate', 'active', row.id);
    for (const one of before) this.#setPhase(one.row.id, 'retired');
    log.info('an intermediate was made', { intermediate: intermediate.certificate.sha256, root: row.id });
  }

  #add(
    { certificate, key }: Authority,
    role: AuthorityRow['role'],
    phase: AuthorityPhase,
    rootId: string,
  ): void {
    this.#put({
      id: certificate.sha256,
      role,
      origin: 'own',
      phase,
      rootId,
      certificatePem: certificatePem(certificate),
      keyPem: exportPrivateKey(key),
      createdMs: this.#options.wallMs(),
      lastLeafMs: 0,
    });
  }

  #setPhase(id: string, phase: AuthorityPhase): void {
    const member = this.#members.get(id);
    if (member !== undefined) this.#put({ ...member.row, phase });
  }

  #put(row: AuthorityRow): void {
    this.#options.table.putAuthority(row);
    this.#members.set(row.id, readMember(row));
  }

  /** The newest first. */
  #of(role: AuthorityRow['role'], phase: AuthorityPhase): readonly RingMember[] {
    return [...this.#members.values()]
      .filter(({ row }) => row.role === role && row.phase === phase)
      .reverse();
  }

  #bundleId(): string {
    return this.roots.map(({ row }) => row.id).join(' ');
  }
}

function readMember(row: AuthorityRow): RingMember {
  const certificate = parseCertificate(row.certificatePem);
  const key = row.keyPem === null ? null : importPrivateKey(row.keyPem);
  if (isProblem(certificate) || isProblem(key)) {
    throw localError(
      'authority-damaged',
      `the ${row.role} ${row.id.slice(0, 16)} in the state cannot be read; restore a backup with sluice restore`,
    );
  }
  return { row, certificate, key };
}
