import { beforeEach, describe, expect, test } from 'bun:test';
import type { ResourceStore } from '../../source/store.ts';
import { fromFile } from '../../source/store-suite.ts';
import {
  call,
  clock,
  events,
  openTestApi,
  service,
  services,
  virtualService,
  virtualServices,
} from './api-fixture.ts';

let store: ResourceStore;
let logged: string[];

beforeEach(() => {
  ({ store, logged } = openTestApi());
});

describe('discovery', () => {
  test('names versions, groups and kinds with their short names and verbs', async () => {
    expect((await call('GET', '/version')).body).toMatchObject({
      major: '1',
      gitVersion: expect.stringContaining('sluice'),
    });
    expect((await call('POST', '/version')).code).toBe(405);
    expect((await call('GET', '/api')).body).toMatchObject({ kind: 'APIVersions', versions: ['v1'] });
    const groups = (await call('GET', '/apis')).body.groups.map((group) => group.name);
    expect(groups).toEqual([
      'discovery.k8s.io',
      'networking.istio.io',
      'security.istio.io',
      'gateway.networking.k8s.io',
    ]);
    expect((await call('GET', '/apis/networking.istio.io')).body).toMatchObject({
      kind: 'APIGroup',
      preferredVersion: { version: 'v1' },
    });
    const { resources } = (await call('GET', '/apis/networking.istio.io/v1beta1')).body;
    const found = resources.find((resource) => resource.name === 'virtualservices');
    expect(found).toMatchObject({ kind: 'VirtualService', namespaced: true, shortNames: ['vs'] });
    expect(found?.verbs).toContain('watch');
    expect(resources.some((resource) => resource.name === 'virtualservices/status')).toBe(true);
    expect((await call('GET', '/apis/nobody.example/v1')).code).toBe(404);
  });

  test('kinds that are not honoured yet, and paths that are nothing, are refused by name', async () => {
    const later = await call('GET', '/apis/security.istio.io/v1/namespaces/default/authorizationpolicies');
    expect(later).toMatchObject({ code: 404, body: { kind: 'Status', reason: 'NotFound' } });
    expect(later.body.message).toContain('AuthorizationPolicy');
    expect((await call('GET', '/apis/apps/v1/deployments')).code).toBe(404);
    expect((await call('GET', '/api/v1/services/x')).body.message).toContain(
      '/namespaces/NAMESPACE/services/x',
    );
    expect((await call('GET', `${services}/x/log`)).code).toBe(404);
  });
});

