/** What every resource store must do: one suite, run against each of them. */
import { describe, expect, test } from 'bun:test';
import type { KubeObject, Origin, Problem } from '@sluice/api';
import { keyOf } from '@sluice/api';
import type { Admission, ObjectStoreOptions } from './object-store.ts';
import { strictStore } from './store.fixture.ts';
import type { FolderObject, ResourceStore, StoreChange, WriteResult } from './store.ts';

export type OpenStore = (options: Omit<ObjectStoreOptions, 'journal'>) => ResourceStore;

const api: Origin = { source: 'api' };
const registration: Origin = { source: 'registration', instance: 'a.default' };

/** Accepts anything but `spec.bad`, and fills in `spec.retries`. */
export const testAdmission: Admission = {
  admit: (object) => ({ object, problems: specOf(object)['bad'] === undefined ? [] : [problem('spec.bad')] }),
  withDefaults: (object) => ({ ...object, spec: { retries: 2, ...specOf(object) } }),
};

export function storeOptions(
  overrides: Partial<ObjectStoreOptions> = {},
): Omit<ObjectStoreOptions, 'journal'> {
  let wallMs = Date.UTC(2026, 0, 1);
  return strictStore(() => (wallMs += 1000), { admission: testAdmission, ...overrides });
}

export function virtualService(name: string, spec: Record<string, unknown> = {}): KubeObject {
  return { apiVersion: 'networking.istio.io/v1', kind: 'VirtualService', metadata: { name }, spec };
}

export function fromFile(file: string, object: KubeObject, problems: readonly Problem[] = []): FolderObject {
  return { object, origin: { source: 'folder', file, line: 1, column: 1 }, problems };
}

export function problem(path: string): Problem {
  return { code: 'bad', severity: 'error', message: 'is bad', path };
}

function specOf(object: KubeObject): Record<string, unknown> {
  return (object.spec ?? {}) as Record<string, unknown>;
}

function stored(result: WriteResult) {
  if (!result.ok) throw new Error(`refused: ${result.failure.message}`);
  return result.stored;
}

function refused(result: WriteResult) {
  if (result.ok) throw new Error('expected the write to be refused');
  return result.failure;
}

export function describeStore(name: string, open: OpenStore): void {
  describe(name, () => {
    describeWrites(open);
    describeStatus(open);
    describeOwnership(open);
    describeFiles(open);
    describeChanges(open);
  });
}

