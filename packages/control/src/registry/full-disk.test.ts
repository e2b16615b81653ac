/** A registry whose disk takes no writes: what is seen, what the store says, and what is left when there is room. */
import { afterEach, beforeEach, describe, expect, test } from 'bun:test';
import type { RegistrationReply } from '@sluice/api';
import { createLogger, FakeClock } from '@sluice/runtime';
import { cleanUp, makeTempDir } from '@sluice/testkit';
import { soleLeadership } from '../leader/leadership.ts';
import { openSqliteStore } from '../source/sqlite-store.ts';
import { openStateFile, type StateFile } from '../source/state-file.ts';
import { strictStore } from '../source/store.fixture.ts';
import type { ResourceStore } from '../source/store.ts';
import { InstanceRegistry, RegistrationRefused } from './instance-registry.ts';
import { checkIntervalMs } from './lease-table.ts';
import { testRegistration } from './registration.fixture.ts';
import { sqliteRegistryTable } from './registry-table.ts';
import { entryKey, type SeenChange } from './unwritten-instances.ts';

let clock: FakeClock;
let directory: string;
let file: StateFile;
let store: ResourceStore;
let registry: InstanceRegistry;
let logged: string[];
let seen: SeenChange[];

beforeEach(() => {
  clock = new FakeClock();
  directory = makeTempDir();
  logged = [];
  open();
});

afterEach(async () => {
  file.close();
  await cleanUp();
});

function open(isFull = false): void {
  file = openStateFile(directory);
  store = openSqliteStore(
    file,
    strictStore(() => clock.wallMs()),
  );
  if (isFull) fill();
  registry = new InstanceRegistry({
    store,
    table: sqliteRegistryTable(file),
    leadership: soleLeadership(),
    clock,
    log: createLogger({ component: 'registry', write: (line) => logged.push(line) }),
    clusterDomain: 'cluster.local',
    outboundServices: () => [],
    strictPorts: () => [],
  });
  seen = [];
  registry.view.subscribe((change) => seen.push(change));
}

function restart(isFull = false): void {
  file.close();
  open(isFull);
}

/** From now on every write is refused with `state-unwritable`, as on a full or read-only disk. */
function fill(): void {
  file.database.run('PRAGMA query_only = ON');
}

function free(): void {
  file.database.run('PRAGMA query_only = OFF');
}

function pass(durationMs: number, alive: readonly RegistrationReply[]): void {
  for (let elapsedMs = 0; elapsedMs < durationMs; elapsedMs += checkIntervalMs) {
    clock.advance(checkIntervalMs);
    for (const { instance, token } of alive) registry.renew(instance, token);
    registry.check();
  }
}

const report = ({ instance, token }: RegistrationReply, isHealthy: boolean): boolean =>
  registry.reportHealth(instance, token, isHealthy, isHealthy ? 'GET /: 200' : 'GET /: 503');

const storedOf = (name: string) => store.get(entryKey(testRegistration(name)));
const healthOf = (stored: ReturnType<typeof storedOf>): unknown =>
  stored === null
    ? 'gone'
    : (stored.object.status as { conditions: { status: string }[] }).conditions[0]?.status;
/** As the model sees it, and as the store says. */
const bothOf = (name: string): unknown[] => {
  const stored = storedOf(name);
  return [healthOf(stored && registry.view.see(stored)), healthOf(stored)];
};