describe('create, get, update, delete', () => {
  test('an object is created in the namespace of the path and read back', async () => {
    const created = await call('POST', '/api/v1/namespaces/shop/services', service('web'));
    expect(created.code).toBe(201);
    expect(created.body.metadata).toMatchObject({
      name: 'web',
      namespace: 'shop',
      resourceVersion: '1',
      generation: 1,
    });
    const read = await call('GET', '/api/v1/namespaces/shop/services/web');
    expect(read.body).toEqual(created.body);
    expect(await call('GET', `${services}/web`)).toMatchObject({
      code: 404,
      body: { details: { name: 'web', kind: 'services' } },
    });
  });

  test('YAML bodies are taken, broken ones are refused with their place', async () => {
    const yaml = 'apiVersion: v1\nkind: Service\nmetadata: {name: web}\nspec: {ports: [{port: 80}]}\n';
    expect((await call('POST', services, yaml, { 'content-type': 'application/yaml' })).code).toBe(201);
    const broken = await call('POST', services, '{"apiVersion": "v1",\n "kind": }x', {
      'content-type': 'application/json',
    });
    expect(broken.code).toBe(400);
    expect(broken.body.message).toContain('line 2');
    expect((await call('POST', services, '{"a":1,"a":2}')).code).toBe(400);
    expect((await call('POST', services, '{"__proto__":{"x":1}}')).code).toBe(400);
    expect((await call('POST', services)).body.message).toBe('the request has no body');
  });

  test('every problem of an invalid object is a cause with its field', async () => {
    const bad = { ...service('web'), spec: { ports: [{ port: 99999 }], selectr: { app: 'web' } } };
    const refused = await call('POST', services, bad);
    expect(refused).toMatchObject({
      code: 422,
      body: { kind: 'Status', status: 'Failure', reason: 'Invalid' },
    });
    const fields = refused.body.details.causes.map((cause) => cause.field);
    expect(fields).toContain('spec.ports[0].port');
    expect(fields).toContain('spec.selectr');
    expect(store.revision).toBe(0);
  });

  test('what contradicts the path is refused', async () => {
    expect((await call('POST', services, virtualService('x'))).code).toBe(400);
    expect((await call('POST', services, service('x', { namespace: 'other' }))).code).toBe(400);
    expect((await call('POST', services, service('x', { resourceVersion: '5' }))).code).toBe(400);
    await call('POST', services, service('x'));
    expect((await call('PUT', `${services}/x`, service('y'))).code).toBe(400);
    expect(await call('POST', services, service('x'))).toMatchObject({
      code: 409,
      body: { reason: 'AlreadyExists' },
    });
    expect((await call('POST', `${services}/x`, service('x'))).code).toBe(405);
  });

  test('generateName makes names until one is free', async () => {
    const body = service('');
    const unnamed = { ...body, metadata: { generateName: 'web-' } };
    const first = await call('POST', services, unnamed);
    const second = await call('POST', services, unnamed);
    expect(first.body.metadata.name).toMatch(/^web-[a-z0-9]{5}$/);
    expect(second.body.metadata.name).not.toBe(first.body.metadata.name);
    expect((await call('POST', services, { ...body, metadata: {} })).code).toBe(422);
  });

  test('an update based on an old revision, or on another uid, is refused', async () => {
    const { body } = await call('POST', services, service('web'));
    const labelled = { ...body, metadata: { ...body.metadata, labels: { a: '1' } } };
    expect((await call('PUT', `${services}/web`, labelled)).code).toBe(200);
    expect(await call('PUT', `${services}/web`, labelled)).toMatchObject({
      code: 409,
      body: { reason: 'Conflict' },
    });
    expect((await call('PUT', `${services}/web`, service('web', { uid: 'other' }))).code).toBe(409);
    expect((await call('PUT', `${services}/web`, service('web'))).body.metadata.resourceVersion).toBe('3');
    expect((await call('PUT', `${services}/none`, service('none'))).code).toBe(404);
  });

  test('dryRun=All answers as if, and changes nothing', async () => {
    expect((await call('POST', `${services}?dryRun=All`, service('web'))).code).toBe(201);
    expect((await call('GET', `${services}/web`)).code).toBe(404);
    await call('POST', services, service('web'));
    expect((await call('DELETE', `${services}/web?dryRun=All`)).code).toBe(200);
    expect((await call('GET', `${services}/web`)).code).toBe(200);
    expect((await call('POST', `${services}?dryRun=Some`, service('y'))).code).toBe(400);
  });

  test('deletes honour preconditions, and a collection is deleted by selector', async () => {
    const { body } = await call('POST', services, service('a', { labels: { tier: 'x' } }));
    await call('POST', services, service('b'));
    const wrong = { kind: 'DeleteOptions', apiVersion: 'v1', preconditions: { uid: 'other' } };
    expect((await call('DELETE', `${services}/a`, wrong)).code).toBe(409);
    const stale = { preconditions: { resourceVersion: '99' } };
    expect((await call('DELETE', `${services}/a`, stale)).code).toBe(409);
    expect((await call('DELETE', `${services}?labelSelector=tier%3Dx`)).code).toBe(200);
    expect((await call('GET', services)).body.items.map((item) => item.metadata.name)).toEqual(['b']);
    const right = { preconditions: { uid: (await call('GET', `${services}/b`)).body.metadata.uid } };
    expect(await call('DELETE', `${services}/b`, right)).toMatchObject({
      code: 200,
      body: { status: 'Success' },
    });
    expect(body.kind).toBe('Service');
  });

  test("a folder's object is refused with its place, its status may be written, adopt takes it over", async () => {
    store.replaceFile('/mesh/web.yaml', [fromFile('/mesh/web.yaml', service('web'))], []);
    const refused = await call('PUT', `${services}/web`, service('web', { labels: { a: '1' } }));
    expect(refused.code).toBe(409);
    expect(refused.body.message).toContain('/mesh/web.yaml:1:1');
    expect((await call('DELETE', `${services}/web`)).code).toBe(409);
    expect((await call('DELETE', services)).code).toBe(409);
    const status = { ...service('web'), status: { loadBalancer: {} } };
    expect((await call('PUT', `${services}/web/status`, status)).body.status).toEqual({
      loadBalancer: {},
    });
    expect(
      (await call('PUT', `${services}/web?adopt=true`, service('web', { labels: { a: '1' } }))).code,
    ).toBe(200);
    expect((await call('DELETE', `${services}/web`)).code).toBe(200);
  });

  test('one kind is served in all its versions', async () => {
    await call('POST', virtualServices, virtualService('web'));
    for (const version of ['v1', 'v1beta1', 'v1alpha3']) {
      const path = virtualServices.replace('/v1/', `/${version}/`);
      expect((await call('GET', `${path}/web`)).body.apiVersion).toBe(`networking.istio.io/${version}`);
      expect((await call('GET', path)).body.items[0]?.apiVersion).toBe(`networking.istio.io/${version}`);
    }
    expect((await call('GET', virtualServices.replace('/v1/', '/v9/'))).code).toBe(404);
  });
});