function describeWrites(open: OpenStore): void {
  test('a created object gets identity, age, revision and defaults', () => {
    const store = open(storeOptions());
    const created = stored(store.put(virtualService('a', { x: 1 }), { origin: api, mode: 'create' }));
    expect(created.object.metadata).toMatchObject({
      name: 'a',
      namespace: 'default',
      generation: 1,
      resourceVersion: '1',
      creationTimestamp: '2026-01-01T00:00:01Z',
    });
    expect(created.object.metadata.uid).toMatch(/^[0-9a-f-]{36}$/);
    expect(created.object.spec).toEqual({ x: 1 });
    expect(created.serving?.spec).toEqual({ retries: 2, x: 1 });
    expect(store.get(created.key)).toEqual(created);
    expect(store.revision).toBe(1);
  });

  test('an equal write is a no-op, whatever the server-set metadata and key order', () => {
    const store = open(storeOptions());
    const first = stored(store.put(virtualService('a', { x: 1, y: 2 }), { origin: api, mode: 'create' }));
    const again = { ...virtualService('a', { y: 2, x: 1 }), status: { ignored: true } };
    again.metadata = { ...first.object.metadata, resourceVersion: '77', uid: 'other', labels: {} };
    const result = store.put(again, { origin: api, mode: 'upsert' });
    expect(result).toMatchObject({ ok: true, isChanged: false });
    expect(store.revision).toBe(1);
  });

  test('an older version of the same kind is the same object', () => {
    const store = open(storeOptions());
    store.put(virtualService('a', { x: 1 }), { origin: api, mode: 'create' });
    const older = { ...virtualService('a', { x: 1 }), apiVersion: 'networking.istio.io/v1beta1' };
    expect(store.put(older, { origin: api, mode: 'upsert' })).toMatchObject({ ok: true, isChanged: false });
  });

  test('a changed spec raises the generation, a changed label only the revision', () => {
    const store = open(storeOptions());
    store.put(virtualService('a', { x: 1 }), { origin: api, mode: 'create' });
    const changed = stored(store.put(virtualService('a', { x: 2 }), { origin: api, mode: 'update' }));
    expect([changed.generation, changed.revision]).toEqual([2, 2]);
    const labelled = virtualService('a', { x: 2 });
    labelled.metadata.labels = { tier: 'front' };
    const relabelled = stored(store.put(labelled, { origin: api, mode: 'update' }));
    expect([relabelled.generation, relabelled.revision, relabelled.createdMs]).toEqual([
      2,
      3,
      changed.createdMs,
    ]);
  });

  test('create, update and a stale revision are refused by name', () => {
    const store = open(storeOptions());
    expect(refused(store.put(virtualService('a'), { origin: api, mode: 'update' })).code).toBe('not-found');
    store.put(virtualService('a'), { origin: api, mode: 'create' });
    expect(refused(store.put(virtualService('a'), { origin: api, mode: 'create' })).code).toBe(
      'already-exists',
    );
    store.put(virtualService('a', { x: 1 }), { origin: api, mode: 'update', expectedRevision: 1 });
    const stale = refused(
      store.put(virtualService('a', { x: 2 }), { origin: api, mode: 'update', expectedRevision: 1 }),
    );
    expect(stale.code).toBe('conflict');
    expect(stale.message).toContain('resourceVersion 1');
  });

  test('an invalid object is refused with its problems and nothing is stored', () => {
    const store = open(storeOptions());
    const failure = refused(store.put(virtualService('a', { bad: 1 }), { origin: api, mode: 'create' }));
    expect(failure).toMatchObject({ code: 'invalid', problems: [{ path: 'spec.bad' }] });
    expect(store.revision).toBe(0);
  });

  test('a dry run says what would be and changes nothing', () => {
    const store = open(storeOptions());
    const planned = stored(store.put(virtualService('a'), { origin: api, mode: 'create', isDryRun: true }));
    expect(planned.generation).toBe(1);
    expect(store.get(planned.key)).toBeNull();
    store.put(virtualService('a'), { origin: api, mode: 'create' });
    expect(store.delete(planned.key, { origin: api, isDryRun: true })).toMatchObject({ ok: true });
    expect(store.get(planned.key)).not.toBeNull();
    expect(store.revision).toBe(1);
  });

  test('an object with finalizers goes when the last one is removed', () => {
    const store = open(storeOptions());
    const held = virtualService('a');
    held.metadata.finalizers = ['example.com/hold'];
    const { key } = stored(store.put(held, { origin: api, mode: 'create' }));
    const deleted = stored(store.delete(key, { origin: api }));
    expect(deleted.object.metadata.deletionTimestamp).toBeString();
    expect(store.get(key)).not.toBeNull();
    store.put(virtualService('a'), { origin: api, mode: 'update' });
    expect(store.get(key)).toBeNull();
  });

  test('lists are ordered by namespace and name, and can be narrowed', () => {
    const store = open(storeOptions());
    for (const [namespace, name] of [
      ['b', 'x'],
      ['a', 'z'],
      ['a', 'y'],
    ] as const) {
      const object = virtualService(name);
      object.metadata.namespace = namespace;
      store.put(object, { origin: api, mode: 'create' });
    }
    const names = (namespace?: string) =>
      store
        .list('networking.istio.io', 'VirtualService', namespace)
        .map(({ key }) => `${key.namespace}/${key.name}`);
    expect(names()).toEqual(['a/y', 'a/z', 'b/x']);
    expect(names('a')).toEqual(['a/y', 'a/z']);
    expect(store.list('networking.istio.io', 'Gateway')).toEqual([]);
  });
}

