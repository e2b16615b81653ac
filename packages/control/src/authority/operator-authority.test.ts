import { afterEach, describe, expect, test } from 'bun:test';
import { copyFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import {
  certificatePem,
  exportPrivateKey,
  generateKeySync,
  isProblem,
  parseCrl,
  parsePem,
} from '@sluice/identity';
import { cleanUp, FakeClock, makeTempDir, onCleanUp, TestAuthority } from '@sluice/testkit';
import { localError } from '../errors.ts';
import { AuthorityFixture } from './authority.fixture.ts';
import {
  operatorFiles,
  readOperatorAuthority,
  readOperatorFolder,
  type OperatorAuthority,
} from './operator-authority.ts';

afterEach(cleanUp);

const nowMs = new FakeClock().wallMs();

function parts(ca: TestAuthority): Map<string, string> {
  return new Map([
    [operatorFiles.certificate, certificatePem(ca.signing.certificate)],
    [operatorFiles.key, exportPrivateKey(ca.signing.key)],
    [operatorFiles.root, ca.rootPem],
    [operatorFiles.chain, certificatePem(ca.signing.certificate) + ca.rootPem],
  ]);
}

const read = (from: Map<string, string>): OperatorAuthority =>
  readOperatorAuthority((name) => from.get(name) ?? null, 'Secret istio-system/cacerts', nowMs);

/** Issuer and serials of each list. */
function listsOf(pem: string): readonly (readonly [string, readonly string[]])[] {
  const blocks = parsePem(pem);
  if (isProblem(blocks)) throw new Error(blocks.message);
  return blocks.map(({ der }) => {
    const list = parseCrl(der);
    if (isProblem(list)) throw new Error(list.message);
    return [list.issuer, [...list.revokedSerials]] as const;
  });
}

/** A root with its key in a folder, as an operator makes one. */
function selfSigned(extension: string): string {
  const folder = makeTempDir();
  const words = 'req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -noenc -days 30 -subj /O=corp/CN=corp';
  const { certificate, key, root } = operatorFiles;
  const out = ['-keyout', key, '-out', certificate, '-addext', extension];
  const { exitCode, stderr } = Bun.spawnSync(['openssl', ...words.split(' '), ...out], { cwd: folder });
  if (exitCode !== 0) throw new Error(stderr.toString());
  copyFileSync(join(folder, certificate), join(folder, root));
  return folder;
}

function keysOf({ file }: AuthorityFixture): readonly unknown[] {
  return file.database.query<object, []>('SELECT key FROM authority WHERE key IS NOT NULL').all();
}

describe('an authority that the operator brings', () => {
  test('signs through its chain, and its root is the bundle', () => {
    const ca = new TestAuthority({ nowMs });
    const fixture = new AuthorityFixture({ operator: read(parts(ca)) });
    onCleanUp(() => fixture.close());
    const { chain } = fixture.issue();
    expect(chain.map(({ subjectCommonName }) => subjectCommonName)).toEqual([
      '',
      'test intermediate',
      'test root',
    ]);
    expect(fixture.verdict(chain, ca.rootPem)).toBe('good');
    expect(fixture.authority.pins).toEqual([ca.root.certificate.sha256]);
    expect(fixture.authority.rotate('root')).toBe(false);
  });

  test('takes over from the mesh’s own, which stays trusted until its last certificate has expired', () => {
    const fixture = new AuthorityFixture();
    onCleanUp(() => fixture.close());
    const old = fixture.issue();
    fixture.authority.replaceOperator(read(parts(new TestAuthority({ nowMs }))));
    const fresh = fixture.issue();
    expect(fixture.authority.pins).toHaveLength(2);
    expect([fixture.verdict(old.chain), fixture.verdict(fresh.chain)]).toEqual(['good', 'good']);
    fixture.passMs(25 * 3_600_000);
    expect(fixture.authority.pins).toHaveLength(1);
  });

  test('revokes what it signed', () => {
    const fixture = new AuthorityFixture({ operator: read(parts(new TestAuthority({ nowMs }))) });
    onCleanUp(() => fixture.close());
    const { chain } = fixture.issue();
    fixture.authority.revoke(() => true);
    expect(fixture.authority.verify(chain)).toMatchObject({ code: 'revoked' });
  });

  test('revokes for good: the next authority of the operator brings nothing back', () => {
    const [first, second] = [new TestAuthority({ nowMs }), new TestAuthority({ nowMs })];
    const both = first.rootPem + second.rootPem;
    const trustingBoth = (ca: TestAuthority): OperatorAuthority =>
      read(parts(ca).set(operatorFiles.root, both));
    const fixture = new AuthorityFixture({ operator: trustingBoth(first) });
    onCleanUp(() => fixture.close());
    const [bad, good] = [fixture.issue(), fixture.issue()];
    fixture.authority.revoke(({ serial }) => serial === bad.leaf.serial);
    fixture.authority.replaceOperator(trustingBoth(second));
    fixture.passMs(1000);
    expect(fixture.authority.verify(bad.chain)).toMatchObject({ code: 'revoked' });
    expect(fixture.authority.verify(good.chain)).toHaveLength(3);
    expect(fixture.authority.crlPem.match(/BEGIN X509 CRL/g)).toHaveLength(2);
  });

  for (const isRestarted of [false, true]) {
    const how = isRestarted ? 'while the control plane was stopped' : 'at run time';
    test(`is replaced ${how}: certificates of the one before can still be revoked`, () => {
      const [first, second] = [new TestAuthority({ nowMs }), new TestAuthority({ nowMs })];
      const fixture = new AuthorityFixture({ operator: read(parts(first)) });
      onCleanUp(() => fixture.close());
      const [bad, good] = [fixture.issue(), fixture.issue()];
      if (isRestarted) fixture.restart(read(parts(second)));
      else fixture.authority.replaceOperator(read(parts(second)));
      const fresh = fixture.issue();
      expect(fixture.authority.crlPem).toBe('');
      fixture.authority.revoke(({ serial }) => serial === bad.leaf.serial);
      const issuers = listsOf(fixture.authority.crlPem);
      expect(issuers).toEqual([
        [second.signing.certificate.subject, []],
        [first.signing.certificate.subject, [bad.leaf.serial]],
      ]);
      expect(fixture.authority.verify(bad.chain)).toMatchObject({ code: 'revoked' });
      expect(fixture.authority.verify(good.chain)).toHaveLength(3);
      expect(fixture.authority.verify(fresh.chain)).toHaveLength(3);
      fixture.passMs(25 * 3_600_000);
      expect(fixture.authority.pins).toEqual([second.root.certificate.sha256]);
      expect(keysOf(fixture)).toHaveLength(1);
    });
  }

  test('whose key may not sign lists revokes at the control plane alone, and says so', () => {
    // As Istio's own tools make them: keyCertSign without cRLSign.
    const folder = selfSigned('keyUsage=critical,digitalSignature,keyCertSign');
    // After it, whose first second may have been the next one.
    const startMs = Date.now();
    const operator = readOperatorFolder(folder, startMs);
    const fixture = new AuthorityFixture({ operator, wallStartMs: startMs });
    onCleanUp(() => fixture.close());
    expect(fixture.logged.join('\n')).toContain('may not sign revocation lists');
    const { leaf } = fixture.issue();
    const [revoked] = fixture.authority.revoke(() => true);
    expect(revoked === undefined || fixture.authority.isListable(revoked)).toBe(false);
    expect(listsOf(fixture.authority.crlPem)).toEqual([]);
    expect(fixture.logged.join('\n')).toContain('can be put on no list');
    expect(fixture.authority.isLineageRevoked(leaf.serial)).toBe(true);
  });

  test('takes over only when that could be recorded', () => {
    const [first, second] = [new TestAuthority({ nowMs }), new TestAuthority({ nowMs })];
    const fixture = new AuthorityFixture({ operator: read(parts(first)) });
    onCleanUp(() => fixture.close());
    const file = fixture.file as { transact: (work: () => void) => void };
    const { transact } = file;
    file.transact = () => {
      throw localError('state-unwritable', 'the disk is full');
    };
    expect(() => fixture.authority.replaceOperator(read(parts(second)))).toThrow('the disk is full');
    file.transact = transact;
    expect(fixture.verdict(fixture.issue().chain, first.rootPem)).toBe('good');
    fixture.authority.replaceOperator(read(parts(second)));
    expect(fixture.authority.signing.root.sha256).toBe(second.root.certificate.sha256);
    expect(fixture.verdict(fixture.issue().chain)).toBe('good');
  });

  test('that signs leaves by its root is revoked from in the same way after its end', () => {
    const [first, second] = [new TestAuthority({ nowMs, isFlat: true }), new TestAuthority({ nowMs })];
    const flat = parts(first);
    flat.delete(operatorFiles.chain);
    const fixture = new AuthorityFixture({ operator: read(flat) });
    onCleanUp(() => fixture.close());
    const { chain } = fixture.issue();
    fixture.authority.replaceOperator(read(parts(second)));
    fixture.authority.revoke(() => true);
    expect(fixture.authority.verify(chain)).toMatchObject({ code: 'revoked' });
  });

  test('is taken away again: the mesh goes on with one of its own', () => {
    const fixture = new AuthorityFixture({ operator: read(parts(new TestAuthority({ nowMs }))) });
    onCleanUp(() => fixture.close());
    const old = fixture.issue();
    fixture.restart(null);
    const fresh = fixture.issue();
    expect(fixture.authority.signing.isOperators).toBe(false);
    expect([fixture.verdict(old.chain), fixture.verdict(fresh.chain)]).toEqual(['good', 'good']);
  });

  test('may be a root that signs leaves itself, without a chain file', () => {
    const ca = new TestAuthority({ nowMs, isFlat: true });
    const flat = parts(ca);
    flat.delete(operatorFiles.chain);
    const fixture = new AuthorityFixture({ operator: read(flat) });
    onCleanUp(() => fixture.close());
    expect(fixture.verdict(fixture.issue().chain, ca.rootPem)).toBe('good');
  });

  test('is read from a folder', () => {
    const folder = makeTempDir();
    for (const [name, text] of parts(new TestAuthority({ nowMs }))) writeFileSync(join(folder, name), text);
    expect(readOperatorFolder(folder, nowMs).chain).toHaveLength(1);
    expect(() => readOperatorFolder(makeTempDir(), nowMs)).toThrow(/ca-cert\.pem of .*: it is missing/);
  });
});

describe('is refused, naming the part,', () => {
  const changed = (name: string, text: string): (() => OperatorAuthority) => {
    const from = parts(new TestAuthority({ nowMs }));
    from.set(name, text);
    return () => read(from);
  };

  test('when a part is missing or not what it should be', () => {
    expect(changed(operatorFiles.key, '')).toThrow(
      'ca-key.pem of Secret istio-system/cacerts: it is missing',
    );
    expect(changed(operatorFiles.certificate, 'x')).toThrow(
      'ca-cert.pem of Secret istio-system/cacerts: no PEM block',
    );
  });

  test('when the key is another one', () => {
    const other = exportPrivateKey(generateKeySync());
    expect(changed(operatorFiles.key, other)).toThrow('it is not the key of ca-cert.pem');
  });

  test('when the chain does not lead to the root', () => {
    const foreign = new TestAuthority({ nowMs, name: 'foreign' });
    expect(changed(operatorFiles.root, foreign.rootPem)).toThrow('no path to a trusted root');
  });

  test('when what should sign is no authority', () => {
    const ca = new TestAuthority({ nowMs });
    expect(changed(operatorFiles.certificate, ca.leaf().certificatePem)).toThrow(
      'not the certificate of an authority',
    );
  });

  test('and the error shows nothing of the key', () => {
    const broken = '-----BEGIN PRIVATE KEY-----\nc2VjcmV0\n-----END PRIVATE KEY-----\n';
    expect(changed(operatorFiles.key, broken)).toThrow(/^(?!.*c2VjcmV0).*not an unencrypted private key/);
  });
});
