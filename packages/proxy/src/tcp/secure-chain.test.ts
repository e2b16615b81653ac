import { expect, test } from 'bun:test';
import { peerIdentityOf } from './secure-chain.ts';

const cart = 'spiffe://cluster.local/ns/shop/sa/cart';
const admin = 'spiffe://cluster.local/ns/shop/sa/admin';

test('a peer is who its verified certificate names, if that is one and a SPIFFE ID', () => {
  const identity = (isPeerVerified: boolean, ...uriSans: string[]): string | null =>
    peerIdentityOf({ isPeerVerified, peer: { uriSans } });
  expect(identity(true, cart)).toBe(cart);
  expect(identity(false, cart)).toBeNull();
  expect(identity(true, cart, admin)).toBeNull();
  expect(identity(true, 'https://example.com', cart)).toBeNull();
  expect(identity(true, 'https://example.com')).toBeNull();
  expect(peerIdentityOf({ isPeerVerified: true, peer: null })).toBeNull();
});
