/**
 * `npm run check`: format, lint, types, structure, unit tests and generated documents, in about a minute.
 * Every step runs even if an earlier one failed, so that one run shows everything there is to mend.
 */
import { spawnSync } from 'node:child_process';
import { join } from 'node:path';
import { findBun, projectRoot } from './find-bun.mjs';
import { ensureGenerated } from './generate.mjs';

const bun = findBun();
await ensureGenerated();

const tool = (name) => join(projectRoot, 'node_modules', '.bin', name);
const steps = [
  ['format', bun, ['fmt', '--check', 'packages', 'test', 'bench', 'scripts', 'types', 'examples']],
  ['lint', tool('oxlint'), ['--quiet']],
  ['types', tool('tsc'), ['-p', '.']],
  ['structure', bun, ['test', 'test/structure']],
  // As in test.mjs: 5 s are short for real processes on a busy machine.
  ['unit tests', bun, ['test', '--timeout=20000', '--parallel', 'packages']],
  ['generated documents', bun, ['scripts/generate-docs.ts', '--check']],
];
const isTestless = process.argv.includes('--no-tests');

const failed = [];
for (const [name, command, args] of steps) {
  if (isTestless && args[0] === 'test') continue;
  const started = performance.now();
  const result = spawnSync(command, args, { cwd: projectRoot, encoding: 'utf8', maxBuffer: 64 << 20 });
  const seconds = ((performance.now() - started) / 1000).toFixed(1);
  const isFine = result.status === 0;
  console.log(`${isFine ? 'ok  ' : 'FAIL'} ${name} (${seconds} s)`);
  if (!isFine) {
    failed.push(name);
    console.log(
      indent(
        `${result.stdout ?? ''}${result.stderr ?? ''}${result.error ? `${result.error.message}\n` : ''}`,
      ),
    );
  }
}
if (failed.length > 0) {
  console.log(`\ncheck failed: ${failed.join(', ')}`);
  process.exit(1);
}
console.log('\ncheck passed');

function indent(text) {
  return text.replace(/^/gm, '     ').trimEnd();
}
