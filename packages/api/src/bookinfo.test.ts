/** Istio's demo application as its users write it: each file is accepted, or refused with the right words. */
import { describe, expect, test } from 'bun:test';
import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { readObjects } from './read.ts';

const cases = process.env['SLUICE_CASES'] ?? join(import.meta.dir, '../../../../shared/cases');
const folder = join(cases, 'bookinfo');
const isPresent = existsSync(folder);
if (!isPresent) console.warn(`bookinfo tests skipped: ${folder} is not there`);

const fault = 'spec.http[0].fault: is not supported yet';
const notRunning = 'spec.gateways[0]: gateways do not run yet: these routes take effect only inside the mesh';

/** File, objects read, and what is said about it. */
const expected: readonly (readonly [string, number, readonly string[]])[] = [
  ['networking/bookinfo-gateway.yaml', 2, [notRunning]],
  ['networking/certmanager-gateway.yaml', 2, [notRunning]],
  ['networking/destination-rule-all-mtls.yaml', 4, []],
  ['networking/destination-rule-all.yaml', 4, []],
  ['networking/destination-rule-reviews.yaml', 1, []],
  ['networking/egress-rule-google-apis.yaml', 3, []],
  ['networking/fault-injection-details-v1.yaml', 2, [fault]],
  ['networking/virtual-service-all-v1.yaml', 4, []],
  ['networking/virtual-service-details-v2.yaml', 1, []],
  ['networking/virtual-service-ratings-db.yaml', 2, []],
  ['networking/virtual-service-ratings-mysql-vm.yaml', 2, []],
  ['networking/virtual-service-ratings-mysql.yaml', 2, []],
  ['networking/virtual-service-ratings-test-abort.yaml', 1, [fault]],
  ['networking/virtual-service-ratings-test-delay.yaml', 1, [fault]],
  ['networking/virtual-service-reviews-50-v3.yaml', 1, []],
  ['networking/virtual-service-reviews-80-20.yaml', 1, []],
  ['networking/virtual-service-reviews-90-10.yaml', 1, []],
  ['networking/virtual-service-reviews-jason-v2-v3.yaml', 1, []],
  ['networking/virtual-service-reviews-test-v2.yaml', 1, []],
  ['networking/virtual-service-reviews-v2-v3.yaml', 1, []],
  ['networking/virtual-service-reviews-v3.yaml', 1, []],
  ['gateway-api/bookinfo-gateway.yaml', 2, []],
  ['gateway-api/route-all-v1.yaml', 4, []],
  ['gateway-api/route-reviews-50-v3.yaml', 1, []],
  ['gateway-api/route-reviews-90-10.yaml', 1, []],
  ['gateway-api/route-reviews-v1.yaml', 1, []],
  ['gateway-api/route-reviews-v3.yaml', 1, []],
  ['platform/kube/bookinfo.yaml', 8, []],
  ['platform/kube/bookinfo-versions.yaml', 6, []],
];

describe.skipIf(!isPresent)('Bookinfo', () => {
  test.each(expected)('%s', (file, objects, words) => {
    const result = readObjects(readFileSync(join(folder, file), 'utf8'), file);
    expect(result.objects).toHaveLength(objects);
    const said = result.problems.filter((problem) => problem.code !== 'skipped-kind');
    expect(said.map((problem) => `${problem.path}: ${problem.message}`)).toEqual([...words]);
    expect(said.every((problem) => problem.file === file && problem.line !== undefined)).toBe(true);
  });
});