function describeStatus(open: OpenStore): void {
  test('a status survives writes of the object, changes no generation and is written only on difference', () => {
    const store = open(storeOptions());
    const { key } = stored(store.put(virtualService('a'), { origin: api, mode: 'create' }));
    expect(stored(store.putStatus(key, { ok: true }))).toMatchObject({ generation: 1, revision: 2 });
    expect(store.putStatus(key, { ok: true })).toMatchObject({ ok: true, isChanged: false });
    const changed = stored(store.put(virtualService('a', { x: 1 }), { origin: api, mode: 'update' }));
    expect(changed.object.status).toEqual({ ok: true });
    expect(changed.serving?.status).toEqual({ ok: true });
    const missing = { ...key, name: 'nobody' };
    expect(refused(store.putStatus(missing, {})).code).toBe('not-found');
  });

  test('many statuses go in one batch of changes that trigger no translation', () => {
    const store = open(storeOptions());
    const keys = ['a', 'b'].map(
      (name) => stored(store.put(virtualService(name), { origin: api, mode: 'create' })).key,
    );
    const batches: (readonly StoreChange[])[] = [];
    store.subscribe((changes) => batches.push(changes));
    store.putStatuses(keys.map((key) => ({ key, status: { ok: true } })));
    expect(batches.map((batch) => batch.map((change) => [change.revision, change.isSpecChange]))).toEqual([
      [
        [3, false],
        [4, false],
      ],
    ]);
  });

  test("a Pod's status is content: it comes with the object and changes with it", () => {
    const store = open(storeOptions());
    const pod = (podIP: string): KubeObject => ({
      apiVersion: 'v1',
      kind: 'Pod',
      metadata: { name: 'p' },
      status: { podIP },
    });
    store.replaceFile('/p.yaml', [fromFile('/p.yaml', pod('10.0.0.1'))], []);
    const isSpecChange: boolean[] = [];
    store.subscribe((changes) => isSpecChange.push(...changes.map((change) => change.isSpecChange)));
    store.replaceFile('/p.yaml', [fromFile('/p.yaml', pod('10.0.0.2'))], []);
    expect(store.get(keyOf(pod('')))?.serving?.status).toEqual({ podIP: '10.0.0.2' });
    expect(isSpecChange).toEqual([true]);
  });

  test("a WorkloadEntry's health is a change that translation sees; its other conditions are not", () => {
    const store = open(storeOptions());
    const entry: KubeObject = {
      apiVersion: 'networking.istio.io/v1',
      kind: 'WorkloadEntry',
      metadata: { name: 'w' },
    };
    const { key } = stored(store.put(entry, { origin: registration, mode: 'upsert' }));
    const isSpecChange: boolean[] = [];
    store.subscribe((changes) => isSpecChange.push(...changes.map((change) => change.isSpecChange)));
    store.putStatus(key, { conditions: [{ type: 'Healthy', status: 'False' }] });
    store.putStatus(key, {
      conditions: [
        { type: 'Healthy', status: 'False' },
        { type: 'Accepted', status: 'True' },
      ],
    });
    expect(isSpecChange).toEqual([true, false]);
  });
}