describe('patch', () => {
  const merge = { 'content-type': 'application/merge-patch+json' };
  const jsonPatch = { 'content-type': 'application/json-patch+json' };

  test('merge and JSON patches change the object, keep its identity and are validated', async () => {
    const { body } = await call('POST', services, service('web'));
    const merged = await call('PATCH', `${services}/web`, { metadata: { labels: { a: '1' } } }, merge);
    expect(merged.body.metadata).toMatchObject({
      labels: { a: '1' },
      uid: body.metadata.uid,
      resourceVersion: '2',
    });
    const patched = await call(
      'PATCH',
      `${services}/web`,
      [{ op: 'remove', path: '/metadata/labels/a' }],
      jsonPatch,
    );
    expect(patched.body.metadata.labels).toBeUndefined();
    expect((await call('PATCH', `${services}/web`, { spec: { ports: [{ port: 0 }] } }, merge)).code).toBe(
      422,
    );
    const failing = [{ op: 'test', path: '/metadata/name', value: 'other' }];
    expect((await call('PATCH', `${services}/web`, failing, jsonPatch)).code).toBe(422);
    expect((await call('PATCH', `${services}/web`, [{ op: 'fly' }], jsonPatch)).code).toBe(400);
    expect(
      (
        await call(
          'PATCH',
          `${services}/web`,
          { metadata: { resourceVersion: '1', labels: { b: '2' } } },
          merge,
        )
      ).code,
    ).toBe(409);
    expect((await call('PATCH', `${services}/none`, {}, merge)).code).toBe(404);
  });

  test('a status patch leaves the spec alone', async () => {
    await call('POST', virtualServices, virtualService('web'));
    const patch = { status: { observedGeneration: '1' }, spec: { hosts: ['changed'] } };
    const { body } = await call('PATCH', `${virtualServices}/web/status`, patch, merge);
    expect(body).toMatchObject({
      status: { observedGeneration: '1' },
      spec: { hosts: ['web'] },
      metadata: { generation: 1 },
    });
  });

  test('strategic merge and server-side apply are refused in words', async () => {
    await call('POST', services, service('web'));
    const strategic = await call(
      'PATCH',
      `${services}/web`,
      {},
      { 'content-type': 'application/strategic-merge-patch+json' },
    );
    expect(strategic).toMatchObject({ code: 415, body: { reason: 'UnsupportedMediaType' } });
    expect(strategic.body.message).toContain('application/merge-patch+json');
    const apply = await call(
      'PATCH',
      `${services}/web`,
      {},
      { 'content-type': 'application/apply-patch+yaml' },
    );
    expect(apply.body.message).toContain('server-side apply');
  });
});

