/**
 * The last changes as rows of `state.db`, so that a watch which comes back after a restart goes on where it was
 * (design §6, State). Bounded by count. Of what an object was before, a watch needs only what selectors look at, unless
 * it was deleted: then the event carries its last content.
 *
 * Invariant: revisions in the table have no gaps, because each revision is one change.
 */
import type { Database } from 'bun:sqlite';
import type { KubeObject } from '@sluice/api';
import type { StoreChange, WatchedChange } from './store.ts';

export const watchLogSchema = `CREATE TABLE change (
     revision INTEGER PRIMARY KEY, grp TEXT NOT NULL, kind TEXT NOT NULL, namespace TEXT NOT NULL, name TEXT NOT NULL,
     before TEXT, after TEXT
   );`;

export interface WatchLog {
  /** Within the caller's transaction. `texts`: the JSON of new contents, made for their own rows already. */
  append(changes: readonly StoreChange[], texts: ReadonlyMap<KubeObject, string>): void;
  /** Null when it does not reach back so far. */
  after(revision: number): readonly WatchedChange[] | null;
  close(): void;
}

interface Row {
  readonly revision: number;
  readonly grp: string;
  readonly kind: string;
  readonly namespace: string;
  readonly name: string;
  readonly before: string | null;
  readonly after: string | null;
}

export function openWatchLog(database: Database, length: number): WatchLog {
  const insert = database.prepare('INSERT INTO change VALUES (?, ?, ?, ?, ?, ?, ?)');
  const trim = database.prepare('DELETE FROM change WHERE revision <= ?');
  const oldest = database.prepare<{ revision: number | null }, []>(
    'SELECT min(revision) AS revision FROM change',
  );
  const select = database.prepare<Row, [number]>('SELECT * FROM change WHERE revision > ? ORDER BY revision');
  return {
    append(changes, texts) {
      for (const { revision, key, before, after } of changes) {
        const was =
          before === null ? null : JSON.stringify(after === null ? before.object : selectable(before.object));
        const is = after === null ? null : (texts.get(after.object) ?? JSON.stringify(after.object));
        insert.run(revision, key.group, key.kind, key.namespace, key.name, was, is);
      }
      const last = changes.at(-1);
      if (last !== undefined) trim.run(last.revision - length);
    },
    after(revision) {
      const first = oldest.get()?.revision ?? null;
      return first === null || first > revision + 1 ? null : select.all(revision).map(fromRow);
    },
    close() {
      for (const statement of [insert, trim, oldest, select]) statement.finalize();
    },
  };
}

function selectable({ apiVersion, kind, metadata }: KubeObject): KubeObject {
  const { name, namespace, labels } = metadata;
  return {
    apiVersion,
    kind,
    metadata: {
      name,
      ...(namespace === undefined ? {} : { namespace }),
      ...(labels === undefined ? {} : { labels }),
    },
  };
}

function fromRow({ revision, grp, kind, namespace, name, before, after }: Row): WatchedChange {
  return {
    key: { group: grp, kind, namespace, name },
    before: before === null ? null : { object: JSON.parse(before) as KubeObject },
    after: after === null ? null : { object: JSON.parse(after) as KubeObject },
    revision,
  };
}
