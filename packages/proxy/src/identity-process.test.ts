/** Real proxy processes that get their certificates from a signing service of the test. */
import { afterEach, describe, expect, test } from 'bun:test';
import { readdirSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { formatJoinToken, newJoinToken } from '@sluice/identity';
import { cleanUp, makeTempDir, onCleanUp, TestAuthority, waitFor } from '@sluice/testkit';
import { pinOf, SigningPeer } from './identity/signing-peer.test-double.ts';
import { httpListener, routeTo, startProxy, staticCluster } from './proxy-process.test-double.ts';

afterEach(cleanUp);

async function signingPeer(authority = new TestAuthority()): Promise<SigningPeer> {
  const peer = new SigningPeer(authority);
  await peer.listen();
  onCleanUp(() => peer.close());
  return peer;
}

/** A proxy with a plain listener, and an agent that asks `peer`. */
function startWith(peer: SigningPeer, pin: string, dir = join(makeTempDir(), 'identity')) {
  const origin = Bun.serve({ hostname: '127.0.0.1', port: 0, fetch: () => new Response('origin') });
  onCleanUp(() => origin.stop(true));
  const tokenFile = join(makeTempDir(), 'token');
  peer.token = formatJoinToken(newJoinToken([pin]));
  writeFileSync(tokenFile, peer.token, { mode: 0o600 });
  const proxy = startProxy(
    {
      static_resources: {
        listeners: [httpListener('main', { route_config: routeTo('origin') })],
        clusters: [staticCluster('origin', origin.port ?? 0)],
      },
    },
    ['--ca-address', peer.target, '--identity-token-file', tokenFile, '--identity-dir', dir],
  );
  return { proxy, dir, tokenFile };
}

const certificates = (log: string): string[] =>
  [...log.matchAll(/certificate received.*?serial=(\w+)/g)].map(([, serial]) => serial ?? '');

describe('a proxy with an identity agent', () => {
  test('is ready with its certificate, which its files keep to themselves', async () => {
    const peer = await signingPeer();
    const { proxy, dir } = startWith(peer, pinOf(peer.authority));
    await proxy.ready();
    expect(peer.asked).toHaveLength(1);
    expect(proxy.log()).toContain('id=spiffe://cluster.local/ns/default/sa/a');
    expect(readdirSync(dir).sort()).toEqual(['credential.pem', 'roots.pem']);
    expect(readdirSync(dir).map((file) => statSync(join(dir, file)).mode & 0o777)).toEqual([0o600, 0o600]);
    const shown = await (await proxy.admin('/config_dump')).text();
    expect(shown + proxy.log()).not.toContain('PRIVATE KEY');
    const metrics = await (await proxy.admin('/stats/prometheus')).text();
    expect(metrics).toMatch(/sluice_identity_certificates_total 1\b/);
  });

  test('refuses an authority that is not the one its token pins, and is not ready', async () => {
    const peer = await signingPeer();
    const { proxy } = startWith(peer, 'ab'.repeat(32));
    await waitFor(() => proxy.log().includes('does not lead to the root that the token pins'));
    expect(peer.asked).toHaveLength(0);
    await waitFor(async () => (await (await proxy.admin('/ready')).text()).includes('no certificate yet'));
    expect((await proxy.admin('/ready')).status).toBe(503);
  });

  test('renews while requests run, without one that fails', async () => {
    const peer = await signingPeer();
    peer.lifetimeMs = 3_000;
    const { proxy } = startWith(peer, pinOf(peer.authority));
    await proxy.ready();
    const base = `http://${await proxy.address('main')}`;
    let answered = 0;
    while (new Set(certificates(proxy.log())).size < 3) {
      expect(await (await fetch(base)).text()).toBe('origin');
      answered++;
    }
    expect(answered).toBeGreaterThan(0);
    expect(peer.asked.slice(1).every(({ token, peerId }) => token === '' && peerId === peer.identity)).toBe(
      true,
    );
  });

  test('goes on with what is stored after a restart, with the authority down', async () => {
    const peer = await signingPeer();
    const first = startWith(peer, pinOf(peer.authority));
    await first.proxy.ready();
    first.proxy.process.kill('SIGTERM');
    await first.proxy.process.exited;
    peer.close();
    const { proxy } = startWith(peer, pinOf(peer.authority), first.dir);
    await proxy.ready();
    expect(proxy.log()).toContain('going on with the stored certificate');
    expect(peer.asked).toHaveLength(1);
  });

  test('tells that its certificate has expired, and goes on when the authority is back', async () => {
    const peer = await signingPeer();
    peer.lifetimeMs = 2_000;
    const { proxy } = startWith(peer, pinOf(peer.authority));
    await proxy.ready();
    peer.refusesAll = true;
    await waitFor(() => proxy.log().includes('the workload certificate has expired'));
    peer.refusesAll = false;
    const before = certificates(proxy.log()).length;
    await waitFor(() => certificates(proxy.log()).length > before);
  });
});