describe('list', () => {
  test('selects by namespace, label and field', async () => {
    await call('POST', services, service('a', { labels: { tier: 'x' } }));
    await call('POST', services, service('b', { labels: { tier: 'y' } }));
    await call('POST', '/api/v1/namespaces/shop/services', service('c', { labels: { tier: 'x' } }));
    const names = async (path: string) =>
      (await call('GET', path)).body.items.map((item) => item.metadata.name);
    expect(await names('/api/v1/services')).toEqual(['a', 'b', 'c']);
    expect(await names(services)).toEqual(['a', 'b']);
    expect(await names('/api/v1/services?labelSelector=tier+in+(x)')).toEqual(['a', 'c']);
    expect(await names('/api/v1/services?fieldSelector=metadata.name%3Db')).toEqual(['b']);
    expect((await call('GET', '/api/v1/services?fieldSelector=spec.x%3Db')).code).toBe(400);
    expect((await call('GET', '/api/v1/services?labelSelector=%3D%3D')).code).toBe(400);
    const namespaces = await names('/api/v1/namespaces');
    expect(namespaces).toEqual(['default', 'shop']);
    expect((await call('GET', '/api/v1/namespaces/shop')).body.status).toEqual({ phase: 'Active' });
  });

  test('pages follow each other, claim the first revision, and end in 410 when the log has moved on', async () => {
    for (const name of ['a', 'b', 'c', 'd', 'e']) await call('POST', services, service(name));
    const first = await call('GET', `${services}?limit=2`);
    expect(first.body.metadata).toMatchObject({ resourceVersion: '5', remainingItemCount: 3 });
    await call('POST', services, service('aa'));
    const token = first.body.metadata.continue;
    const second = await call('GET', `${services}?limit=2&continue=${token}`);
    expect(second.body.items.map((item) => item.metadata.name)).toEqual(['c', 'd']);
    expect(second.body.metadata.resourceVersion).toBe('5');
    const missed = await events(`${services}?watch=1&resourceVersion=5`, 1);
    expect(missed[0]).toMatchObject({ type: 'ADDED', object: { metadata: { name: 'aa' } } });
    for (let i = 0; i < 20; i++) await call('POST', services, service(`n${i}`));
    expect(await call('GET', `${services}?continue=${token}`)).toMatchObject({
      code: 410,
      body: { reason: 'Expired' },
    });
    expect((await call('GET', `${services}?continue=nonsense`)).code).toBe(400);
    expect((await call('GET', `${services}?limit=-1`)).code).toBe(400);
    expect(await call('GET', `${services}?resourceVersion=999`)).toMatchObject({ code: 504 });
    expect(await call('GET', `${services}?resourceVersion=3&resourceVersionMatch=Exact`)).toMatchObject({
      code: 410,
    });
  });

  test('a table has columns, cells and the metadata of each object', async () => {
    await call('POST', virtualServices, virtualService('web'));
    clock.advance(65_000);
    const { body } = await call('GET', virtualServices, undefined, {
      accept: 'application/json;as=Table;v=v1;g=meta.k8s.io',
    });
    expect(body.kind).toBe('Table');
    expect(body.columnDefinitions?.map((column) => column.name)).toEqual([
      'Name',
      'Gateways',
      'Hosts',
      'Accepted',
      'Age',
    ]);
    expect(body.rows[0]?.cells).toEqual(['web', '', 'web', '', '65s']);
    expect(body.rows[0]?.object).toMatchObject({
      kind: 'PartialObjectMetadata',
      metadata: { name: 'web' },
    });
  });
});

test('a fault of our own is a 500 that tells the client nothing and the log everything', async () => {
  store.list = () => {
    throw new Error('secret detail');
  };
  const reply = await call('GET', services);
  expect(reply).toMatchObject({ code: 500, body: { reason: 'InternalError' } });
  expect(JSON.stringify(reply.body)).not.toContain('secret detail');
  expect(logged.join('')).toContain('secret detail');
});
