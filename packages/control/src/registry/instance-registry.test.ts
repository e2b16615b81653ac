import { afterAll, beforeEach, describe, expect, test } from 'bun:test';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { keyOf, type Registration } from '@sluice/api';
import { createLogger, FakeClock } from '@sluice/runtime';
import { LeaderDuties } from '../leader/leadership.ts';
import { localError } from '../errors.ts';
import { openMemoryStore } from '../source/memory-store.ts';
import { openSqliteStore } from '../source/sqlite-store.ts';
import { openStateFile } from '../source/state-file.ts';
import { strictStore } from '../source/store.fixture.ts';
import type { ResourceStore } from '../source/store.ts';
import { checkIntervalMs } from './lease-table.ts';
import { InstanceRegistry, RegistrationRefused, type OutboundService } from './instance-registry.ts';
import { testRegistration } from './registration.fixture.ts';
import { memoryRegistryTable, sqliteRegistryTable, type RegistryTable } from './registry-table.ts';
import { toWorkloadEntry } from './workload-entry.ts';

const root = mkdtempSync(join(tmpdir(), 'sluice-registry-'));
afterAll(() => rmSync(root, { recursive: true }));

let clock: FakeClock;
let store: ResourceStore;
let table: RegistryTable;
let leadership: LeaderDuties;
let services: readonly OutboundService[];
let logged: string[];
let revoked: ReadonlySet<string>;

beforeEach(() => {
  clock = new FakeClock();
  store = openMemoryStore(storeOptions());
  table = memoryRegistryTable();
  leadership = new LeaderDuties(true);
  services = ['ratings', 'details'].map((name) => service(name));
  logged = [];
  revoked = new Set();
});

const storeOptions = () => strictStore(() => clock.wallMs());

function open(from: RegistryTable = table): InstanceRegistry {
  return new InstanceRegistry({
    store,
    table: from,
    leadership,
    clock,
    log: createLogger({ component: 'registry', write: (line) => logged.push(line) }),
    clusterDomain: 'cluster.local',
    outboundServices: () => services,
    strictPorts: () => [{ appPort: 1, policy: 'p' }],
    revoked: () => revoked,
  });
}

function service(name: string, port = 9080): OutboundService {
  const hostname = `${name}.default.svc.cluster.local`;
  return { key: `default/${hostname}`, name, namespace: 'default', hostname, port };
}

function registration(name: string, changes: Partial<Registration> = {}): Registration {
  return testRegistration(name, {
    serviceAccount: 'reviews',
    labels: { app: 'reviews', version: 'v1' },
    interceptionMode: 'NONE',
    ports: [{ name: 'http', appPort: 20000, inboundPort: 20001 }],
    outboundPortRange: [21000, 21009],
    adminPort: 20002,
    healthPort: 20003,
    ...changes,
  });
}

function entryOf(name: string) {
  return store.get(keyOf(toWorkloadEntry(registration(name))));
}

function pass(
  registry: InstanceRegistry,
  durationMs: number,
  alive: readonly { instance: string; token: string }[],
): void {
  for (let elapsedMs = 0; elapsedMs < durationMs; elapsedMs += checkIntervalMs) {
    clock.advance(checkIntervalMs);
    for (const { instance, token } of alive) registry.renew(instance, token);
    registry.check();
  }
}

describe('an instance whose certificate is revoked', () => {
  const healthOf = (name: string): unknown => {
    const status = entryOf(name)?.object.status as { conditions: { type: string }[] } | undefined;
    return status?.conditions.find(({ type }) => type === 'Healthy');
  };

  test('is not healthy, whatever its probe says, until it joins anew', () => {
    const registry = open();
    const { instance, token } = registry.register(registration('reviews-1'));
    registry.register(registration('reviews-2', { ports: [] }));
    revoked = new Set([instance]);
    registry.reviewRevoked();
    expect(healthOf('reviews-1')).toMatchObject({ status: 'False', reason: 'Revoked' });
    expect(registry.instances.get(instance)).toMatchObject({ isHealthy: false, isRevoked: true });
    registry.reportHealth(instance, token, true, 'all well');
    expect(healthOf('reviews-1')).toMatchObject({ status: 'False', reason: 'Revoked' });
    expect(healthOf('reviews-2')).toMatchObject({ status: 'True' });
    revoked = new Set();
    registry.reviewRevoked();
    expect(healthOf('reviews-1')).toMatchObject({ status: 'True', message: 'all well' });
    expect(registry.instances.get(instance)).toMatchObject({ isHealthy: true, isRevoked: false });
  });

  test('is so after a restart and when it registers again', () => {
    const { instance } = open().register(registration('reviews-1'));
    revoked = new Set([instance]);
    const restarted = open();
    expect(restarted.instances.get(instance)?.isRevoked).toBe(true);
    expect(healthOf('reviews-1')).toMatchObject({ reason: 'Revoked' });
    restarted.register(registration('reviews-1'));
    expect(healthOf('reviews-1')).toMatchObject({ reason: 'Revoked' });
  });
});

