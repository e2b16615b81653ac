/** Nothing a client can send is an internal error, and nothing refused leaves a trace. */
import { beforeEach, expect, test } from 'bun:test';
import * as fc from 'fast-check';
import type { ResourceStore } from '../../source/store.ts';
import { openTestApi, respond, services } from './api-fixture.ts';

let store: ResourceStore;

beforeEach(() => {
  ({ store } = openTestApi());
});

const method = fc.constantFrom('GET', 'POST', 'PUT', 'PATCH', 'DELETE', 'OPTIONS', 'QUERY');
const type = fc.constantFrom(
  'application/json',
  'application/yaml',
  'application/merge-patch+json',
  'application/json-patch+json',
  'text/plain',
);
const path = fc.constantFrom(
  services,
  `${services}/x`,
  `${services}/x/status`,
  '/api/v1/namespaces/x',
  '/apis/networking.istio.io/v1/namespaces/default/virtualservices/x',
  '/apis//v1/x',
  '/api/v1/namespaces//services',
  '/apis/%ff/v1',
);
const query = fc.constantFrom(
  '',
  '?limit=x',
  '?continue=e30',
  '?labelSelector=a%3D%3D%3D',
  '?dryRun=All',
  '?resourceVersion=-1',
  '?fieldSelector=x',
);

/** Half made of the words that mean something here, so that the interesting branches are reached. */
const body = fc.oneof(
  fc.json(),
  fc.string(),
  fc
    .record(
      {
        apiVersion: fc.constantFrom('v1', 'networking.istio.io/v1', 3),
        kind: fc.constantFrom('Service', 'VirtualService', 'List', null),
        metadata: fc.oneof(
          fc.jsonValue(),
          fc.record({ name: fc.constantFrom('x', 7, ''), labels: fc.jsonValue(), namespace: fc.jsonValue() }),
        ),
        spec: fc.jsonValue(),
        status: fc.jsonValue(),
        items: fc.jsonValue(),
        preconditions: fc.jsonValue(),
      },
      { requiredKeys: [] },
    )
    .map((value) => JSON.stringify(value)),
  fc
    .array(
      fc.record({ op: fc.constantFrom('add', 'remove', 'test'), path: fc.string(), value: fc.jsonValue() }),
    )
    .map((value) => JSON.stringify(value)),
);

test('any method, path, query, type and body is answered with a status of the client, not a fault of ours', async () => {
  await fc.assert(
    fc.asyncProperty(method, path, query, type, body, async (method, path, query, type, body) => {
      const before = store.revision;
      const hasBody = method !== 'GET';
      const response = await respond(method, `${path}${query}`, hasBody ? body : undefined, {
        'content-type': type,
      });
      await response.body?.cancel();
      expect(response.status).toBeLessThan(500);
      if (response.status >= 400) expect(store.revision).toBe(before);
    }),
    { numRuns: 1500, seed: 13 },
  );
});
