import { afterEach, describe, expect, test } from 'bun:test';
import { isProblem, parseChain } from '@sluice/identity';
import { cleanUp, onCleanUp } from '@sluice/testkit';
import { localError } from '../errors.ts';
import { AuthorityFixture } from './authority.fixture.ts';
import { expiringSoon, ExpiryAlarm } from './expiry-alarm.ts';
import {
  advertisedAddress,
  localAddresses,
  serverNames,
  ServerCredentialKeeper,
} from './server-credential.ts';

afterEach(cleanUp);

const none = { dnsSans: [], ipSans: [] };
const named = { dnsSans: ['mesh.example'], ipSans: [] };
const dayMs = 24 * 3_600_000;

function open(): AuthorityFixture {
  const fixture = new AuthorityFixture();
  onCleanUp(() => fixture.close());
  return fixture;
}

describe('the control plane’s own certificate', () => {
  test('comes with its whole chain and bears the names it is called by', () => {
    const fixture = open();
    const names = serverNames(named, '10.0.0.7:15012');
    const keeper = new ServerCredentialKeeper(fixture.authority, names, 'istio-system', () =>
      fixture.clock.wallMs(),
    );
    const chain = parseChain(keeper.current.chainPem);
    if (isProblem(chain)) throw new Error(chain.message);
    expect(fixture.verdict(chain)).toBe('good');
    expect(chain[0]?.uriSans).toEqual(['spiffe://cluster.local/ns/istio-system/sa/sluice-control']);
    expect(chain[0]?.dnsSans).toContain('mesh.example');
    expect(chain[0]?.dnsSans).toContain('istiod.istio-system.svc');
    expect(chain[0]?.ipSans).toEqual(['127.0.0.1', '::1', '10.0.0.7']);
  });

  test('is made on a full disk, too, for an hour, and a recorded one follows when there is room', () => {
    const fixture = open();
    const file = fixture.file as { transact: (work: () => void) => void };
    const { transact } = file;
    file.transact = () => {
      throw localError('state-unwritable', 'no room');
    };
    const keeper = new ServerCredentialKeeper(fixture.authority, none, 'istio-system', () =>
      fixture.clock.wallMs(),
    );
    const first = keeper.current;
    expect(first.notAfterMs - fixture.clock.wallMs()).toBeLessThanOrEqual(3_600_000);
    const chain = parseChain(first.chainPem);
    if (isProblem(chain)) throw new Error(chain.message);
    expect(fixture.verdict(chain)).toBe('good');
    expect(keeper.check()).toBe(false);
    fixture.clock.advance(61_000);
    expect(() => keeper.check()).toThrow('no room');
    expect(keeper.check()).toBe(false);
    expect(keeper.current).toBe(first);
    file.transact = transact;
    fixture.clock.advance(61_000);
    expect(keeper.check()).toBe(true);
    const [leaf] = fixture.authority.unexpired();
    expect(leaf?.account).toBe('sluice-control');
  });

  test('does not end while the disk is full, however long that takes', () => {
    const fixture = open();
    const keeper = new ServerCredentialKeeper(fixture.authority, none, 'istio-system', () =>
      fixture.clock.wallMs(),
    );
    const recorded = keeper.current;
    (fixture.file as { transact: (work: () => void) => void }).transact = () => {
      throw localError('state-unwritable', 'no room');
    };
    const check = (): void => {
      try {
        keeper.check();
      } catch (error) {
        expect((error as Error).message).toBe('no room');
      }
    };
    let shown = 0;
    for (let minute = 0; minute < 26 * 60; minute++) {
      fixture.clock.advance(60_001);
      check();
      expect(keeper.current.notAfterMs).toBeGreaterThan(fixture.clock.wallMs() + 60_001);
      if (keeper.current === recorded) shown = minute;
    }
    // What is recorded, and can be revoked, serves for as long as it is good.
    expect(shown).toBeGreaterThan(22 * 60);
  });

  test('is renewed at half its life, and follows the root and the bundle', () => {
    const fixture = open();
    const keeper = new ServerCredentialKeeper(fixture.authority, none, 'istio-system', () =>
      fixture.clock.wallMs(),
    );
    const first = keeper.current;
    expect(keeper.check()).toBe(false);
    fixture.clock.advance(dayMs / 2);
    expect(keeper.check()).toBe(true);
    expect(keeper.current.chainPem).not.toBe(first.chainPem);
    fixture.authority.rotate('root');
    expect(keeper.check()).toBe(true);
    expect(keeper.current.trustedPem).toBe(fixture.authority.bundle.rootsPem);
    fixture.hasReachedAll = true;
    fixture.passMs(10_000);
    expect(keeper.check()).toBe(true);
    expect(keeper.current.rootId).toBe(fixture.authority.signing.root.sha256);
  });

  test('bears its address only where that is one, and is advertised by name where it is bound to all', () => {
    expect(serverNames(named, '0.0.0.0:15012')).toEqual(named);
    expect(serverNames(none, 'control.internal:15012').dnsSans).toEqual(['control.internal']);
    expect(advertisedAddress('0.0.0.0:15012', named)).toBe('mesh.example:15012');
    expect(advertisedAddress('[::]:15012', { dnsSans: [], ipSans: ['2001:db8::1'] })).toBe(
      '[2001:db8::1]:15012',
    );
    expect(advertisedAddress('127.0.0.1:15012', named)).toBe('127.0.0.1:15012');
    expect(localAddresses('mesh.example:15012')).toEqual([
      'mesh.example:15012',
      '127.0.0.1:15012',
      '[::1]:15012',
    ]);
  });
});

describe('the alarm', () => {
  test('is given once a day for what ends soon, and not for what is being replaced in time', () => {
    const fixture = open();
    const { clock, authority, log } = fixture;
    const alarm = new ExpiryAlarm(authority, () => clock.wallMs(), log);
    const alarms = (): number => fixture.logged.filter((line) => line.includes('comes to its end')).length;
    alarm.look();
    expect(alarms()).toBe(0);
    // Nobody checks the authority here: its intermediate of 30 days is not replaced.
    clock.advance(28 * dayMs);
    expect(expiringSoon(authority, clock.wallMs()).map(({ what }) => what)).toEqual(['signing certificate']);
    alarm.look();
    alarm.look();
    expect(alarms()).toBe(1);
    clock.advance(dayMs);
    alarm.look();
    expect(alarms()).toBe(2);
  });
});