function describeOwnership(open: OpenStore): void {
  test("the API may not write or delete a folder's object, and is told its place", () => {
    const store = open(storeOptions());
    store.replaceFile('/mesh/a.yaml', [fromFile('/mesh/a.yaml', virtualService('a'))], []);
    const failure = refused(store.put(virtualService('a', { x: 1 }), { origin: api, mode: 'upsert' }));
    expect(failure).toMatchObject({
      code: 'owned-elsewhere',
      owner: { source: 'folder', file: '/mesh/a.yaml' },
    });
    expect(failure.message).toContain('/mesh/a.yaml:1:1');
    expect(refused(store.delete(keyOf(virtualService('a')), { origin: api })).code).toBe('owned-elsewhere');
    expect(store.putStatus(keyOf(virtualService('a')), { ok: true })).toMatchObject({ ok: true });
  });

  test('adopt moves a folder object to the API, and the file can no longer change or delete it', () => {
    const store = open(storeOptions());
    const file = '/mesh/a.yaml';
    store.replaceFile(file, [fromFile(file, virtualService('a'))], []);
    const adopted = stored(store.put(virtualService('a'), { origin: api, mode: 'upsert', adopt: true }));
    expect(adopted.origin).toEqual(api);
    const [failure] = store.replaceFile(file, [fromFile(file, virtualService('a', { x: 1 }))], []);
    expect(failure?.code).toBe('owned-elsewhere');
    expect(store.fileProblems.get(file)?.[0]?.message).toContain('the API');
    store.replaceFile(file, [], []);
    expect(store.get(adopted.key)?.object.spec).toEqual({});
  });

  test('registrations own their entries', () => {
    const store = open(storeOptions());
    const entry: KubeObject = {
      apiVersion: 'networking.istio.io/v1',
      kind: 'WorkloadEntry',
      metadata: { name: 'w' },
    };
    store.put(entry, { origin: registration, mode: 'upsert' });
    expect(refused(store.put(entry, { origin: api, mode: 'update' })).message).toContain(
      'registration of a.default',
    );
    const other: Origin = { source: 'registration', instance: 'b.default' };
    expect(refused(store.put(entry, { origin: other, mode: 'upsert' })).code).toBe('owned-elsewhere');
  });
}

function describeFiles(open: OpenStore): void {
  const a = '/mesh/a.yaml';
  const b = '/mesh/b.yaml';

  test('a file is replaced whole: what it no longer holds is deleted', () => {
    const store = open(storeOptions());
    store.replaceFile(a, [fromFile(a, virtualService('x')), fromFile(a, virtualService('y'))], []);
    store.replaceFile(a, [fromFile(a, virtualService('y'))], []);
    expect([...store.all()].map(({ key }) => key.name)).toEqual(['y']);
    expect(store.files).toEqual([a]);
    store.replaceFile(a, [], []);
    expect(store.files).toEqual([]);
  });

  test('a broken file keeps what it held before', () => {
    const store = open(storeOptions());
    store.replaceFile(a, [fromFile(a, virtualService('x'))], []);
    store.replaceFile(a, [], [problem('')]);
    expect(store.get(keyOf(virtualService('x')))).not.toBeNull();
    expect(store.fileProblems.get(a)).toHaveLength(1);
    store.replaceFile(a, [fromFile(a, virtualService('x'))], []);
    expect(store.fileProblems.has(a)).toBe(false);
  });

  test('an invalid object is stored with its problems while its last good generation serves', () => {
    const store = open(storeOptions());
    store.replaceFile(a, [fromFile(a, virtualService('x', { good: 1 }))], []);
    store.replaceFile(a, [fromFile(a, virtualService('x', { bad: 1 }), [problem('spec.bad')])], []);
    const broken = store.get(keyOf(virtualService('x')));
    expect(broken).toMatchObject({
      generation: 2,
      object: { spec: { bad: 1 } },
      problems: [{ path: 'spec.bad' }],
    });
    expect(broken?.serving?.spec).toEqual({ good: 1, retries: 2 });
    const neverGood = fromFile(b, virtualService('z', { bad: 1 }), [problem('spec.bad')]);
    store.replaceFile(b, [neverGood], []);
    expect(store.get(keyOf(virtualService('z')))?.serving).toBeNull();
  });

  test('the second definition of a key is refused, naming both places', () => {
    const store = open(storeOptions());
    store.replaceFile(a, [fromFile(a, virtualService('x', { first: true }))], []);
    const [failure] = store.replaceFile(b, [fromFile(b, virtualService('x', { second: true }))], []);
    expect(failure?.code).toBe('owned-elsewhere');
    expect(failure?.message).toContain('/mesh/a.yaml:1:1');
    expect(failure?.message).toContain('/mesh/b.yaml:1:1');
    expect(store.get(keyOf(virtualService('x')))?.object.spec).toEqual({ first: true });
    const twice = [fromFile(a, virtualService('x')), fromFile(a, virtualService('x', { again: true }))];
    expect(store.replaceFile(a, twice, [])).toHaveLength(1);
  });

  test('an object moved between files read together keeps its uid and age', () => {
    const store = open(storeOptions());
    store.replaceFile(a, [fromFile(a, virtualService('x'))], []);
    const before = store.get(keyOf(virtualService('x')));
    const revision = store.revision;
    store.replaceFiles([
      { file: b, objects: [fromFile(b, virtualService('x'))], problems: [] },
      { file: a, objects: [], problems: [] },
    ]);
    const after = store.get(keyOf(virtualService('x')));
    expect(after?.object.metadata.uid).toBe(before?.object.metadata.uid ?? '');
    expect(after?.createdMs).toBe(before?.createdMs ?? 0);
    expect(after?.origin).toMatchObject({ file: b });
    expect(store.revision).toBe(revision);
    expect(store.files).toEqual([b]);
  });

  test('a line moved by an edit above is remembered without a change', () => {
    const store = open(storeOptions());
    store.replaceFile(a, [fromFile(a, virtualService('x'))], []);
    let isNotified = false;
    store.subscribe(() => (isNotified = true));
    const moved: FolderObject = {
      ...fromFile(a, virtualService('x')),
      origin: { source: 'folder', file: a, line: 9, column: 1 },
    };
    store.replaceFile(a, [moved], []);
    expect(store.get(keyOf(virtualService('x')))?.origin).toMatchObject({ line: 9 });
    expect([store.revision, isNotified]).toEqual([1, false]);
  });
}

