/**
 * The same configuration and the same requests given to a real Envoy and to our proxy: what clients, origins
 * and access logs see must be the same, but for the differences that `differences.ts` explains.
 */
import { afterAll, beforeAll, describe, expect, test } from 'bun:test';
import { blackholePort, cleanUp, makeTempDir, refusingPort } from '@sluice/testkit';
import { compare, type Difference } from './compare.ts';
import { explained, explanationOf } from './differences.ts';
import { grid } from './grid.ts';
import { lastSection, observe } from './observe.ts';
import { startOrigins } from './origins.ts';
import { findEnvoy } from '../../find-envoy.ts';
import { startSections } from './proxies.ts';

afterAll(cleanUp);

const envoyBinary = findEnvoy();
const combinations = grid.reduce((sum, section) => sum + section.cases.length, 0);

describe.skipIf(envoyBinary === null)('beside a real Envoy', () => {
  let differences: readonly Difference[] = [];

  beforeAll(async () => {
    differences = await run();
  }, 120_000);

  test('the grid has at least 300 combinations of route and request', () => {
    expect(combinations).toBeGreaterThanOrEqual(300);
  });

  for (const section of grid) {
    test(`${section.name}: ${section.cases.length} requests are answered alike`, () => {
      const found = differences.filter(({ name }) => name.startsWith(`${section.name}: `));
      const unexplained = found.filter((difference) => explanationOf(difference) === undefined);
      expect(unexplained.map(describeDifference)).toEqual([]);
    });
  }

  test('every explained difference still occurs', () => {
    const used = new Set(differences.map(explanationOf));
    expect(explained.filter((entry) => !used.has(entry)).map((entry) => entry.reason)).toEqual([]);
  });
});

async function run(): Promise<Difference[]> {
  const origins = startOrigins();
  const upstreams = {
    originPorts: origins.ports,
    refusingPort: refusingPort(),
    blackholePort: await blackholePort(),
  };
  const sections = [...grid, lastSection];
  const folder = makeTempDir();
  const [envoy, sluice] = await Promise.all([
    startSections('envoy', sections, upstreams, folder),
    startSections('sluice', sections, upstreams, folder),
  ]);
  const theirs = await observe(envoy, sections, origins);
  const ours = await observe(sluice, sections, origins);
  const differences = [...theirs].flatMap(([name, observation]) => {
    const own = ours.get(name);
    return own === undefined ? [] : compare(name, observation, own);
  });
  const explainedCount = differences.filter((difference) => explanationOf(difference) !== undefined).length;
  console.log(
    `envoy-diff: ${combinations} combinations in ${grid.length} sections; ${differences.length} fields differ, ` +
      `${explainedCount} of them explained by ${explained.length} reasons`,
  );
  return differences;
}

function describeDifference({ name, field, envoy, sluice }: Difference): string {
  return `${name} ▸ ${field}: Envoy ${JSON.stringify(envoy)}, ours ${JSON.stringify(sluice)}`;
}
