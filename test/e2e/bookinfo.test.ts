/**
 * Istio's demo application against the running control plane: each of its 21 Istio and 6 Gateway API files goes to
 * the API as `kubectl apply --dry-run=server` would send it, and is accepted, or refused with 422 and words that
 * name the field. (What the parser says of each file: packages/api/src/bookinfo.test.ts.)
 */
import { afterAll, beforeAll, describe, expect, test } from 'bun:test';
import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { cleanUp } from '@sluice/testkit';
import { parseAllDocuments } from 'yaml';
import { ControlMesh } from './control-mesh.ts';

afterAll(cleanUp);

const folder = join(
  process.env['SLUICE_CASES'] ?? join(import.meta.dir, '../../../shared/cases'),
  'bookinfo',
);
const isPresent = existsSync(folder);
if (!isPresent) console.warn(`SKIPPED: ${folder} is not there (SLUICE_CASES names another place)`);

const fault = /spec\.http\[0\]\.fault.*not supported yet/;

/** File → what each refusal says; all other documents are accepted. */
const files: Readonly<Record<string, readonly RegExp[]>> = {
  'networking/bookinfo-gateway.yaml': [],
  'networking/certmanager-gateway.yaml': [],
  'networking/destination-rule-all-mtls.yaml': [],
  'networking/destination-rule-all.yaml': [],
  'networking/destination-rule-reviews.yaml': [],
  'networking/egress-rule-google-apis.yaml': [],
  'networking/fault-injection-details-v1.yaml': [fault],
  'networking/virtual-service-all-v1.yaml': [],
  'networking/virtual-service-details-v2.yaml': [],
  'networking/virtual-service-ratings-db.yaml': [],
  'networking/virtual-service-ratings-mysql-vm.yaml': [],
  'networking/virtual-service-ratings-mysql.yaml': [],
  'networking/virtual-service-ratings-test-abort.yaml': [fault],
  'networking/virtual-service-ratings-test-delay.yaml': [fault],
  'networking/virtual-service-reviews-50-v3.yaml': [],
  'networking/virtual-service-reviews-80-20.yaml': [],
  'networking/virtual-service-reviews-90-10.yaml': [],
  'networking/virtual-service-reviews-jason-v2-v3.yaml': [],
  'networking/virtual-service-reviews-test-v2.yaml': [],
  'networking/virtual-service-reviews-v2-v3.yaml': [],
  'networking/virtual-service-reviews-v3.yaml': [],
  'gateway-api/bookinfo-gateway.yaml': [],
  'gateway-api/route-all-v1.yaml': [],
  'gateway-api/route-reviews-50-v3.yaml': [],
  'gateway-api/route-reviews-90-10.yaml': [],
  'gateway-api/route-reviews-v1.yaml': [],
  'gateway-api/route-reviews-v3.yaml': [],
};

interface Document {
  readonly apiVersion: string;
  readonly kind: string;
  readonly metadata: { readonly name: string; readonly namespace?: string };
}

describe.skipIf(!isPresent)('Bookinfo at the API', () => {
  const mesh = new ControlMesh();
  beforeAll(() => mesh.start());

  test.each(Object.entries(files))('%s', async (file, refusals) => {
    const documents = parseAllDocuments(readFileSync(join(folder, file), 'utf8'))
      .map((document) => document.toJS() as Document | null)
      .filter((document) => document !== null);
    expect(documents.length).toBeGreaterThan(0);
    const answers: string[] = [];
    for (const document of documents) answers.push(await dryRun(mesh, document));
    const refused = answers.filter((answer) => answer !== 'accepted');
    expect(refused).toEqual(refusals.map((words) => expect.stringMatching(words)));
    expect(refused.every((answer) => answer.includes(': 422 '))).toBe(true);
  });

  test('nothing of it was stored', async () => {
    const list = await mesh.api<{ items: readonly unknown[] }>(
      '/apis/networking.istio.io/v1/virtualservices',
    );
    expect(list.items).toEqual([]);
  });
});

/** 'accepted', or what the API said. */
async function dryRun(mesh: ControlMesh, document: Document): Promise<string> {
  const { resources } = await mesh.api<{ resources: readonly { kind: string; name: string }[] }>(
    `/apis/${document.apiVersion}`,
  );
  const plural =
    resources.find(({ kind, name }) => kind === document.kind && !name.includes('/'))?.name ?? document.kind;
  const path = `/apis/${document.apiVersion}/namespaces/${document.metadata.namespace ?? 'default'}/${plural}?dryRun=All`;
  try {
    const stored = await mesh.api<Document>(path, { method: 'POST', body: JSON.stringify(document) });
    return stored.metadata.name === document.metadata.name
      ? 'accepted'
      : `another object came back: ${JSON.stringify(stored)}`;
  } catch (error) {
    return error instanceof Error ? error.message : String(error);
  }
}
