/** Revoking one certificate means its workload: what follows from the same proof ends with it, and stays ended. */
import { Database } from 'bun:sqlite';
import { afterEach, describe, expect, test } from 'bun:test';
import { existsSync, mkdirSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { cleanUp, makeTempDir, onCleanUp } from '@sluice/testkit';
import { applicationId, migrations, openStateFile } from '../source/state-file.ts';
import { authoritySchema } from './authority-schema.ts';
import { sqliteAuthorityTable } from './authority-table.ts';
import { AuthorityFixture, type FixtureOptions } from './authority.fixture.ts';

afterEach(cleanUp);

const hourMs = 3_600_000;
const dayMs = 24 * hourMs;
const bound = { instance: 'cart-0.shop', labels: {}, ports: [] };

function open(options?: FixtureOptions): AuthorityFixture {
  const fixture = new AuthorityFixture(options);
  onCleanUp(() => fixture.close());
  return fixture;
}

/** A first certificate and two renewals of it, an hour apart. */
function renewedTwice(fixture: AuthorityFixture): readonly string[] {
  const first = fixture.issue({ binding: bound }).leaf.serial;
  return [
    first,
    ...[1, 2].map(() => {
      fixture.passMs(hourMs);
      const lineage = fixture.authority.lineageOf(first);
      return fixture.issue({ binding: bound, proof: 'certificate', lineage }).leaf.serial;
    }),
  ];
}

describe('a revocation by serial number', () => {
  test('reaches what came before and after it by renewal, and nobody else', () => {
    const fixture = open();
    const [first = '', second = '', third = ''] = renewedTwice(fixture);
    const other = fixture.issue().leaf.serial;
    const revoked = fixture.authority.revoke(({ serial }) => serial === second);
    expect(revoked.map(({ serial }) => serial).sort()).toEqual([first, second, third].sort());
    expect(fixture.authority.issuedRow(other)?.revokedMs).toBe(0);
    expect(fixture.authority.isLineageRevoked(fixture.authority.lineageOf(third))).toBe(true);
    expect(fixture.authority.isLineageRevoked(fixture.authority.lineageOf(other))).toBe(false);
  });

  test('is remembered over restarts, and beyond the end of every certificate that it reached', () => {
    const fixture = open();
    const [first = ''] = renewedTwice(fixture);
    const lineage = fixture.authority.lineageOf(first);
    fixture.authority.revoke(({ serial }) => serial === first);
    fixture.restart();
    fixture.passMs(3 * dayMs);
    fixture.passMs(hourMs);
    expect(fixture.authority.issuedRow(first)).toBeNull();
    expect(fixture.authority.isLineageRevoked(lineage)).toBe(true);
    expect([...fixture.authority.revokedInstances]).toEqual(['cart-0.shop']);
  });

  test('reaches what has expired and could still renew itself', () => {
    const fixture = open({ settings: { expiredRenewalMs: 2 * dayMs } });
    const { leaf } = fixture.issue();
    fixture.passMs(dayMs + hourMs);
    expect(fixture.authority.revoke(({ serial }) => serial === leaf.serial)).toHaveLength(1);
    expect(fixture.authority.isLineageRevoked(leaf.serial)).toBe(true);
  });

  test('of a certificate that is on no record ends the lineage that began with it', () => {
    const fixture = open();
    const unknown = 'abcdef';
    const renewed = fixture.issue({ proof: 'certificate', lineage: fixture.authority.lineageOf(unknown) });
    fixture.authority.revoke(({ serial }) => serial === renewed.leaf.serial);
    expect(fixture.authority.isLineageRevoked(fixture.authority.lineageOf(unknown))).toBe(true);
  });
});

describe('an instance', () => {
  test('is revoked with the lineage that it showed last, until it has another', () => {
    const fixture = open();
    const heard: string[] = [];
    fixture.authority.subscribe((change) => heard.push(change));
    const mine = fixture.issue().leaf.serial;
    fixture.authority.noteInstance('till-0.shop', mine);
    fixture.authority.revoke(({ serial }) => serial === mine);
    expect([...fixture.authority.revokedInstances]).toEqual(['till-0.shop']);
    fixture.restart();
    expect([...fixture.authority.revokedInstances]).toEqual(['till-0.shop']);
    fixture.authority.noteInstance('till-0.shop', fixture.issue().leaf.serial);
    expect([...fixture.authority.revokedInstances]).toEqual([]);
    expect(heard).toEqual(['revocation', 'instances']);
  });

  test('that a token is bound to is good again as soon as the new token was taken', () => {
    const fixture = open();
    const { leaf } = fixture.issue({ binding: bound });
    fixture.authority.revoke(({ serial }) => serial === leaf.serial);
    expect([...fixture.authority.revokedInstances]).toEqual(['cart-0.shop']);
    fixture.issue({ binding: bound });
    expect([...fixture.authority.revokedInstances]).toEqual([]);
  });
});

describe('a state of before lineages', () => {
  const issued = (serial: string, instance: string, issuedMs: number, revokedMs = 0): string =>
    `INSERT INTO issued VALUES ('${serial}', 'a', 'r', 'spiffe://x/ns/shop/sa/cart', 'shop', 'cart',
       '{"instance":"${instance}","labels":{},"ports":[]}', 'join-token', ${issuedMs}, ${10 * dayMs}, ${revokedMs})`;

  function oldState(rows: readonly string[]): string {
    const stateDir = join(makeTempDir(), 'state');
    mkdirSync(stateDir);
    const database = new Database(join(stateDir, 'state.db'));
    for (const step of migrations.slice(0, migrations.indexOf(authoritySchema) + 1)) database.exec(step);
    for (const row of rows) database.run(row);
    database.run(`PRAGMA application_id = ${applicationId}`);
    database.run(`PRAGMA user_version = ${migrations.indexOf(authoritySchema) + 1}`);
    database.close();
    return stateDir;
  }

  test('is copied first; what one instance holds counts as one lineage, the rest as their own', () => {
    const stateDir = oldState([
      issued('a1', 'cart-0.shop', 1),
      issued('a2', 'cart-0.shop', 2),
      issued('b1', '', 3),
      issued('b2', '', 4),
      issued('c1', 'till-0.shop', 5, 6),
    ]);
    const file = openStateFile(stateDir);
    onCleanUp(() => file.close());
    const table = sqliteAuthorityTable(file);
    const lineages = ['a1', 'a2', 'b1', 'b2', 'c1'].map((serial) => table.issued(serial)?.lineage);
    expect(lineages).toEqual(['a1', 'a1', 'b1', 'b2', 'c1']);
    expect(table.isLineageRevoked('c1')).toBe(true);
    expect(table.isLineageRevoked('a1')).toBe(false);
    expect(table.revokedInstances()).toEqual(['till-0.shop']);
    const copy = join(stateDir, 'state.db.v2.bak');
    expect(existsSync(copy) && statSync(copy).mode & 0o777).toBe(0o600);
  });
});
