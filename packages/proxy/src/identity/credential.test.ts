import { describe, expect, test } from 'bun:test';
import { chainPem, isProblem } from '@sluice/identity';
import { TestAuthority } from '@sluice/testkit';
import fc from 'fast-check';
import { credentialOf, credentialText, readCredentialText, type Credential } from './credential.ts';

const authority = new TestAuthority();
const leaf = authority.leaf({ account: 'a' });
const other = authority.leaf({ account: 'a' });
const id = 'spiffe://cluster.local/ns/default/sa/a';

function taken(result: ReturnType<typeof credentialOf>): Credential {
  if (isProblem(result)) throw new Error(result.message);
  return result;
}
const problemOf = (result: ReturnType<typeof credentialOf>): string =>
  isProblem(result) ? result.message : 'taken';

describe('an authority’s answer', () => {
  test('is shown to peers without the root, which is kept apart', () => {
    const credential = taken(credentialOf(leaf.keyPem, leaf.chainPem + authority.rootPem, 5, id));
    expect(credential.shownPem).toBe(leaf.chainPem);
    expect(credential.root?.sha256).toBe(authority.root.certificate.sha256);
    expect(credential).toMatchObject({
      spiffeId: id,
      obtainedMs: 5,
      notAfterMs: leaf.certificate.notAfterMs,
    });
  });

  test('may come without a root, and from the root itself', () => {
    expect(taken(credentialOf(leaf.keyPem, leaf.chainPem, 0, '')).root).toBeNull();
    const flat = new TestAuthority({ isFlat: true });
    const direct = flat.leaf();
    const credential = taken(credentialOf(direct.keyPem, direct.chainPem + flat.rootPem, 0, ''));
    expect(credential.shownPem).toBe(direct.chainPem);
    expect(credential.root?.sha256).toBe(flat.root.certificate.sha256);
  });

  test.each([
    ['for another key', other.chainPem, '', 'the certificate is for another key'],
    ['with the root first', authority.rootPem + leaf.chainPem, '', 'the certificate is for another key'],
    ['for somebody else', leaf.chainPem, `${id}x`, `the certificate is for ${id}, not ${id}x`],
    [
      'whose root is not its own',
      leaf.chainPem + new TestAuthority({ name: 'foreign' }).rootPem,
      '',
      'the chain does not hold together: no path to a trusted root',
    ],
    ['that is none', 'hello', '', 'no PEM block CERTIFICATE'],
    ['that is endless', leaf.certificatePem.repeat(17), '', 'more than 16 certificates'],
  ])('%s is refused', (_, chain, expected, problem) => {
    expect(problemOf(credentialOf(leaf.keyPem, chain, 0, expected))).toBe(problem);
  });

  test('for nobody is refused where somebody is expected', () => {
    const nameless = authority.leaf({ uriSans: [], dnsSans: ['a'] });
    expect(problemOf(credentialOf(nameless.keyPem, nameless.chainPem, 0, id))).toBe(
      `the certificate is for no SPIFFE ID, not ${id}`,
    );
    expect(taken(credentialOf(nameless.keyPem, nameless.chainPem, 0, '')).spiffeId).toBe('');
  });
});

describe('the stored form', () => {
  const credential = taken(credentialOf(leaf.keyPem, leaf.chainPem + authority.rootPem, 5, ''));

  test('is read back as it was', () => {
    const again = taken(readCredentialText(credentialText(credential), 5, id));
    expect([again.keyPem, again.shownPem]).toEqual([credential.keyPem, credential.shownPem]);
    expect(again.root?.sha256).toBe(credential.root?.sha256 ?? '');
    expect(credentialText(credential)).toContain(chainPem([authority.root.certificate]));
  });

  test('cut anywhere or with any byte changed it is a problem or a whole credential, never an exception', () => {
    const text = credentialText(credential);
    fc.assert(
      fc.property(fc.nat(text.length - 1), fc.string({ minLength: 1, maxLength: 3 }), (at, noise) => {
        for (const broken of [text.slice(0, at), text.slice(0, at) + noise + text.slice(at + noise.length)]) {
          const read = readCredentialText(broken, 0, '');
          if (isProblem(read)) expect(read.message).not.toContain('PRIVATE');
          // A root that was cut off is none, and without one nothing says whether a leaf is whole.
          else if (read.root !== null) expect(read.leaf.sha256).toBe(credential.leaf.sha256);
        }
      }),
    );
  });
});
