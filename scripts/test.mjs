/**
 * `npm test`: every test of the tree, unit tests first, then the end-to-end and conformance tests,
 * which start real processes and so run one file at a time. Ends with `N passed, N failed, N skipped`.
 *
 * Arguments narrow the run to paths: `npm test -- packages/wire test/e2e/retries.test.ts`.
 */
import { spawn } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { findBun, projectRoot } from './find-bun.mjs';
import { ensureGenerated } from './generate.mjs';

const bun = findBun();
await ensureGenerated();

const chosen = process.argv.slice(2);
/** Of one test that says nothing else; the runner has no setting for it, and its own 5 s are short on a busy machine. */
const testTimeoutMs = 20_000;
const stages =
  chosen.length > 0
    ? [['chosen tests', chosen]]
    : [
        ['structure and unit tests', ['--parallel', 'test/structure', 'packages']],
        ['end-to-end tests', ['test/e2e']],
        ['conformance tests', ['test/conformance']],
      ];

const reports = mkdtempSync(join(tmpdir(), 'sluice-test-'));
const total = { passed: 0, failed: 0, skipped: 0 };
for (const [index, [name, args]] of stages.entries()) {
  console.log(`\n== ${name}`);
  const report = join(reports, `${index}.xml`);
  const code = await run([
    'test',
    `--timeout=${testTimeoutMs}`,
    '--reporter=junit',
    `--reporter-outfile=${report}`,
    ...args,
  ]);
  const counts = readReport(report);
  if (code !== 0 && counts.failed === 0) {
    // The runner itself failed: an import error, a crash, or no test where there should be some.
    console.log(`${name}: the test runner exited with ${code}`);
    counts.failed += 1;
  }
  total.passed += counts.passed;
  total.failed += counts.failed;
  total.skipped += counts.skipped;
}
rmSync(reports, { recursive: true, force: true });
if (total.passed === 0) total.failed += 1;
console.log(`\n${total.passed} passed, ${total.failed} failed, ${total.skipped} skipped`);
process.exit(total.failed === 0 ? 0 : 1);

function run(args) {
  return new Promise((resolve) => {
    const child = spawn(bun, args, { cwd: projectRoot, stdio: 'inherit' });
    child.on('error', (error) => {
      console.error(error.message);
      resolve(1);
    });
    child.on('exit', (code, signal) => resolve(signal ? 1 : (code ?? 1)));
  });
}

/** Counts from the JUnit report; zeros when the runner wrote none. */
function readReport(path) {
  let text;
  try {
    text = readFileSync(path, 'utf8');
  } catch {
    return { passed: 0, failed: 0, skipped: 0 };
  }
  const root = /<testsuites[^>]*>/.exec(text)?.[0] ?? '';
  const number = (name) => Number(new RegExp(`\\b${name}="(\\d+)"`).exec(root)?.[1] ?? 0);
  const failed = number('failures') + number('errors');
  const skipped = number('skipped');
  return { passed: number('tests') - failed - skipped, failed, skipped };
}
