import { describe, expect, test } from 'bun:test';
import { TestAuthority } from '@sluice/testkit';
import { forgetPeer, peerCertificate } from './peer-certificate.ts';
import { outcomeOf } from './tls-engine.ts';

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

  test('of a chain that leads nowhere is not what the peer is known by: an issuer left out could not be revoked', () => {
    const leaf = authority.leaf({ account: 'sly' }).certificate.der;
    const met = (shown: readonly Uint8Array[], error: { code: string } | null) =>
      outcomeOf(
        { protocol: 'TLSv1.3', cipher: '', alpn: '', isResumed: false, leaf, chain: () => shown },
        error,
        '',
      ).peer?.chain.length;
    const noIssuer = { code: 'UNABLE_TO_GET_ISSUER_CERT_LOCALLY' };
    expect([met([leaf], noIssuer), met([leaf, issuer], null), met([leaf], noIssuer)]).toEqual([1, 2, 1]);
  });

  test('is read anew after a refusal', () => {
    const leaf = authority.leaf({ account: 'mended' }).certificate.der;
    forgetPeer(peerCertificate(leaf, () => [leaf, issuer, authority.root.certificate.der])!);
    expect(peerCertificate(leaf, () => [leaf, issuer])!.chain.length).toBe(2);
  });
});
