import { describe, expect, test } from 'bun:test';
import { generateKeySync } from '../keys.ts';
import { isProblem } from '../problem.ts';
import { good } from '../openssl.fixture.ts';
import { createIntermediate, createRoot } from './authority.ts';
import { parseCertificate, type Certificate } from './certificate.ts';
import { issueCrl, parseCrl, verifyCrl } from './crl.ts';
import { keyUsageBits } from './extensions.ts';
import { issueCertificate, type CertificateTemplate, type Issuer } from './issue-certificate.ts';
import { verifyChain, type VerifyOptions } from './verify-chain.ts';

const nowMs = Date.UTC(2026, 5, 1);
const dayMs = 86_400_000;
const spec = { organization: 'o', notBeforeMs: nowMs - dayMs, notAfterMs: nowMs + 100 * dayMs };
const root = createRoot(generateKeySync(), { ...spec, commonName: 'root' });
const intermediate = createIntermediate(root, generateKeySync(), { ...spec, commonName: 'between' });
const key = generateKeySync();

function leaf(issuer: Issuer = intermediate, template: Partial<CertificateTemplate> = {}): Certificate {
  return good(
    parseCertificate(
      issueCertificate(issuer, {
        spki: key.spki,
        notBeforeMs: nowMs - 1000,
        notAfterMs: nowMs + dayMs,
        uriSans: ['spiffe://a/ns/b/sa/c'],
        ...template,
      }),
    ),
  );
}

function verdict(chain: readonly Certificate[], options: Partial<VerifyOptions> = {}): string {
  const result = verifyChain(chain, [root.certificate], { nowMs, ...options });
  return isProblem(result)
    ? result.code
    : result.map(({ subjectCommonName }) => subjectCommonName || 'leaf').join('<');
}

describe('a chain', () => {
  test('is trusted through its intermediate, in whatever order it comes', () => {
    expect(verdict([leaf(), intermediate.certificate])).toBe('leaf<between<root');
    expect(verdict([leaf(), root.certificate, intermediate.certificate])).toBe('leaf<between<root');
  });

  test('whose authorities all issue each other is given up after a few signatures', () => {
    const key = generateKeySync();
    const mesh = Array.from({ length: 15 }, () => createRoot(key, { ...spec, commonName: 'anybody' }));
    const [first] = mesh;
    const presented = [leaf(first), ...mesh.map(({ certificate }) => certificate)];
    // Every order of them is a path: trying all would take longer than anybody waits.
    expect(verdict(presented)).toBe('untrusted');
  });

  test('is found among strangers of the same name', () => {
    const strangers = Array.from(
      { length: 12 },
      () => createRoot(generateKeySync(), { ...spec, commonName: 'between' }).certificate,
    );
    expect(verdict([leaf(), ...strangers, intermediate.certificate])).toBe('leaf<between<root');
  });

  test('without its intermediate is not trusted', () => {
    expect(verdict([leaf()])).toBe('untrusted');
    expect(verdict([])).toBe('malformed');
  });

  test('of another root with the same names is not trusted', () => {
    const other = createRoot(generateKeySync(), { ...spec, commonName: 'root' });
    const between = createIntermediate(other, generateKeySync(), { ...spec, commonName: 'between' });
    expect(verdict([leaf(between), between.certificate])).toBe('bad-signature');
    expect(verdict([leaf(between), between.certificate, other.certificate])).toBe('bad-signature');
  });

  test('counts to the millisecond of its times, and an expired leaf only within the window that was allowed', () => {
    const one = leaf();
    expect(verdict([one, intermediate.certificate], { nowMs: one.notBeforeMs - 1 })).toBe('not-yet-valid');
    expect(verdict([one, intermediate.certificate], { nowMs: one.notAfterMs + 1 })).toBe('expired');
    expect(verdict([one, intermediate.certificate], { nowMs: one.notAfterMs + 1, expiredLeafMs: 10 })).toBe(
      'leaf<between<root',
    );
    expect(verdict([one, intermediate.certificate], { nowMs: one.notAfterMs + 11, expiredLeafMs: 10 })).toBe(
      'expired',
    );
  });

  test('does not pass through a leaf, nor through more authorities than one allows', () => {
    const middle = leaf();
    expect(verdict([leaf({ certificate: middle, key }), middle, intermediate.certificate])).not.toContain(
      '<',
    );
    const deeper = createIntermediate(intermediate, generateKeySync(), { ...spec, commonName: 'deeper' });
    expect(verdict([leaf(deeper), deeper.certificate, intermediate.certificate])).toBe('wrong-usage');
  });

  test('is for what its usages say', () => {
    const server = leaf(intermediate, { usages: ['server'] });
    expect(verdict([server, intermediate.certificate], { usage: 'server' })).toBe('leaf<between<root');
    expect(verdict([server, intermediate.certificate], { usage: 'client' })).toBe('wrong-usage');
  });

  test('ends where its issuer’s list revokes it, and a list of somebody else changes nothing', () => {
    const one = leaf();
    const list = (issuer: typeof root) =>
      good(
        parseCrl(
          issueCrl(issuer, {
            number: 1,
            thisUpdateMs: nowMs,
            nextUpdateMs: nowMs + dayMs,
            revoked: [{ serial: one.serial, revokedMs: nowMs }],
          }),
        ),
      );
    const imposter = createIntermediate(
      createRoot(generateKeySync(), { ...spec, commonName: 'root' }),
      generateKeySync(),
      { ...spec, commonName: 'between' },
    );
    expect(verdict([one, intermediate.certificate], { crls: [list(intermediate)] })).toBe('revoked');
    expect(verdict([one, intermediate.certificate], { crls: [list(root), list(imposter)] })).toBe(
      'leaf<between<root',
    );
  });

  test('is not ended by a list of an issuer whose key may not sign lists', () => {
    const one = leaf();
    const revoked = [{ serial: one.serial, revokedMs: nowMs }];
    const list = good(
      parseCrl(
        issueCrl(intermediate, { number: 1, thisUpdateMs: nowMs, nextUpdateMs: nowMs + dayMs, revoked }),
      ),
    );
    const { certificate } = intermediate;
    const withUsages = (...bits: number[]): Certificate => ({ ...certificate, keyUsages: new Set(bits) });
    expect(verifyCrl(list, withUsages(keyUsageBits.keyCertSign))?.code).toBe('wrong-usage');
    expect(verifyCrl(list, withUsages(keyUsageBits.keyCertSign, keyUsageBits.crlSign))).toBeNull();
    expect(verifyCrl(list, { ...certificate, keyUsages: null })).toBeNull();
    expect(verdict([one, withUsages(keyUsageBits.keyCertSign)], { crls: [list] })).toBe('leaf<between<root');
  });

  test('lives no longer than its issuer where we make it', () => {
    const late = createIntermediate(root, generateKeySync(), {
      ...spec,
      notAfterMs: nowMs + 9999 * dayMs,
      commonName: 'late',
    });
    expect(late.certificate.notAfterMs).toBe(root.certificate.notAfterMs);
  });
});