describe('while the disk takes no writes', () => {
  test('a change of health is seen at once, changes no revision, and is written when there is room', () => {
    const a = registry.register(testRegistration('a'));
    const b = registry.register(testRegistration('b'));
    const { revision } = store;
    fill();
    expect(report(a, false)).toBe(true);
    expect(bothOf('a')).toEqual(['False', 'True']);
    expect(bothOf('b')).toEqual(['True', 'True']);
    expect(seen.map(({ key, gone }) => [key.name, gone])).toEqual([['a', null]]);
    expect(registry.instances.get(a.instance)?.isHealthy).toBe(false);
    expect(registry.reportedHealthy(a.instance)).toBe(false);
    pass(2000, [a, b]);
    expect(store.revision).toBe(revision);
    expect(registry.unwritten).toBe(1);
    expect(logged.filter((line) => line.includes('could not be written'))).toHaveLength(1);

    const changedAt = new Date(clock.wallMs() - 2000).toISOString();
    free();
    pass(200, [a, b]);
    expect(bothOf('a')).toEqual(['False', 'False']);
    expect(store.revision).toBe(revision + 1);
    expect(storedOf('a')?.object.status).toMatchObject({ conditions: [{ lastTransitionTime: changedAt }] });
    expect(registry.unwritten).toBe(0);
    restart();
    expect(bothOf('a')).toEqual(['False', 'False']);
    expect(registry.renew(a.instance, a.token)).toBe(true);
  });

  test('one that fell ill and is well again is as the disk has it, with nothing left to write', () => {
    const a = registry.register(testRegistration('a'));
    report(a, true);
    const { revision } = store;
    fill();
    report(a, false);
    report(a, true);
    expect(bothOf('a')).toEqual(['True', 'True']);
    free();
    pass(200, [a]);
    expect(registry.unwritten).toBe(0);
    expect(store.revision).toBe(revision);
    expect(seen.at(-1)?.after).toEqual(storedOf('a'));
  });

  test('an instance that dies is seen no more within its bound, and does not come back at a restart', () => {
    const a = registry.register(testRegistration('a'));
    const b = registry.register(testRegistration('b'));
    fill();
    pass(3000, [b]);
    expect(bothOf('a')).toEqual(['gone', 'True']);
    expect(seen.map(({ gone, after }) => [gone, after])).toEqual([[a.instance, null]]);
    expect(registry.authenticate(a.token)).toBeNull();
    expect(registry.evictions).toBe(1);
    free();
    pass(200, [b]);
    expect(storedOf('a')).toBeNull();
    restart();
    expect([...registry.instances.keys()]).toEqual([b.instance]);
  });

  test('a restart in the middle judges the dead anew, and ends them within the same bound', () => {
    registry.register(testRegistration('a'));
    const b = registry.register(testRegistration('b'));
    fill();
    pass(3000, [b]);
    restart(true);
    expect(bothOf('a')).toEqual(['True', 'True']);
    pass(3000, [b]);
    expect(bothOf('a')).toEqual(['gone', 'True']);
    free();
    pass(200, [b]);
    expect(storedOf('a')).toBeNull();
  });

  test('who is on the disk as it is may come back; its token lasts, once there is room', () => {
    const first = registry.register(testRegistration('a'));
    const b = registry.register(testRegistration('b'));
    fill();
    pass(3000, [b]);
    const back = registry.register(testRegistration('a'), false);
    expect(bothOf('a')).toEqual(['False', 'True']);
    report(back, true);
    expect(bothOf('a')).toEqual(['True', 'True']);
    expect(registry.renew(first.instance, first.token)).toBe(false);
    free();
    pass(200, [back, b]);
    restart();
    expect(registry.renew(back.instance, back.token)).toBe(true);
  });

  test('newcomers, and those who come back as others, are refused and leave nothing behind', () => {
    registry.register(testRegistration('a'));
    fill();
    expect(() => registry.register(testRegistration('new'))).toThrow(RegistrationRefused);
    expect(() => registry.register(testRegistration('a', { address: '127.0.0.9' }))).toThrow(
      RegistrationRefused,
    );
    expect([...registry.instances.keys()]).toEqual(['a.default']);
    expect(registry.unwritten).toBe(0);
    free();
    restart();
    expect([...registry.instances.keys()]).toEqual(['a.default']);
  });

  test('an entry that was left behind without its registration is not seen', () => {
    registry.register(testRegistration('a'));
    file.database.run('DELETE FROM registration');
    restart(true);
    expect(bothOf('a')).toEqual(['gone', 'True']);
    free();
    pass(200, []);
    expect(storedOf('a')).toBeNull();
  });

  test('a part that fails to take a change over hinders neither the registry nor others', () => {
    const a = registry.register(testRegistration('a'));
    registry.view.subscribe(() => {
      throw new Error('broken part');
    });
    const later: string[] = [];
    registry.view.subscribe(({ key }) => later.push(key.name));
    fill();
    expect(report(a, false)).toBe(true);
    expect(later).toEqual(['a']);
    expect(logged.join('')).toContain('broken part');
  });

  test('what somebody else took over is seen as it is', () => {
    const a = registry.register(testRegistration('a'));
    fill();
    report(a, false);
    free();
    const taken = { ...storedOf('a')!.object, status: undefined };
    const adopted = store.put(taken, { origin: { source: 'api' }, mode: 'upsert', adopt: true });
    expect(adopted.ok).toBe(true);
    const stored = storedOf('a');
    expect(stored && registry.view.see(stored)).toBe(stored);
  });
});
