/**
 * Join tokens: made by an operator, or by `sluice up` for its own workloads, good once and for minutes. What is kept
 * is the digest of the secret, so that who reads the state cannot join.
 */
import { timingSafeEqual } from 'node:crypto';
import { formatJoinToken, hashSecret, isProblem, newJoinToken, parseJoinToken } from '@sluice/identity';
import type { StateFile } from '../source/state-file.ts';
import type { Binding } from './authority-table.ts';

export interface JoinTokenRow {
  readonly id: string;
  readonly namespace: string;
  readonly account: string;
  readonly binding: Binding;
  readonly createdMs: number;
  readonly expiresMs: number;
  /** 0 until it is used. */
  readonly usedMs: number;
}

export interface TokenRequest {
  readonly namespace: string;
  readonly account: string;
  readonly binding: Binding;
  /** 0 for the default. */
  readonly ttlMs: number;
}

export type Redeemed =
  { readonly ok: true; readonly row: JoinTokenRow } | { readonly ok: false; readonly reason: string };

export const defaultTokenTtlMs = 15 * 60_000;
export const maxTokenTtlMs = 24 * 3_600_000;
/** Used and expired tokens are listed this long. */
const rememberMs = 3_600_000;

export interface JoinTokensOptions {
  readonly file: StateFile;
  readonly wallMs: () => number;
  /** Digests of the roots that a token is to pin. */
  readonly pins: () => readonly string[];
  /** `host:port` of the signing service. */
  readonly address: () => string;
}

export class JoinTokens {
  readonly #options: JoinTokensOptions;

  constructor(options: JoinTokensOptions) {
    this.#options = options;
  }

  /** The text is a secret: for a 0600 file, never for a log. */
  create({ namespace, account, binding, ttlMs }: TokenRequest): {
    readonly text: string;
    readonly row: JoinTokenRow;
  } {
    const { file, wallMs, pins, address } = this.#options;
    const token = newJoinToken(pins(), address());
    const createdMs = Math.round(wallMs());
    const expiresMs = createdMs + Math.min(ttlMs > 0 ? ttlMs : defaultTokenTtlMs, maxTokenTtlMs);
    const row: JoinTokenRow = { id: token.id, namespace, account, binding, createdMs, expiresMs, usedMs: 0 };
    file.transact(() => {
      file.database.run('DELETE FROM join_token WHERE expires_ms < ?', [createdMs - rememberMs]);
      file.database.run(`INSERT INTO join_token VALUES (?, ?, ?, ?, ?, ?, ?, 0, '')`, [
        token.id,
        hashSecret(token.secret),
        namespace,
        account,
        JSON.stringify(binding),
        createdMs,
        expiresMs,
      ]);
    });
    return { text: formatJoinToken(token), row };
  }

  /**
   * Is the token good for a key (the SHA-256 of its SubjectPublicKeyInfo)? A second request for the same key is the
   * first one again, whose answer was lost. Does not use the token up: that is `spend`'s, when everything else about
   * the request is right too.
   */
  judge(text: string, keyHash: string): Redeemed {
    const token = parseJoinToken(text);
    if (isProblem(token)) return { ok: false, reason: token.message };
    const { file, wallMs } = this.#options;
    const row = file.database
      .query<SqlToken & { secret_hash: string }, [string]>('SELECT * FROM join_token WHERE id = ?')
      .get(token.id);
    if (row === null || !isEqual(row.secret_hash, hashSecret(token.secret)))
      return { ok: false, reason: 'the join token is not one of this mesh, or was revoked' };
    if (row.used_ms > 0 && row.used_by !== keyHash)
      return { ok: false, reason: 'the join token has been used: it is good once' };
    if (row.expires_ms <= wallMs()) return { ok: false, reason: 'the join token has expired' };
    return { ok: true, row: toRow(row) };
  }

  /** False when another request was first. Durable when it returns. */
  spend(id: string, keyHash: string): boolean {
    const { file, wallMs } = this.#options;
    let changes = 0;
    file.transact(() => {
      changes = file.database.run(
        'UPDATE join_token SET used_ms = ?, used_by = ? WHERE id = ? AND (used_ms = 0 OR used_by = ?)',
        [Math.round(wallMs()), keyHash, id, keyHash],
      ).changes;
    });
    return changes === 1;
  }

  /**
   * Used tokens of an account end with its revocation: else whoever holds a revoked key would show its token again,
   * as if the first answer had been lost, and be certified anew.
   */
  endUsed(namespace: string, account: string): void {
    const { file, wallMs } = this.#options;
    const nowMs = Math.round(wallMs());
    file.transact(() => {
      file.database.run(
        'UPDATE join_token SET expires_ms = ? WHERE namespace = ? AND account = ? AND used_ms > 0 AND expires_ms > ?',
        [nowMs, namespace, account, nowMs],
      );
    });
  }

  /** Newest first. */
  list(): readonly JoinTokenRow[] {
    return this.#options.file.database
      .query<SqlToken, []>('SELECT * FROM join_token ORDER BY created_ms DESC, id')
      .all()
      .map(toRow);
  }

  /** False when there is none of this id. */
  revoke(id: string): boolean {
    const { file } = this.#options;
    let changes = 0;
    file.transact(() => {
      changes = file.database.run('DELETE FROM join_token WHERE id = ?', [id]).changes;
    });
    return changes === 1;
  }
}

interface SqlToken {
  readonly id: string;
  readonly namespace: string;
  readonly account: string;
  readonly binding: string;
  readonly created_ms: number;
  readonly expires_ms: number;
  readonly used_ms: number;
  readonly used_by: string;
}

function toRow(row: SqlToken): JoinTokenRow {
  return {
    id: row.id,
    namespace: row.namespace,
    account: row.account,
    binding: JSON.parse(row.binding) as Binding,
    createdMs: row.created_ms,
    expiresMs: row.expires_ms,
    usedMs: row.used_ms,
  };
}

function isEqual(left: string, right: string): boolean {
  return left.length === right.length && timingSafeEqual(Buffer.from(left), Buffer.from(right));
}