describe('registering', () => {
  test('makes a WorkloadEntry with health, and answers with token, node id and own listeners', () => {
    const registry = open();
    const reply = registry.register(registration('reviews-1'));
    expect(reply).toMatchObject({
      instance: 'reviews-1.default',
      nodeId: 'sidecar~127.0.0.1~reviews-1.default~default.svc.cluster.local',
      strictPorts: [{ appPort: 1, policy: 'p' }],
      leaseMs: 2500,
    });
    expect(reply.outbound.map((one) => one.service)).toEqual(['ratings', 'details']);
    for (const { address, localPort } of reply.outbound) {
      expect(address).toBe('127.0.0.1');
      expect(localPort).toBeWithin(21000, 21010);
    }
    const entry = entryOf('reviews-1');
    expect(entry?.problems).toEqual([]);
    expect(entry?.object.spec).toMatchObject({ ports: { http: 20001 }, serviceAccount: 'reviews' });
    expect(entry?.object.status).toMatchObject({ conditions: [{ type: 'Healthy', status: 'True' }] });
    expect(entry?.revision).toBe(1);
    expect(registry.authenticate(reply.token)?.instance).toBe('reviews-1.default');
    expect(registry.authenticate('guess')).toBeNull();
  });

  test('behind a redirect the entry names the ports of the application', () => {
    open().register(registration('a', { interceptionMode: 'REDIRECT' }));
    expect(entryOf('a')?.object.spec).toMatchObject({ ports: { http: 20000 } });
  });

  test('an instance with a probe is never seen healthy before it said so', () => {
    const seen: unknown[] = [];
    store.subscribe((changes) => seen.push(...changes.map((change) => change.after?.object.status)));
    const registry = open();
    const { instance, token } = registry.register(registration('a'), false);
    registry.reportHealth(instance, token, true, 'GET /ready: 200');
    registry.reportHealth(instance, token, true, 'GET /ready: 200');
    expect(seen).toMatchObject([
      { conditions: [{ type: 'Healthy', status: 'False' }] },
      { conditions: [{ type: 'Healthy', status: 'True', message: 'GET /ready: 200' }] },
    ]);
  });

  test('renewing changes no revision; a wrong token renews nothing', () => {
    const registry = open();
    const { instance, token } = registry.register(registration('a'));
    const revision = store.revision;
    expect(registry.renew(instance, token)).toBe(true);
    expect(registry.renew(instance, 'guess')).toBe(false);
    expect(registry.reportHealth(instance, 'guess', false, '')).toBe(false);
    expect(registry.deregister(instance, 'guess')).toBe(false);
    expect(store.revision).toBe(revision);
  });

  test('a name that belongs to somebody else is refused and leaves nothing behind', () => {
    store.put(toWorkloadEntry(registration('a')), { origin: { source: 'api' }, mode: 'create' });
    const registry = open();
    expect(() => registry.register(registration('a'))).toThrow(RegistrationRefused);
    expect(registry.instances.size).toBe(0);
    expect(table.load().registrations).toEqual([]);
  });

  test('a full disk refuses a registration and leaves nothing behind', () => {
    const registry = open();
    const putNow = store.put.bind(store);
    store.put = (object, options) =>
      options.isDryRun === true
        ? putNow(object, options)
        : { ok: false, failure: { code: 'state-unwritable', message: 'full' } };
    expect(() => registry.register(registration('a'))).toThrow(RegistrationRefused);
    expect(registry.instances.size).toBe(0);
    expect(table.load().registrations).toEqual([]);
    store.put = putNow;
    expect(registry.register(registration('a')).instance).toBe('a.default');
  });

  test('a sidecar that came back replaces its former self, whose token is worth nothing then', () => {
    const registry = open();
    const first = registry.register(registration('a'));
    const second = registry.register(registration('a'));
    expect(registry.renew(first.instance, first.token)).toBe(false);
    expect(registry.renew(second.instance, second.token)).toBe(true);
    expect(second.outbound).toEqual(first.outbound);
    expect(JSON.stringify(table.load())).not.toContain(second.token);
  });
});

