import { describe, expect, test } from 'bun:test';
import { TestAuthority } from '@sluice/testkit';
import { peerCertificate } from './peer-certificate.ts';

const authority = new TestAuthority();
const issuer = authority.signing.certificate.der;

describe('what is read of a peer', () => {
  test('is read once for a leaf: the chain is not asked for again', () => {
    const leaf = authority.leaf({ account: 'again' }).certificate.der;
    let asked = 0;
    const chain = (): Uint8Array[] => (asked++, [leaf, issuer]);
    const first = peerCertificate(leaf, chain);
    expect([peerCertificate(Uint8Array.from(leaf), chain) === first, asked]).toEqual([true, 1]);
    expect([first!.uriSans[0], first!.chain.length]).toEqual([
      'spiffe://cluster.local/ns/default/sa/again',
      2,
    ]);
  });

  test('is that of its own leaf, whatever else the chain holds', () => {
    const one = authority.leaf({ account: 'one' }).certificate.der;
    const two = authority.leaf({ account: 'two' }).certificate.der;
    const shown = [one, two].map((leaf) => peerCertificate(leaf, () => [leaf, issuer])!.uriSans[0]);
    expect(shown).toEqual(['one', 'two'].map((name) => `spiffe://cluster.local/ns/default/sa/${name}`));
  });

  test('is nothing where the leaf cannot be read, and that is not remembered', () => {
    const broken = Uint8Array.of(0x30, 0x00);
    let asked = 0;
    const chain = (): Uint8Array[] => (asked++, [broken]);
    expect([peerCertificate(broken, chain), peerCertificate(broken, chain), asked]).toEqual([null, null, 2]);
    expect(peerCertificate(broken, () => [])).toBeNull();
  });
});
