/** Writes fifty objects, says so after the last answer, and waits to be killed. */
import { openSqliteStore } from '../sqlite-store.ts';
import { openStateFile } from '../state-file.ts';
import { storeOptions, virtualService } from '../store-suite.ts';

const store = openSqliteStore(openStateFile(process.argv[2] ?? ''), storeOptions());
for (let i = 0; i < 50; i++)
  store.put(virtualService(`v${i}`), { origin: { source: 'api' }, mode: 'create' });
process.stdout.write(`revision ${store.revision}\n`);
setInterval(() => {}, 60_000);