function describeChanges(open: OpenStore): void {
  test('subscribers see each change after commit, in order, never re-entrantly', () => {
    const store = open(storeOptions());
    const seen: string[] = [];
    store.subscribe((changes) => {
      seen.push(`first ${changes.map((change) => change.revision).join()}`);
      if (store.revision < 2) store.put(virtualService('b'), { origin: api, mode: 'create' });
    });
    store.subscribe((changes) => seen.push(`second ${changes.map((change) => change.revision).join()}`));
    store.put(virtualService('a'), { origin: api, mode: 'create' });
    expect(seen).toEqual(['first 1', 'second 1', 'first 2', 'second 2']);
  });

  test("one subscriber's error is reported and hides nothing from the others", () => {
    const errors: unknown[] = [];
    const store = open(storeOptions({ onListenerError: (error) => errors.push(error) }));
    let isCalled = false;
    store.subscribe(() => {
      throw new Error('boom');
    });
    store.subscribe(() => (isCalled = true));
    expect(store.put(virtualService('a'), { origin: api, mode: 'create' }).ok).toBe(true);
    expect([errors.length, isCalled]).toEqual([1, true]);
  });

  test('the log answers from a revision on, and null once it no longer reaches back', () => {
    const store = open(storeOptions({ logLength: 4 }));
    for (let i = 0; i < 4; i++) store.put(virtualService(`v${i}`), { origin: api, mode: 'create' });
    expect(store.changesSince(1)?.map((change) => change.revision)).toEqual([2, 3, 4]);
    expect(store.changesSince(4)).toEqual([]);
    for (let i = 4; i < 20; i++) store.put(virtualService(`v${i}`), { origin: api, mode: 'create' });
    expect(store.changesSince(1)).toBeNull();
    expect(store.changesSince(18)?.map((change) => change.revision)).toEqual([19, 20]);
  });

  test('a deletion carries what was there and a revision of its own', () => {
    const store = open(storeOptions());
    const { key } = stored(store.put(virtualService('a'), { origin: api, mode: 'create' }));
    store.delete(key, { origin: api, expectedRevision: 1 });
    expect(store.changesSince(1)).toMatchObject([
      { type: 'delete', revision: 2, isSpecChange: true, before: { revision: 1 }, after: null },
    ]);
  });
}
