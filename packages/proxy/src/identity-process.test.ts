/** Real proxy processes that get their certificates from a signing service of the test. */
import { afterEach, describe, expect, test } from 'bun:test';
import { existsSync, readdirSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { connect } from 'node:tls';
import { formatJoinToken, newJoinToken } from '@sluice/identity';
import {
  cleanUp,
  makeTempDir,
  onCleanUp,
  serveText,
  TestAuthority,
  waitFor,
  type TestLeaf,
} from '@sluice/testkit';
import { createMessage, encodeAny, SecretTable, xdsTypes } from '@sluice/xds';
import { adsBootstrap, startAdsPeer, xdsCluster } from './ads-bootstrap.test-double.ts';
import { pinOf, SigningPeer } from './identity/signing-peer.test-double.ts';
import { httpListener, routeTo, startProxy, staticCluster } from './proxy-process.test-double.ts';

afterEach(cleanUp);

/** Processes start and certificates live for seconds. */
const limitMs = 30_000;

async function signingPeer(authority = new TestAuthority()): Promise<SigningPeer> {
  const peer = new SigningPeer(authority);
  await peer.listen();
  onCleanUp(() => peer.close());
  return peer;
}

/** A proxy with a plain listener, and an agent that asks `peer`. */
function startWith(peer: SigningPeer, pin: string, dir = join(makeTempDir(), 'identity')) {
  const tokenFile = join(makeTempDir(), 'token');
  peer.token = formatJoinToken(newJoinToken([pin]));
  writeFileSync(tokenFile, peer.token, { mode: 0o600 });
  const proxy = startProxy(
    {
      static_resources: {
        listeners: [httpListener('main', { route_config: routeTo('origin') })],
        clusters: [staticCluster('origin', serveText('origin'))],
      },
    },
    ['--ca-address', peer.target, '--identity-token-file', tokenFile, '--identity-dir', dir],
  );
  return { proxy, dir, tokenFile };
}

const certificates = (log: string): string[] =>
  [...log.matchAll(/certificate received.*?serial=(\w+)/g)].map(([, serial]) => serial ?? '');

describe('a proxy with an identity agent', () => {
  test(
    'is ready with its certificate, which its files keep to themselves',
    async () => {
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
    },
    limitMs,
  );

  test(
    'refuses an authority that is not the one its token pins, and is not ready',
    async () => {
      const peer = await signingPeer();
      const { proxy } = startWith(peer, 'ab'.repeat(32));
      await waitFor(() => proxy.log().includes('does not lead to the root that the token pins'));
      expect(peer.asked).toHaveLength(0);
      await waitFor(async () => (await (await proxy.admin('/ready')).text()).includes('no certificate yet'));
      expect((await proxy.admin('/ready')).status).toBe(503);
    },
    limitMs,
  );

  test(
    'renews while requests run, without one that fails',
    async () => {
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
    },
    limitMs,
  );

  test(
    'goes on with what is stored after a restart, with the authority down',
    async () => {
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
    },
    limitMs,
  );

  test(
    'tells that its certificate has expired, and goes on when the authority is back',
    async () => {
      const peer = await signingPeer();
      peer.lifetimeMs = 2_000;
      const { proxy } = startWith(peer, pinOf(peer.authority));
      await proxy.ready();
      peer.refusesAll = true;
      await waitFor(() => proxy.log().includes('the workload certificate has expired'));
      peer.refusesAll = false;
      const before = certificates(proxy.log()).length;
      await waitFor(() => certificates(proxy.log()).length > before);
    },
    limitMs,
  );
});

describe('other ways to prove who one is', () => {
  const bare = { static_resources: { listeners: [], clusters: [] } };

  test(
    'a Kubernetes token, with the roots of the authority in a file beside it; an RSA key where asked for',
    async () => {
      const peer = await signingPeer();
      const [tokenFile, rootFile] = [join(makeTempDir(), 'token'), join(makeTempDir(), 'root-cert.pem')];
      writeFileSync(tokenFile, 'a.service.account.token\n');
      writeFileSync(rootFile, peer.authority.rootPem);
      peer.token = 'a.service.account.token';
      const proxy = startProxy(bare, [
        '--ca-address',
        peer.target,
        '--identity-token-file',
        tokenFile,
        '--ca-root-file',
        rootFile,
        '--identity-key',
        'rsa-2048',
        '--spiffe-id',
        peer.identity,
      ]);
      await proxy.ready();
      expect(peer.asked).toEqual([{ token: peer.token, peerId: '', isPeerExpired: false }]);
    },
    limitMs,
  );

  test(
    'an expired certificate, where the operator allows it: a laptop that slept',
    async () => {
      const peer = await signingPeer();
      peer.lifetimeMs = 1_500;
      const first = startWith(peer, pinOf(peer.authority));
      await first.proxy.ready();
      first.proxy.process.kill('SIGKILL');
      await first.proxy.process.exited;
      const { mtimeMs } = statSync(join(first.dir, 'credential.pem'));
      await waitFor(() => Date.now() > mtimeMs + 1_600);
      peer.lifetimeMs = 3_600_000;
      const args = ['--ca-address', peer.target, '--identity-dir', first.dir];
      const refused = startProxy(bare, args);
      await waitFor(() => refused.log().includes('neither a token nor a certificate that may renew itself'));
      const proxy = startProxy(bare, [...args, '--allow-expired-renewal-s', '3600']);
      await proxy.ready();
      expect(peer.asked.at(-1)).toEqual({ token: '', peerId: peer.identity, isPeerExpired: true });
    },
    limitMs,
  );
});

describe('a proxy that reaches its control plane over mutual TLS', () => {
  const secret = (name: string): object => ({ name, sds_config: { ads: {} } });
  const typed = 'type.googleapis.com/envoy.extensions.transport_sockets.tls.v3';

  /** Answers those whose certificate the trust bundle takes. */
  function mutualListener(name: string): object {
    const typed_config = {
      '@type': `${typed}.DownstreamTlsContext`,
      require_client_certificate: true,
      common_tls_context: {
        tls_certificate_sds_secret_configs: [secret('default')],
        validation_context_sds_secret_config: secret('ROOTCA'),
      },
    };
    const plain = httpListener(name, { route_config: routeTo('nowhere') }) as { filter_chains: object[] };
    const transport_socket = { name: 'envoy.transport_sockets.tls', typed_config };
    return { ...plain, filter_chains: plain.filter_chains.map((chain) => ({ ...chain, transport_socket })) };
  }

  /** With TLS 1.3 a client hears of its certificate with the first octets that are not for it. */
  function isLetIn(address: string, { chainPem, keyPem }: TestLeaf): Promise<boolean> {
    const { promise, resolve } = Promise.withResolvers<boolean>();
    const port = Number(address.split(':').pop());
    const socket = connect({
      host: '127.0.0.1',
      port,
      cert: chainPem,
      key: keyPem,
      rejectUnauthorized: false,
    });
    onCleanUp(() => void socket.destroy());
    socket.on('secureConnect', () => socket.write('GET / HTTP/1.1\r\nhost: x\r\n\r\n'));
    socket.on('data', () => resolve(true));
    socket.on('error', () => resolve(false));
    socket.on('close', () => resolve(false));
    return promise;
  }

  function bootstrap(port: number, controlId: string, apiType: string, listeners: readonly object[]): object {
    const common_tls_context = {
      tls_certificate_sds_secret_configs: [secret('default')],
      combined_validation_context: {
        default_validation_context: {
          match_typed_subject_alt_names: [{ san_type: 'URI', matcher: { exact: controlId } }],
        },
        validation_context_sds_secret_config: secret('ROOTCA'),
      },
    };
    const typed_config = { '@type': `${typed}.UpstreamTlsContext`, common_tls_context };
    const transport_socket = { name: 'envoy.transport_sockets.tls', typed_config };
    const node = { id: 'sidecar~127.0.0.1~a.default~default.svc.cluster.local', cluster: 'a.default' };
    return adsBootstrap(xdsCluster(port, { transport_socket }), { apiType, node, listeners });
  }

  async function mesh(controlId: string, apiType = 'DELTA_GRPC') {
    const peer = await signingPeer();
    const { authority } = peer;
    const server = authority.leaf({ account: 'control' });
    const ads = await startAdsPeer({ key: server.keyPem, cert: server.chainPem, ca: authority.rootPem });
    ads.put(xdsTypes.cluster, {});
    ads.put(xdsTypes.listener, {});
    const tokenFile = join(makeTempDir(), 'token');
    peer.token = formatJoinToken(newJoinToken([pinOf(authority)]));
    writeFileSync(tokenFile, peer.token, { mode: 0o600 });
    const args = ['--ca-address', peer.target, '--identity-token-file', tokenFile];
    const { port } = ads;
    const start = ({ dir = '', listeners = [] }: { dir?: string; listeners?: object[] } = {}) =>
      startProxy(bootstrap(port, controlId, apiType, listeners), [
        ...args,
        ...(dir === '' ? [] : ['--identity-dir', dir]),
      ]);
    return { peer, ads, authority, start };
  }

  test(
    'connects with its first certificate, and goes over to each new one',
    async () => {
      const { peer, ads, start } = await mesh('spiffe://cluster.local/ns/default/sa/control');
      peer.lifetimeMs = 3_000;
      const proxy = start();
      await proxy.ready();
      expect(ads.clients[0]).toStartWith(`${peer.identity}#`);
      expect(ads.subscriptions.get(xdsTypes.secret)).toEqual(['ROOTCA']);
      await ads.until(() => new Set(ads.clients).size === 3);
      expect(proxy.log()).not.toContain('the stream to the control plane ended');
    },
    limitMs,
  );

  test(
    'refuses a revoked peer after a restart too, while the control plane is away',
    async () => {
      const { ads, authority, start } = await mesh('spiffe://cluster.local/ns/default/sa/control');
      const [good, bad] = [authority.leaf({ account: 'good' }), authority.leaf({ account: 'bad' })];
      const bundle = createMessage(SecretTable, {
        name: 'ROOTCA',
        validationContext: {
          trustedCa: { inlineString: authority.rootPem },
          crl: { inlineString: authority.crl([bad]) },
          onlyVerifyLeafCertCrl: true,
        },
      });
      ads.put(xdsTypes.secret, { ROOTCA: encodeAny(SecretTable, bundle) });
      const dir = join(makeTempDir(), 'identity');
      const more = { dir, listeners: [mutualListener('main')] };
      const first = start(more);
      const before = await first.address('main');
      await waitFor(() => existsSync(join(dir, 'revocations.pem')));
      expect(statSync(join(dir, 'revocations.pem')).mode & 0o777).toBe(0o600);
      expect([await isLetIn(before, good), await isLetIn(before, bad)]).toEqual([true, false]);
      first.process.kill('SIGKILL');
      await first.process.exited;
      ads.close();
      const after = await start(more).address('main');
      expect([await isLetIn(after, good), await isLetIn(after, bad)]).toEqual([true, false]);
    },
    limitMs,
  );

  test(
    'speaks to nobody of another name',
    async () => {
      const { ads, start } = await mesh('spiffe://cluster.local/ns/istio-system/sa/istiod');
      const proxy = start();
      await waitFor(() => proxy.log().includes('the stream to the control plane ended'));
      expect(ads.nodes).toHaveLength(0);
      expect((await proxy.admin('/ready')).status).toBe(503);
    },
    limitMs,
  );

  test.each(['DELTA_GRPC', 'GRPC'])(
    '%s: takes the trust bundle that the control plane sends in place of its own',
    async (apiType) => {
      const { ads, authority, start } = await mesh('spiffe://cluster.local/ns/default/sa/control', apiType);
      const next = new TestAuthority({ name: 'next' });
      const bundle = createMessage(SecretTable, {
        name: 'ROOTCA',
        validationContext: {
          trustedCa: { inlineString: authority.rootPem + next.rootPem },
          crl: { inlineString: authority.crl([]) },
        },
      });
      ads.put(xdsTypes.secret, { ROOTCA: encodeAny(SecretTable, bundle) });
      const proxy = start();
      await proxy.ready();
      const roots = async (): Promise<number> => {
        const page = (await (await proxy.admin('/certs')).json()) as {
          certificates: { ca_cert: object[] }[];
        };
        return page.certificates.reduce((sum, one) => sum + one.ca_cert.length, 0);
      };
      await waitFor(async () => (await roots()) === 2);
      ads.put(xdsTypes.secret, {
        ROOTCA: encodeAny(SecretTable, {
          ...bundle,
          validationContext: { ...bundle.validationContext, trustedCa: { inlineString: 'broken' } },
        }),
      });
      await ads.until(() => ads.nacks.length > 0);
      expect(ads.nacks.at(-1)?.message).toContain(
        'ROOTCA: validation_context.trusted_ca: holds no certificate',
      );
    },
    limitMs,
  );
});
