/** The authority over its life: first start, rotation of both kinds, revocation, restarts at every point. */
import { afterEach, describe, expect, test } from 'bun:test';
import { statSync } from 'node:fs';
import { isProblem, parseCrl, parsePem } from '@sluice/identity';
import { cleanUp, onCleanUp } from '@sluice/testkit';
import { localError } from '../errors.ts';
import { AuthorityFixture, type FixtureOptions } from './authority.fixture.ts';

afterEach(cleanUp);

const hourMs = 3_600_000;
const dayMs = 24 * hourMs;

function open(options?: FixtureOptions): AuthorityFixture {
  const fixture = new AuthorityFixture(options);
  onCleanUp(() => fixture.close());
  return fixture;
}

const phases = ({ authority }: AuthorityFixture): string =>
  [...authority.ring.roots, ...authority.ring.intermediates]
    .map(({ row }) => `${row.role} ${row.phase}`)
    .join(', ');

describe('at the first start', () => {
  test('there is a root and an intermediate below it, and both outlive a restart', () => {
    const fixture = open();
    const { pins } = fixture.authority;
    expect(phases(fixture)).toBe('root active, intermediate active');
    fixture.restart();
    expect(fixture.authority.pins).toEqual(pins);
    expect(phases(fixture)).toBe('root active, intermediate active');
  });

  test('keys are in the 0600 state file and in no log line', () => {
    const fixture = open();
    fixture.issue();
    expect(statSync(fixture.file.path).mode & 0o777).toBe(0o600);
    expect(fixture.logged.join('\n')).not.toContain('PRIVATE');
  });
});

describe('a leaf', () => {
  test('names its workload, lives a day, begins 15 minutes ago and verifies up to the root', () => {
    const fixture = open();
    const nowMs = fixture.clock.wallMs();
    const { leaf, chain } = fixture.issue();
    expect(leaf.uriSans).toEqual(['spiffe://cluster.local/ns/shop/sa/cart']);
    expect(leaf.notBeforeMs).toBe(nowMs - 15 * 60_000);
    expect(leaf.notAfterMs).toBe(nowMs + dayMs);
    expect(chain).toHaveLength(3);
    expect(fixture.verdict(chain)).toBe('good');
  });

  test('may ask for less, and for more only up to the limit and the end of its issuer', () => {
    const fixture = open({ settings: { maxLeafTtlMs: 2 * dayMs, intermediateTtlMs: 9 * dayMs } });
    const nowMs = fixture.clock.wallMs();
    expect(fixture.issue({ ttlMs: hourMs }).leaf.notAfterMs).toBe(nowMs + hourMs);
    expect(fixture.issue({ ttlMs: 99 * dayMs }).leaf.notAfterMs).toBe(nowMs + 2 * dayMs);
    const short = open({ settings: { intermediateTtlMs: hourMs } });
    expect(short.issue().leaf.notAfterMs).toBe(short.authority.signing.certificate.notAfterMs);
  });

  test('of a full disk is not signed', () => {
    const fixture = open();
    fixture.file.database.run('PRAGMA max_page_count = 1');
    let message = '';
    try {
      for (let round = 0; round < 200; round++) fixture.issue();
    } catch (error) {
      message = error instanceof Error ? error.message : '';
    }
    expect(message).toContain('could not be written');
  });
});

describe('an intermediate', () => {
  test('is replaced after two thirds of its life, and forgotten when its last leaf has expired', () => {
    const fixture = open();
    const before = fixture.authority.signing.certificate.sha256;
    fixture.passMs(20 * dayMs - hourMs);
    const old = fixture.issue();
    fixture.passMs(2 * hourMs);
    expect(phases(fixture)).toBe('root active, intermediate active, intermediate retired');
    expect(fixture.authority.signing.certificate.sha256).not.toBe(before);
    expect(fixture.verdict(old.chain)).toBe('good');
    fixture.passMs(dayMs);
    expect(phases(fixture)).toBe('root active, intermediate active');
  });

  test('can be replaced at once', () => {
    const fixture = open();
    const before = fixture.authority.signing.certificate.sha256;
    expect(fixture.authority.rotate('intermediate')).toBe(true);
    expect(fixture.authority.signing.certificate.sha256).not.toBe(before);
    expect(fixture.verdict(fixture.issue().chain)).toBe('good');
  });
});

