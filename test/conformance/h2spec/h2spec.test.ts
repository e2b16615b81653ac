import { afterAll, describe, expect, test } from 'bun:test';
import { H2SPEC_TESTS, findH2spec, runH2spec } from './h2spec.ts';
import { openTargets, type Target } from './targets.ts';

const program = findH2spec();
if (program === null) console.warn('SKIPPED: h2spec is absent, and without Go it cannot be installed');
const targets: readonly Target[] = program === null ? [] : await openTargets();

describe.skipIf(program === null)('h2spec, strict tests included, passes against', () => {
  afterAll(async () => {
    for (const target of targets) await target.close();
  });

  for (const target of targets) {
    test(
      target.name,
      async () => {
        const result = await runH2spec(program ?? '', target.port, target.isTls);
        if (result.failed > 0) console.error(result.output);
        expect({ failed: result.failed, skipped: result.skipped }).toEqual({ failed: 0, skipped: 0 });
        expect(result.passed).toBeGreaterThanOrEqual(H2SPEC_TESTS);
      },
      120_000,
    );
  }
});
