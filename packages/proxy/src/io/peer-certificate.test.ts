import { describe, expect, test } from 'bun:test';
import { TestAuthority } from '@sluice/testkit';
import { KnownPeers, peersOf } from './peer-certificate.ts';
import type { TlsSettings } from './tls-context.ts';
import { outcomeOf } from './tls-engine.ts';

const authority = new TestAuthority();
const peers = new KnownPeers();
/** Of settings their identity alone matters here. */
const settings = (): TlsSettings => ({}) as TlsSettings;
const issuer = authority.signing.certificate.der;

describe('what is read of a peer', () => {
  test('is read once for a leaf: the chain is not asked for again', () => {
    const leaf = authority.leaf({ account: 'again' }).certificate.der;
    let asked = 0;
    const chain = (): Uint8Array[] => (asked++, [leaf, issuer]);
    const first = peers.take(leaf, chain);
    expect([peers.take(Uint8Array.from(leaf), chain) === first, asked]).toEqual([true, 1]);
    expect([first!.uriSans[0], first!.chain.length]).toEqual([
      'spiffe://cluster.local/ns/default/sa/again',
      2,
    ]);
  });

  test('is that of its own leaf, whatever else the chain holds', () => {
    const one = authority.leaf({ account: 'one' }).certificate.der;
    const two = authority.leaf({ account: 'two' }).certificate.der;
    const shown = [one, two].map((leaf) => peers.take(leaf, () => [leaf, issuer])!.uriSans[0]);
    expect(shown).toEqual(['one', 'two'].map((name) => `spiffe://cluster.local/ns/default/sa/${name}`));
  });

  test('is nothing where the leaf cannot be read, and that is not remembered', () => {
    const broken = Uint8Array.of(0x30, 0x00);
    let asked = 0;
    const chain = (): Uint8Array[] => (asked++, [broken]);
    expect([peers.take(broken, chain), peers.take(broken, chain), asked]).toEqual([null, null, 2]);
    expect(peers.take(broken, () => [])).toBeNull();
  });

  test('of a chain that leads nowhere is not what the peer is known by: an issuer left out could not be revoked', () => {
    const leaf = authority.leaf({ account: 'sly' }).certificate.der;
    const own = settings();
    const met = (shown: readonly Uint8Array[], error: { code: string } | null) =>
      outcomeOf(
        { protocol: 'TLSv1.3', cipher: '', alpn: '', isResumed: false, leaf, chain: () => shown },
        error,
        '',
        own,
      ).peer?.chain.length;
    const noIssuer = { code: 'UNABLE_TO_GET_ISSUER_CERT_LOCALLY' };
    expect([met([leaf], noIssuer), met([leaf, issuer], null), met([leaf], noIssuer)]).toEqual([1, 2, 1]);
  });

  test('is read anew after a refusal', () => {
    const leaf = authority.leaf({ account: 'mended' }).certificate.der;
    peers.forget(peers.take(leaf, () => [leaf, issuer, authority.root.certificate.der])!);
    expect(peers.take(leaf, () => [leaf, issuer])!.chain.length).toBe(2);
  });

  test('holds for the roots it was accepted by: others may have revoked what stands in another chain', () => {
    const leaf = authority.leaf({ account: 'crossed' }).certificate.der;
    const [one, other] = [settings(), settings()];
    const lengths = [
      peersOf(one).take(leaf, () => [leaf, issuer])!.chain.length,
      peersOf(other).take(leaf, () => [leaf, issuer, authority.root.certificate.der])!.chain.length,
      peersOf(one).take(leaf, () => [])!.chain.length,
    ];
    expect(lengths).toEqual([2, 3, 2]);
  });
});
