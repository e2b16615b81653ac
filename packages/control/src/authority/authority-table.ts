/**
 * What the authority remembers across restarts, in the one state file (design §6, State): its roots and intermediates
 * with their keys, every certificate it issued, what was revoked, and the revocation lists as they were last signed.
 * `state.db` is 0600; keys are in it and in its backups, and nowhere else.
 */
import type { StateFile } from '../source/state-file.ts';
import { lineageStatements } from './lineage-statements.ts';

export type AuthorityPhase =
  /** In the trust bundle, not signing yet: proxies learn of it first. */
  | 'pending'
  | 'active'
  /** No longer signing; trusted until the last certificate below it has expired. */
  | 'retired';

export interface AuthorityRow {
  /** SHA-256 of the certificate, hex. */
  readonly id: string;
  readonly role: 'root' | 'intermediate';
  readonly origin: 'own' | 'operator';
  readonly phase: AuthorityPhase;
  /** The root that an intermediate is below; a root's own id. */
  readonly rootId: string;
  readonly certificatePem: string;
  /** PKCS#8; null for an operator's roots, whose keys are the operator's alone. */
  readonly keyPem: string | null;
  readonly createdMs: number;
  /** End of the last certificate that was signed below it; 0 for none. */
  readonly lastLeafMs: number;
}

/** What a certificate's holder may act as, beyond its name; carried over to its renewals. */
export interface Binding {
  /** A registered instance; empty for any of the account. */
  readonly instance: string;
  readonly labels: Readonly<Record<string, string>>;
  /** Application ports; empty for any. */
  readonly ports: readonly number[];
}

/** By what its holder got it; `own` is the control plane's. */
export type Proof = 'join-token' | 'service-account-token' | 'certificate' | 'own';

export interface IssuedRow {
  /** Lower-case hex. */
  readonly serial: string;
  /** The same for all that follow from one proof by renewal. */
  readonly lineage: string;
  readonly authorityId: string;
  readonly rootId: string;
  /** SPIFFE ID. */
  readonly identity: string;
  readonly namespace: string;
  readonly account: string;
  readonly binding: Binding;
  readonly proof: Proof;
  readonly issuedMs: number;
  readonly notAfterMs: number;
  /** 0 while it is good. */
  readonly revokedMs: number;
}

export interface AuthorityTable {
  /** In the order in which they were made. */
  authorities(): readonly AuthorityRow[];
  /** Adds it, or writes its phase, and its key where there was none. */
  putAuthority(row: AuthorityRow): void;
  deleteAuthority(id: string): void;
  /** One write for the certificate, what its authorities then know of their last leaf, and its instance's lineage. */
  addIssued(row: IssuedRow): void;
  issued(serial: string): IssuedRow | null;
  /** All that have not expired at `nowMs`, newest first. */
  unexpired(nowMs: number): readonly IssuedRow[];
  /** Revoked and not expired. */
  revoked(nowMs: number): readonly IssuedRow[];
  /** One write for certificates and lineages. */
  revoke(serials: readonly string[], lineages: readonly string[], nowMs: number): void;
  isLineageRevoked(lineage: string): boolean;
  /** The lineage that the instance has shown last. True when it is another one than before. */
  noteInstance(instance: string, lineage: string): boolean;
  /** Those whose last lineage is revoked. */
  revokedInstances(): readonly string[];
  /**
   * Forgets certificates that expired before `beforeMs`, and lineages revoked before `lineagesBeforeMs` that no
   * instance has shown last.
   */
  prune(beforeMs: number, lineagesBeforeMs: number): void;
  text(name: string): string | null;
  /** Names and values, in one write. */
  putTexts(entries: readonly (readonly [name: string, value: string])[]): void;
}