describe('leaving', () => {
  test('a goodbye takes the entry out at once, silence after the lease', () => {
    const registry = open();
    const a = registry.register(registration('a'));
    const b = registry.register(registration('b'));
    registry.deregister(a.instance, a.token);
    expect(entryOf('a')).toBeNull();
    pass(registry, 2400, [b]);
    expect(entryOf('b')).not.toBeNull();
    pass(registry, 2800, []);
    expect(entryOf('b')).toBeNull();
    expect(registry.evictions).toBe(1);
  });

  test('a mass loss freezes eviction and raises the alarm', () => {
    const registry = open();
    for (const name of ['a', 'b', 'c', 'd']) registry.register(registration(name));
    pass(registry, 6000, []);
    expect(registry.isFrozen).toBe(true);
    expect(registry.instances.size).toBe(4);
    expect(logged.join('')).toContain('more than half of all instances');
    registry.releaseFreeze();
    pass(registry, 200, []);
    expect(registry.instances.size).toBe(0);
  });

  test('on a full disk the end of an instance is made good as soon as there is room', () => {
    const registry = open();
    const { instance, token } = registry.register(registration('a'));
    const deleteNow = table.delete.bind(table);
    table.delete = () => {
      throw localError('state-unwritable', 'full');
    };
    registry.deregister(instance, token);
    // A row without an entry would come back from the dead at a restart: the entry waits for its row.
    expect(entryOf('a')).not.toBeNull();
    table.delete = deleteNow;
    pass(registry, 200, []);
    expect(entryOf('a')).toBeNull();
    expect(table.load().registrations).toEqual([]);
  });
});

describe('ports of outbound listeners', () => {
  test('are kept for a service, differ between services, and avoid the ports of the workload', () => {
    const registry = open();
    const range = { outboundPortRange: [21000, 21002] as const, adminPort: 21001 };
    const { instance } = registry.register(registration('a', range));
    const ports = ['ratings', 'details'].map((name) =>
      registry.outboundPort(instance, service(name).key, 9080),
    );
    expect([...ports].sort()).toEqual([21000, 21002]);
    expect(registry.outboundPort(instance, service('ratings').key, 9080)).toBe(ports[0] ?? 0);
    expect(registry.outboundPort(instance, service('more').key, 9080)).toBeNull();
    expect(registry.outboundPort('nobody.default', service('more').key, 9080)).toBeNull();
  });

  test('appear in the bindings when a service appears', () => {
    const registry = open();
    const { instance } = registry.register(registration('a'));
    services = [...services, service('late')];
    expect(registry.bindings(instance).map((one) => one.service)).toEqual(['ratings', 'details', 'late']);
  });

  test('a sidecar that can be a forward proxy gets a port for it', () => {
    const registry = open();
    const able = registration('a', { capabilities: ['sluice.dev/forward-proxy'] });
    expect(registry.register(able).outbound.at(-1)).toMatchObject({ service: 'http_proxy', port: 0 });
    expect(registry.outboundPort('a.default', 'http_proxy', 0)).toBeWithin(21000, 21010);
  });

  test('are allotted anew when the range has changed', () => {
    const registry = open();
    registry.register(registration('a'));
    const { outbound } = registry.register(registration('a', { outboundPortRange: [22000, 22009] }));
    for (const { localPort } of outbound) expect(localPort).toBeWithin(22000, 22010);
  });
});