describe('a root', () => {
  test('is trusted before it signs, and the old one until the last certificate below it has expired', () => {
    const fixture = open();
    const old = fixture.issue();
    const oldBundle = fixture.authority.bundle.rootsPem;
    expect(fixture.authority.rotate('root')).toBe(true);
    expect(fixture.authority.rotate('root')).toBe(false);
    expect(phases(fixture)).toBe('root active, root pending, intermediate active');
    // A proxy that has not heard of the new root yet still takes what is signed now.
    expect(fixture.verdict(fixture.issue().chain, oldBundle)).toBe('good');
    fixture.passMs(60_000);
    expect(phases(fixture)).toContain('root pending');
    fixture.hasReachedAll = true;
    fixture.passMs(2000);
    expect(phases(fixture)).toBe('root active, root retired, intermediate active, intermediate retired');
    const fresh = fixture.issue();
    expect(fixture.verdict(fresh.chain)).toBe('good');
    expect(fixture.verdict(old.chain)).toBe('good');
    expect(fixture.verdict(fresh.chain, oldBundle)).not.toBe('good');
    fixture.passMs(dayMs);
    expect(phases(fixture)).toBe('root active, intermediate active');
  });

  test('does not wait for a proxy that is away beyond the overlap', () => {
    const fixture = open({ settings: { overlapMs: hourMs } });
    fixture.authority.rotate('root');
    fixture.passMs(hourMs - 1);
    expect(phases(fixture)).toContain('root pending');
    fixture.passMs(1);
    expect(phases(fixture)).not.toContain('root pending');
  });

  test('does not sign in the moment in which proxies are still being told', () => {
    const fixture = open();
    fixture.hasReachedAll = true;
    fixture.authority.rotate('root');
    fixture.passMs(9000);
    expect(phases(fixture)).toContain('root pending');
  });

  test('does not sign in that moment however short the overlap is, and then waits for nobody', () => {
    const fixture = open({ settings: { overlapMs: 3000 } });
    fixture.authority.rotate('root');
    fixture.passMs(9999);
    expect(phases(fixture)).toContain('root pending');
    fixture.passMs(1);
    expect(phases(fixture)).not.toContain('root pending');
  });

  test('is replaced by itself when four fifths of its life have passed', () => {
    const fixture = open({ settings: { rootTtlMs: 100 * dayMs } });
    fixture.passMs(80 * dayMs + hourMs);
    expect(phases(fixture)).toContain('root pending');
    fixture.passMs(dayMs);
    fixture.passMs(dayMs);
    expect(phases(fixture)).toContain('root active');
    expect(fixture.authority.signing.root.notAfterMs).toBeGreaterThan(fixture.clock.wallMs() + 90 * dayMs);
    expect(fixture.verdict(fixture.issue().chain)).toBe('good');
  });

  test('a rotation goes on where a killed control plane left it', () => {
    const fixture = open();
    const old = fixture.issue();
    fixture.authority.rotate('root');
    const { pins } = fixture.authority;
    fixture.restart();
    expect(fixture.authority.pins).toEqual(pins);
    fixture.hasReachedAll = true;
    fixture.passMs(10_000);
    fixture.restart();
    expect(phases(fixture)).toBe('root active, root retired, intermediate active, intermediate retired');
    expect(fixture.verdict(fixture.issue().chain)).toBe('good');
    expect(fixture.verdict(old.chain)).toBe('good');
  });

  test('a crash between the two writes of a change leaves one root that signs', () => {
    const fixture = open();
    fixture.issue();
    fixture.authority.rotate('root');
    const pending = fixture.authority.ring.roots.find(({ row }) => row.phase === 'pending');
    fixture.file.database.run("UPDATE authority SET phase = 'active' WHERE id = ?", [pending?.row.id ?? '']);
    fixture.restart();
    expect(phases(fixture)).toBe('root active, root retired, intermediate active, intermediate retired');
    expect(fixture.authority.signing.root.sha256).toBe(pending?.row.id ?? '');
  });
});

describe('revocation', () => {
  test('lists nothing until something is revoked, then every authority that has leaves about', () => {
    const fixture = open();
    const heard: string[] = [];
    fixture.authority.subscribe((kind) => heard.push(kind));
    const [good, bad] = [fixture.issue(), fixture.issue()];
    expect(fixture.authority.crlPem).toBe('');
    fixture.authority.rotate('intermediate');
    const revoked = fixture.authority.revoke(({ serial }) => serial === bad.leaf.serial);
    expect(revoked.map(({ serial }) => serial)).toEqual([bad.leaf.serial]);
    expect(heard).toEqual(['revocation']);
    const lists = parsePem(fixture.authority.crlPem);
    const crls = isProblem(lists) ? [] : lists.map(({ der }) => parseCrl(der));
    expect(crls.flatMap((crl) => (isProblem(crl) ? [] : [...crl.revokedSerials]))).toEqual([bad.leaf.serial]);
    expect(crls).toHaveLength(2);
    const judged = [good, bad].map(({ chain }) => fixture.authority.verify(chain));
    expect(judged.map((one) => (isProblem(one) ? one.code : 'good'))).toEqual(['good', 'revoked']);
  });

  test('outlives a restart without new signatures, and ends with the certificate', () => {
    const fixture = open();
    const { leaf } = fixture.issue();
    fixture.authority.revoke(() => true);
    const { crlPem } = fixture.authority;
    fixture.restart();
    expect(fixture.authority.crlPem).toBe(crlPem);
    expect(fixture.authority.issuedRow(leaf.serial)?.revokedMs).toBeGreaterThan(0);
    fixture.passMs(dayMs);
    expect(fixture.authority.crlPem).toBe('');
  });

  test('is spread though its list cannot be written, and is written once there is room', () => {
    const fixture = open();
    const { leaf, chain } = fixture.issue();
    const heard: string[] = [];
    fixture.authority.subscribe((kind) => heard.push(kind));
    const file = fixture.file as { transact: (work: () => void) => void };
    const { transact } = file;
    let writes = 0;
    file.transact = (work) => {
      if (++writes > 1) throw localError('state-unwritable', 'the disk is full');
      transact(work);
    };
    expect(fixture.authority.revoke(({ serial }) => serial === leaf.serial)).toHaveLength(1);
    expect(heard).toEqual(['revocation']);
    expect(fixture.authority.verify(chain)).toMatchObject({ code: 'revoked' });
    file.transact = transact;
    fixture.passMs(2000);
    const { crlPem } = fixture.authority;
    fixture.restart();
    expect(fixture.authority.crlPem).toBe(crlPem);
    expect(heard).toEqual(['revocation']);
  });

  test('of what is revoked already is nothing', () => {
    const fixture = open();
    fixture.issue();
    expect(fixture.authority.revoke(() => true)).toHaveLength(1);
    expect(fixture.authority.revoke(() => true)).toHaveLength(0);
  });
});

test('a state whose authority cannot be read is refused, with what to do', () => {
  const fixture = open();
  fixture.file.database.run("UPDATE authority SET certificate = 'x' WHERE role = 'root'");
  expect(() => fixture.restart()).toThrow(
    /the root [0-9a-f]{16} in the state cannot be read; restore a backup/,
  );
});
