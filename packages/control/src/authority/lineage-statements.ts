/**
 * Lineages in the state file: which are revoked, and which one each instance has shown last. A lineage is a proof
 * of identity and every certificate that follows from it by renewal; who revokes one of its certificates means the
 * workload, not the number. Writing happens within the caller's transaction.
 */
import type { StateFile } from '../source/state-file.ts';

export interface LineageStatements {
  isRevoked(lineage: string): boolean;
  revoke(lineage: string, nowMs: number): void;
  of(instance: string): string | null;
  note(instance: string, lineage: string): void;
  revokedInstances(): readonly string[];
  /** A workload that was revoked long ago and still runs is still revoked. */
  prune(beforeMs: number): void;
}

export function lineageStatements({ database }: Pick<StateFile, 'database'>): LineageStatements {
  const isRevoked = database.query<object, [string]>('SELECT 1 FROM revoked_lineage WHERE lineage = ?');
  const revoke = database.prepare('INSERT OR IGNORE INTO revoked_lineage VALUES (?, ?)');
  const of = database.query<{ lineage: string }, [string]>(
    'SELECT lineage FROM instance_lineage WHERE instance = ?',
  );
  const note = database.prepare('INSERT OR REPLACE INTO instance_lineage VALUES (?, ?)');
  const revokedInstances = database.query<{ instance: string }, []>(
    'SELECT instance FROM instance_lineage JOIN revoked_lineage USING (lineage) ORDER BY instance',
  );
  const pruneRevoked = database.prepare(
    'DELETE FROM revoked_lineage WHERE revoked_ms < ? AND lineage NOT IN (SELECT lineage FROM instance_lineage)',
  );
  const pruneInstances = database.prepare(
    `DELETE FROM instance_lineage WHERE lineage NOT IN (SELECT lineage FROM issued)
       AND lineage NOT IN (SELECT lineage FROM revoked_lineage)`,
  );
  return {
    isRevoked: (lineage) => isRevoked.get(lineage) !== null,
    revoke: (lineage, nowMs) => void revoke.run(lineage, nowMs),
    of: (instance) => of.get(instance)?.lineage ?? null,
    note: (instance, lineage) => void note.run(instance, lineage),
    revokedInstances: () => revokedInstances.all().map(({ instance }) => instance),
    prune(beforeMs) {
      pruneInstances.run();
      pruneRevoked.run(beforeMs);
    },
  };
}
