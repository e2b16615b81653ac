/** Prints h2spec's own output for every target: `bun test/conformance/h2spec/run.ts`. Exits 1 if a test fails. */
import { cleanUp } from '@sluice/testkit';
import { findH2spec, runH2spec } from './h2spec.ts';
import { openTargets } from './targets.ts';

const program = findH2spec();
if (program === null) {
  console.error('h2spec is absent, and without Go it cannot be installed');
  process.exit(2);
}
const targets = await openTargets();
let failed = 0;
for (const target of targets) {
  console.log(`\n== h2spec against ${target.name}`);
  const result = await runH2spec(program, target.port, target.isTls);
  console.log(result.output);
  failed += result.failed;
}
for (const target of targets) await target.close();
await cleanUp();
process.exitCode = failed === 0 ? 0 : 1;