export function sqliteAuthorityTable(file: StateFile): AuthorityTable {
  const { database } = file;
  const putAuthority = database.prepare(
    'INSERT INTO authority VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?) ON CONFLICT (id) DO UPDATE SET phase = excluded.phase, key = coalesce(key, excluded.key)',
  );
  const deleteAuthority = database.prepare('DELETE FROM authority WHERE id = ?');
  const addIssued = database.prepare('INSERT INTO issued VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, 0, ?)');
  const lastLeaf = database.prepare(
    'UPDATE authority SET last_leaf_ms = max(last_leaf_ms, ?) WHERE id IN (?, ?)',
  );
  const revoke = database.prepare('UPDATE issued SET revoked_ms = ? WHERE serial = ? AND revoked_ms = 0');
  const prune = database.prepare('DELETE FROM issued WHERE not_after_ms < ?');
  const lineages = lineageStatements(file);
  const putText = database.prepare('INSERT OR REPLACE INTO authority_text VALUES (?, ?)');
  const select = (condition: string) =>
    database.query<SqlIssued, (string | number)[]>(`SELECT * FROM issued ${condition}`);
  return {
    authorities: () =>
      database.query<SqlAuthority, []>('SELECT * FROM authority ORDER BY rowid').all().map(toAuthority),
    putAuthority: (row) =>
      file.transact(() => {
        putAuthority.run(...authorityValues(row));
      }),
    deleteAuthority: (id) => file.transact(() => void deleteAuthority.run(id)),
    addIssued: (row) =>
      file.transact(() => {
        const { authorityId, rootId, binding, notAfterMs } = row;
        addIssued.run(...issuedValues(row));
        lastLeaf.run(notAfterMs, authorityId, rootId);
        if (binding.instance !== '') lineages.note(binding.instance, row.lineage);
      }),
    issued: (serial) => select('WHERE serial = ?').all(serial).map(toIssued)[0] ?? null,
    unexpired: (nowMs) =>
      select('WHERE not_after_ms > ? ORDER BY issued_ms DESC, serial').all(Math.round(nowMs)).map(toIssued),
    revoked: (nowMs) =>
      select('WHERE revoked_ms > 0 AND not_after_ms > ? ORDER BY serial')
        .all(Math.round(nowMs))
        .map(toIssued),
    revoke: (serials, revoked, nowMs) =>
      file.transact(() => {
        for (const serial of serials) revoke.run(Math.round(nowMs), serial);
        for (const lineage of revoked) lineages.revoke(lineage, Math.round(nowMs));
      }),
    isLineageRevoked: (lineage) => lineages.isRevoked(lineage),
    noteInstance(instance, lineage) {
      if (lineages.of(instance) === lineage) return false;
      file.transact(() => lineages.note(instance, lineage));
      return true;
    },
    revokedInstances: () => lineages.revokedInstances(),
    prune: (beforeMs, lineagesBeforeMs) =>
      file.transact(() => {
        prune.run(Math.round(beforeMs));
        lineages.prune(Math.round(lineagesBeforeMs));
      }),
    text: (name) =>
      database.query<{ value: string }, [string]>('SELECT value FROM authority_text WHERE name = ?').get(name)
        ?.value ?? null,
    putTexts: (entries) =>
      file.transact(() => {
        for (const [name, value] of entries) putText.run(name, value);
      }),
  };
}

/** In the order of the table's columns. */
function authorityValues(row: AuthorityRow): (string | number | null)[] {
  const { id, role, origin, phase, rootId, certificatePem, keyPem, createdMs, lastLeafMs } = row;
  return [id, role, origin, phase, rootId, certificatePem, keyPem, Math.round(createdMs), lastLeafMs];
}

/** In the order of the table's columns, but for the revocation. */
function issuedValues(row: IssuedRow): (string | number)[] {
  const { serial, authorityId, rootId, identity, namespace, account, binding, proof, notAfterMs } = row;
  const text = JSON.stringify(binding);
  const issuedMs = Math.round(row.issuedMs);
  return [
    serial,
    authorityId,
    rootId,
    identity,
    namespace,
    account,
    text,
    proof,
    issuedMs,
    notAfterMs,
    row.lineage,
  ];
}

interface SqlAuthority {
  readonly id: string;
  readonly role: 'root' | 'intermediate';
  readonly origin: 'own' | 'operator';
  readonly phase: AuthorityPhase;
  readonly root_id: string;
  readonly certificate: string;
  readonly key: string | null;
  readonly created_ms: number;
  readonly last_leaf_ms: number;
}

interface SqlIssued {
  readonly serial: string;
  readonly authority_id: string;
  readonly root_id: string;
  readonly identity: string;
  readonly namespace: string;
  readonly account: string;
  readonly binding: string;
  readonly proof: Proof;
  readonly issued_ms: number;
  readonly not_after_ms: number;
  readonly revoked_ms: number;
  readonly lineage: string;
}

function toAuthority(row: SqlAuthority): AuthorityRow {
  const { id, role, origin, phase, root_id, certificate, key, created_ms, last_leaf_ms } = row;
  return {
    id,
    role,
    origin,
    phase,
    rootId: root_id,
    certificatePem: certificate,
    keyPem: key,
    createdMs: created_ms,
    lastLeafMs: last_leaf_ms,
  };
}

function toIssued(row: SqlIssued): IssuedRow {
  return {
    serial: row.serial,
    lineage: row.lineage,
    authorityId: row.authority_id,
    rootId: row.root_id,
    identity: row.identity,
    namespace: row.namespace,
    account: row.account,
    binding: JSON.parse(row.binding) as Binding,
    proof: row.proof,
    issuedMs: row.issued_ms,
    notAfterMs: row.not_after_ms,
    revokedMs: row.revoked_ms,
  };
}
