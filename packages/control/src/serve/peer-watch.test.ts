import { afterEach, expect, test } from 'bun:test';
import { cleanUp, onCleanUp } from '@sluice/testkit';
import type { GrpcPeer } from '@sluice/wire';
import { AuthorityFixture } from '../authority/authority.fixture.ts';
import { PeerWatch } from './peer-watch.ts';

afterEach(cleanUp);

function open() {
  const fixture = new AuthorityFixture();
  onCleanUp(() => fixture.close());
  const connect = (ttlMs = 0): GrpcPeer => {
    const { chain } = fixture.issue({ ttlMs });
    return { address: 'x', certificateChain: chain.map(({ der }) => der) };
  };
  return { fixture, connect, watch: new PeerWatch(fixture, fixture.clock) };
}

test('a client stays until its certificate ends', () => {
  const { fixture, connect, watch } = open();
  const peer = connect(60_000);
  expect(watch.expiry(peer)).toBeNull();
  fixture.clock.advance(61_000);
  expect(watch.expiry(peer)).toBe('the certificate is no longer accepted: the certificate has expired');
});

test('a client goes when its certificate is revoked, and its neighbours stay', () => {
  const { fixture, connect, watch } = open();
  const [revoked, other] = [connect(), connect()];
  const serial = fixture.authority.unexpired().at(-1)?.serial;
  const row = fixture.authority.revoke((one) => one.serial === serial);
  expect(row).toHaveLength(1);
  const verdicts = [revoked, other].map((peer) => watch.revocation(peer));
  expect(verdicts.filter((one) => one === null)).toHaveLength(1);
  expect(verdicts.filter((one) => one?.includes('has been revoked'))).toHaveLength(1);
});

test('a client goes when its root is no longer trusted', () => {
  const { fixture, connect, watch } = open();
  const peer = connect();
  expect(watch.trust(peer)).toBeNull();
  const stranger = new AuthorityFixture();
  onCleanUp(() => stranger.close());
  expect(new PeerWatch(stranger, fixture.clock).trust(peer)).toContain('is no longer accepted');
});
