/** Markdown tables with what a reader of figures must know: when and on what. */
import { cpus } from 'node:os';

export function printTable(
  title: string,
  head: readonly string[],
  rows: readonly (readonly string[])[],
): void {
  const model = cpus()[0]?.model ?? 'unknown processor';
  const day = new Date().toISOString().slice(0, 10);
  console.log(`\n### ${title}\n\n${day}, ${cpus().length} cores, ${model}, Bun ${Bun.version}\n`);
  console.log(`| ${head.join(' | ')} |\n|${head.map(() => ' --- |').join('')}`);
  for (const row of rows) console.log(`| ${row.join(' | ')} |`);
}
