/** The tables of the authority and of join tokens, as a migration of the state file. */
export const authoritySchema = `CREATE TABLE authority (
     id TEXT PRIMARY KEY, role TEXT NOT NULL, origin TEXT NOT NULL, phase TEXT NOT NULL, root_id TEXT NOT NULL,
     certificate TEXT NOT NULL, key TEXT, created_ms INTEGER NOT NULL, last_leaf_ms INTEGER NOT NULL
   );
   CREATE TABLE issued (
     serial TEXT PRIMARY KEY, authority_id TEXT NOT NULL, root_id TEXT NOT NULL, identity TEXT NOT NULL,
     namespace TEXT NOT NULL, account TEXT NOT NULL, binding TEXT NOT NULL, proof TEXT NOT NULL,
     issued_ms INTEGER NOT NULL, not_after_ms INTEGER NOT NULL, revoked_ms INTEGER NOT NULL
   );
   CREATE INDEX issued_by_end ON issued (not_after_ms);
   CREATE TABLE authority_text (name TEXT PRIMARY KEY, value TEXT NOT NULL);
   CREATE TABLE join_token (
     id TEXT PRIMARY KEY, secret_hash TEXT NOT NULL, namespace TEXT NOT NULL, account TEXT NOT NULL,
     binding TEXT NOT NULL, created_ms INTEGER NOT NULL, expires_ms INTEGER NOT NULL, used_ms INTEGER NOT NULL,
     used_by TEXT NOT NULL
   );`;
