/**
 * Writes docs/errors.md and docs/config.md from the code that they describe; `--check` only compares.
 * Run by `npm run check`, so that the documents cannot lie for long.
 */
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { renderConfigDocs } from '@sluice/api';
import { allErrorTables } from '@sluice/runtime';
import '@sluice/wire';
import '@sluice/cli';
import '@sluice/control';
import '../packages/proxy/src/errors.ts';

const docs = join(import.meta.dir, '..', 'docs');
const files: readonly (readonly [string, string])[] = [
  ['errors.md', renderErrors()],
  ['config.md', renderConfigDocs()],
];

const isCheck = process.argv.includes('--check');
let isStale = false;
for (const [name, text] of files) {
  const path = join(docs, name);
  if (read(path) === text) continue;
  if (isCheck) {
    isStale = true;
    console.error(`docs/${name} is not what the code says: run "npm run generate-docs"`);
  } else {
    writeFileSync(path, text);
    console.log(`docs/${name} written`);
  }
}
process.exit(isStale ? 1 : 0);

function renderErrors(): string {
  const tables = [...allErrorTables()].sort((a, b) => (a.packageName < b.packageName ? -1 : 1));
  const parts = tables.map((table) => {
    const rows = [...table.entries]
      .sort((a, b) => (a.code < b.code ? -1 : 1))
      .map(
        (entry) =>
          `| \`${entry.code}\` | ${entry.httpStatus ?? ''} | ${entry.grpcStatus ?? ''} | ${entry.responseFlag ?? ''} | ${cell(entry.meaning)} | ${cell(entry.action)} |`,
      );
    return `## ${table.packageName}\n\n| code | HTTP | gRPC | flag | meaning | what to do |\n| --- | --- | --- | --- | --- | --- |\n${rows.join('\n')}\n`;
  });
  return `# Error codes\n\nGenerated from the packages' \`errors.ts\`; do not edit. A reply that the proxy makes itself carries its code\nin the header \`x-sluice-reason\` and in the body (\`application/problem+json\`); the flag is Envoy's response\nflag in the access log. Codes are stable: programs may branch on them, never on the words.\n\n${parts.join('\n')}`;
}

function cell(text: string): string {
  return text.replaceAll('|', '\\|').replace(/\s+/g, ' ').trim();
}

function read(path: string): string | undefined {
  try {
    return readFileSync(path, 'utf8');
  } catch {
    return undefined;
  }
}
