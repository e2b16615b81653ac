/** The store on SQLite: objects as rows of `state.db`, JSON inside. See object-store.ts for its rules. */
import type { KubeObject, Origin, Problem } from '@sluice/api';
import { hasErrors } from '@sluice/api';
import type { Journal } from './journal.ts';
import { defaultLogLength } from './change-log.ts';
import { ObjectStore, type ObjectStoreOptions } from './object-store.ts';
import { openWatchLog } from './watch-log.ts';
import type { StateFile } from './state-file.ts';
import type { StoredObject } from './store.ts';

/** The state file is the caller's: closing the store leaves it open for the registry. */
export function openSqliteStore(file: StateFile, options: Omit<ObjectStoreOptions, 'journal'>): ObjectStore {
  const { admission, logLength = defaultLogLength } = options;
  return new ObjectStore({ ...options, journal: sqliteJournal(file, admission.withDefaults, logLength) });
}

interface Row {
  readonly grp: string;
  readonly kind: string;
  readonly namespace: string;
  readonly name: string;
  readonly generation: number;
  readonly revision: number;
  readonly created_ms: number;
  readonly origin: string;
  readonly content: string;
  readonly serving: string | null;
  readonly problems: string;
}

function sqliteJournal(
  file: StateFile,
  withDefaults: (object: KubeObject) => KubeObject,
  logLength: number,
): Journal {
  const { database } = file;
  const watchLog = openWatchLog(database, logLength);
  const put = database.prepare(
    'INSERT OR REPLACE INTO object VALUES ($grp,$kind,$namespace,$name,$generation,$revision,$created,$origin,$content,$serving,$problems)',
  );
  const remove = database.prepare(
    'DELETE FROM object WHERE grp = ? AND kind = ? AND namespace = ? AND name = ?',
  );
  const setRevision = database.prepare('UPDATE revision SET value = ? WHERE id = 1');
  return {
    load() {
      const revision = database.query<{ value: number }, []>('SELECT value FROM revision').get()?.value ?? 0;
      const rows = database.query<Row, []>('SELECT * FROM object').all();
      return { revision, objects: rows.map((row) => fromRow(row, withDefaults)) };
    },
    commit({ revision, puts, deletes, changes }) {
      file.transact(() => {
        for (const key of deletes) remove.run(key.group, key.kind, key.namespace, key.name);
        const texts = new Map<KubeObject, string>();
        for (const stored of puts) {
          const content = JSON.stringify(stored.object);
          texts.set(stored.object, content);
          put.run(toRow(stored, content));
        }
        watchLog.append(changes, texts);
        setRevision.run(revision);
      });
    },
    changesAfter: (revision) => watchLog.after(revision),
    close() {
      put.finalize();
      remove.finalize();
      setRevision.finalize();
      watchLog.close();
    },
  };
}

/** Of a valid object `serving` is derived anew, so that an upgrade's defaults apply; an older generation is kept. */
function fromRow(row: Row, withDefaults: (object: KubeObject) => KubeObject): StoredObject {
  const object = JSON.parse(row.content) as KubeObject;
  const problems = JSON.parse(row.problems) as readonly Problem[];
  const lastGood = row.serving === null ? null : (JSON.parse(row.serving) as KubeObject);
  return {
    key: { group: row.grp, kind: row.kind, namespace: row.namespace, name: row.name },
    object,
    serving: hasErrors(problems) ? lastGood : withDefaults(object),
    problems,
    origin: JSON.parse(row.origin) as Origin,
    generation: row.generation,
    revision: row.revision,
    createdMs: row.created_ms,
  };
}

function toRow(stored: StoredObject, content: string): Record<string, string | number | null> {
  const keepsLastGood = hasErrors(stored.problems) && stored.serving !== null;
  return {
    $grp: stored.key.group,
    $kind: stored.key.kind,
    $namespace: stored.key.namespace,
    $name: stored.key.name,
    $generation: stored.generation,
    $revision: stored.revision,
    $created: Math.round(stored.createdMs),
    $origin: JSON.stringify(stored.origin),
    $content: content,
    $serving: keepsLastGood ? JSON.stringify(stored.serving) : null,
    $problems: JSON.stringify(stored.problems),
  };
}