describe('after a restart', () => {
  test('registrations, tokens, health and ports are as before, and every lease is full', () => {
    const directory = join(root, 'restart');
    const file = openStateFile(directory);
    store = openSqliteStore(file, storeOptions());
    const registry = open(sqliteRegistryTable(file));
    const { instance, token, outbound } = registry.register(registration('a'));
    registry.reportHealth(instance, token, false, 'GET /ready: 503');
    const before = entryOf('a');
    file.close();

    clock.advance(3_600_000);
    const reopened = openStateFile(directory);
    store = openSqliteStore(reopened, storeOptions());
    const restored = open(sqliteRegistryTable(reopened));
    expect(restored.isRestored).toBe(true);
    pass(restored, 2400, []);
    expect(entryOf('a')).toEqual(before);
    expect(restored.instances.get(instance)).toMatchObject({
      isHealthy: false,
      healthMessage: 'GET /ready: 503',
    });
    expect(restored.renew(instance, token)).toBe(true);
    expect(restored.bindings(instance)).toEqual(outbound);
    reopened.close();
  });

  test('an entry whose registration was removed, and a registration whose entry is missing, are put right', () => {
    open().register(registration('a'));
    const rows = table.load().registrations;
    store = openMemoryStore(storeOptions());
    const orphan = toWorkloadEntry(registration('orphan'));
    store.put(orphan, { origin: { source: 'registration', instance: 'orphan.default' }, mode: 'create' });
    const restored = open();
    expect([...restored.instances.keys()]).toEqual(rows.map((row) => row.instance));
    expect(entryOf('a')).not.toBeNull();
    expect(entryOf('orphan')).toBeNull();
  });
});

describe('beside another control plane', () => {
  const tables: readonly (readonly [string, () => RegistryTable])[] = [
    ['memory', memoryRegistryTable],
    ['SQLite', () => sqliteRegistryTable(openStateFile(join(root, 'beside')))],
  ];

  test('a follower allots no ports, and reads those that are allotted', () => {
    leadership.lead(false);
    const registry = open();
    expect(registry.register(registration('a')).outbound).toEqual([]);
    leadership.lead(true);
    const port = registry.outboundPort('a.default', 'default/ratings', 9080);
    expect(port).not.toBeNull();
    leadership.lead(false);
    expect(registry.outboundPort('a.default', 'default/ratings', 9080)).toBe(port);
  });

  for (const [name, openTable] of tables) {
    test(`${name}: an expiry ends only the registration that it judged; what is allotted stands`, () => {
      const shared = openTable();
      const row = {
        instance: 'a.default',
        registration: registration('a'),
        tokenHash: 'first',
        registeredWallMs: 0,
        isHealthy: true,
        healthMessage: '',
      };
      shared.put(row);
      shared.put({ ...row, tokenHash: 'second' });
      expect(shared.delete('a.default', 'first', true)).toBe(false);
      expect(shared.load().registrations).toHaveLength(1);

      const allotment = { instance: 'a.default', service: 'default/ratings', port: 9080, localPort: 21000 };
      expect(shared.addPorts([allotment])).toEqual([]);
      expect(shared.addPorts([allotment])).toEqual([]);
      expect(shared.addPorts([{ ...allotment, localPort: 21005 }])).toEqual([allotment]);
      expect(shared.load().ports).toEqual([allotment]);

      expect(shared.delete('a.default', 'second', true)).toBe(true);
      expect(shared.load()).toEqual({ registrations: [], ports: [] });
    });
  }

  test('ports that another allotted first are taken over, on the disk and in what instances are told', () => {
    const registry = open();
    const { outbound } = registry.register(registration('a'));
    const [first] = outbound;
    if (first === undefined) throw new Error('nothing was allotted');
    const other = 21000 + ((first.localPort - 21000 + 5) % 10);
    const service = `${first.namespace}/${first.hostname}`;
    const standing = { instance: 'b.default', service, port: first.port, localPort: other };
    table.addPorts([standing]);
    const { outbound: told } = registry.register(registration('b'));
    expect(told.find(({ hostname }) => hostname === first.hostname)?.localPort).toBe(other);
    expect(registry.outboundPort('b.default', service, first.port)).toBe(other);
  });
});
