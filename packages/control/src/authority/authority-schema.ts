/** The tables of the authority and of join tokens, as migrations of the state file. */
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

/**
 * Which certificates follow from which: a lineage begins with a proof and goes on with each renewal. Of certificates
 * that are older than this table the parent is not known: those in force of one instance count as one lineage.
 */
export const lineageSchema = `ALTER TABLE issued ADD COLUMN lineage TEXT NOT NULL DEFAULT '';
   UPDATE issued SET lineage = serial;
   UPDATE issued AS one SET lineage = (
     SELECT first.serial FROM issued AS first
     WHERE first.revoked_ms = 0 AND first.identity = one.identity AND first.binding = one.binding
     ORDER BY first.issued_ms, first.serial LIMIT 1
   ) WHERE one.revoked_ms = 0 AND json_extract(one.binding, '$.instance') <> '';
   CREATE INDEX issued_by_lineage ON issued (lineage);
   CREATE TABLE revoked_lineage (lineage TEXT PRIMARY KEY, revoked_ms INTEGER NOT NULL);
   INSERT INTO revoked_lineage SELECT lineage, revoked_ms FROM issued WHERE revoked_ms > 0;
   CREATE TABLE instance_lineage (instance TEXT PRIMARY KEY, lineage TEXT NOT NULL);
   INSERT OR REPLACE INTO instance_lineage
     SELECT json_extract(binding, '$.instance'), lineage FROM issued
     WHERE json_extract(binding, '$.instance') <> '' ORDER BY issued_ms;`;
