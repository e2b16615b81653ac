/** Real proxies whose listeners and clusters have their certificates by SDS. */
import { afterEach, describe, expect, test } from 'bun:test';
import { connect } from 'node:tls';
import { cleanUp, onCleanUp, serveText, TestAuthority, waitFor, type TestLeaf } from '@sluice/testkit';
import { ClusterTable, createMessage, encodeAny, ListenerTable, SecretTable, xdsTypes } from '@sluice/xds';
import {
  adsBootstrap,
  encoded,
  encodedCluster,
  startAdsPeer,
  xdsCluster,
} from './ads-bootstrap.test-double.ts';
import {
  httpListener,
  httpManager,
  routeTo,
  startProxy,
  staticCluster,
} from './proxy-process.test-double.ts';

afterEach(cleanUp);

const limitMs = 30_000;
const typed = 'type.googleapis.com/envoy.extensions.transport_sockets.tls.v3';
const authority = new TestAuthority();
const names = { dnsSans: ['localhost'], ipSans: ['127.0.0.1'] };
const [first, second] = [authority.leaf(names), authority.leaf(names)];

function certificate(name: string, leaf: TestLeaf, keyPem = leaf.keyPem): Uint8Array {
  const source = (text: string) => ({ inlineBytes: new Uint8Array(Buffer.from(text)) });
  const tlsCertificate = { certificateChain: source(leaf.chainPem), privateKey: source(keyPem) };
  return encodeAny(SecretTable, createMessage(SecretTable, { name, tlsCertificate }));
}

function secureListener(name: string, sds: object): object {
  const typed_config = {
    '@type': `${typed}.DownstreamTlsContext`,
    common_tls_context: {
      tls_certificate_sds_secret_configs: [{ name: 'kubernetes://web', sds_config: sds }],
    },
  };
  return {
    name,
    address: { socket_address: { address: '127.0.0.1', port_value: 0 } },
    filter_chains: [
      {
        transport_socket: { name: 'envoy.transport_sockets.tls', typed_config },
        filters: [{ name: 'http', typed_config: httpManager({ route_config: routeTo('origin') }) }],
      },
    ],
  };
}

async function setUp(apiType: string, sds: object) {
  const ads = await startAdsPeer();
  ads.put(xdsTypes.cluster, { origin: encodedCluster('origin', serveText('origin')) });
  ads.put(xdsTypes.listener, { web: encoded(ListenerTable, secureListener('web', sds)) });
  return { ads, proxy: startProxy(adsBootstrap(xdsCluster(ads.port, {}), { apiType })) };
}

/** Serial of the certificate that is shown, or why none is. */
function shownSerial(address: string): Promise<string> {
  const { promise, resolve } = Promise.withResolvers<string>();
  const socket = connect({
    host: '127.0.0.1',
    port: Number(address.split(':').pop()),
    servername: 'localhost',
    ca: authority.rootPem,
  });
  socket.on('secureConnect', () => {
    resolve(socket.getPeerCertificate().serialNumber.toLowerCase());
    socket.destroy();
  });
  socket.on('error', () => resolve('refused'));
  socket.on('close', () => resolve('refused'));
  return promise;
}

describe('a listener with a certificate by SDS', () => {
  test.each(['GRPC', 'DELTA_GRPC'])(
    '%s: waits for it, refuses a wrong one with its path, serves, and shows each new one',
    async (apiType) => {
      const { ads, proxy } = await setUp(apiType, { ads: {} });
      await ads.until(() => ads.subscriptions.get(xdsTypes.secret)?.includes('kubernetes://web') === true);
      await waitFor(async () =>
        (await (await proxy.admin('/ready')).text()).includes('"web" waits for secret "kubernetes://web"'),
      );
      expect(proxy.log()).not.toContain('listening');
      ads.put(xdsTypes.secret, { 'kubernetes://web': certificate('kubernetes://web', first, second.keyPem) });
      await ads.until(() => ads.nacks.length === 1);
      expect(ads.nacks[0]?.message).toBe(
        'kubernetes://web: tls_certificate.private_key: does not belong to the certificate',
      );
      ads.put(xdsTypes.secret, { 'kubernetes://web': certificate('kubernetes://web', first) });
      await proxy.ready();
      const address = await proxy.address('web');
      expect(await shownSerial(address)).toBe(first.certificate.serial);
      const answer = await fetch(`https://${address}`, { tls: { ca: authority.rootPem } });
      expect(await answer.text()).toBe('origin');
      ads.put(xdsTypes.secret, { 'kubernetes://web': certificate('kubernetes://web', second) });
      await waitFor(async () => (await shownSerial(address)) === second.certificate.serial);
      ads.put(xdsTypes.secret, { 'kubernetes://web': certificate('kubernetes://web', first, 'broken') });
      await ads.until(() => ads.nacks.length === 2);
      expect(await shownSerial(address)).toBe(second.certificate.serial);
    },
    limitMs,
  );

  test(
    'goes live without it when the time to wait is over, and refuses until it comes',
    async () => {
      const { ads, proxy } = await setUp('DELTA_GRPC', { ads: {}, initial_fetch_timeout: '0.2s' });
      await proxy.ready();
      const address = await proxy.address('web');
      expect(proxy.log()).toContain(
        'goes live without what did not come in time\tkind=listener name=web missing="secret \\"kubernetes://web\\""',
      );
      expect(await shownSerial(address)).toBe('refused');
      ads.put(xdsTypes.secret, { 'kubernetes://web': certificate('kubernetes://web', first) });
      await waitFor(async () => (await shownSerial(address)) === first.certificate.serial);
    },
    limitMs,
  );
});

test(
  'a secret that does not exist holds nobody up: who needs it refuses, naming it, and serves once it is there',
  async () => {
    // Longer than this test may take: only the word of the control plane ends the wait.
    const { ads, proxy } = await setUp('DELTA_GRPC', { ads: {}, initial_fetch_timeout: '3600s' });
    ads.tellsAbsence = true;
    await proxy.ready();
    const address = await proxy.address('web');
    expect(proxy.log()).toContain(
      'the control plane has no such secret; what names it refuses connections until it has\tname=kubernetes://web',
    );
    expect(await shownSerial(address)).toBe('refused');
    const dump = await (await proxy.admin('/config_dump?resource=dynamic_warming_secrets')).json();
    expect(dump).toMatchObject({ configs: [{ name: 'kubernetes://web', client_status: 'DOES_NOT_EXIST' }] });
    ads.put(xdsTypes.secret, { 'kubernetes://web': certificate('kubernetes://web', first) });
    await waitFor(async () => (await shownSerial(address)) === first.certificate.serial);
    ads.put(xdsTypes.secret, {});
    await waitFor(async () => (await shownSerial(address)) === 'refused');
  },
  limitMs,
);

test(
  'a cluster without its certificate refuses by a reply that says so, and serves when it has come',
  async () => {
    let handshakes = 0;
    const tls = { cert: second.chainPem, key: second.keyPem };
    const server = Bun.serve({
      hostname: '127.0.0.1',
      port: 0,
      tls,
      fetch: () => new Response(`secured ${++handshakes}`),
    });
    onCleanUp(() => server.stop(true));
    const { ads, proxy } = await setUp('DELTA_GRPC', { ads: {} });
    const typed_config = {
      '@type': `${typed}.UpstreamTlsContext`,
      common_tls_context: {
        tls_certificate_sds_secret_configs: [
          { name: 'kubernetes://mine', sds_config: { ads: {}, initial_fetch_timeout: '0.2s' } },
        ],
        validation_context: { trusted_ca: { inline_string: authority.rootPem } },
      },
    };
    const secured = {
      ...staticCluster('origin', server.port ?? 0),
      transport_socket: { name: 'envoy.transport_sockets.tls', typed_config },
    };
    ads.put(xdsTypes.cluster, { origin: encoded(ClusterTable, secured) });
    ads.put(xdsTypes.listener, {
      web: encoded(ListenerTable, httpListener('web', { route_config: routeTo('origin') })),
    });
    await proxy.ready();
    await waitFor(() => proxy.log().includes('kind=cluster name=origin missing="secret'));
    const dump = await (await proxy.admin('/config_dump?resource=dynamic_warming_secrets')).json();
    expect(dump).toMatchObject({ configs: [{ name: 'kubernetes://mine', client_status: 'REQUESTED' }] });
    const url = `http://${await proxy.address('web')}`;
    const refused = await fetch(url, { method: 'POST', body: 'pay 5' });
    expect([refused.status, refused.headers.get('x-sluice-reason')]).toEqual([503, 'identity-missing']);
    expect(await refused.json()).toMatchObject({ cluster: 'origin', reason: 'identity-missing' });
    expect(handshakes).toBe(0);
    ads.put(xdsTypes.secret, { 'kubernetes://mine': certificate('kubernetes://mine', first) });
    await waitFor(async () => (await (await fetch(url)).text()).startsWith('secured'));
  },
  limitMs,
);

test(
  'keys show nowhere: not on a page, not in the log',
  async () => {
    const inline = {
      certificate_chain: { inline_string: first.chainPem },
      private_key: { inline_string: first.keyPem },
    };
    const socket = (kind: string): object => ({
      name: 'envoy.transport_sockets.tls',
      typed_config: {
        '@type': `${typed}.${kind}TlsContext`,
        common_tls_context: { tls_certificates: [inline] },
      },
    });
    const [chain] = (httpListener('main', { route_config: routeTo('up') }) as { filter_chains: object[] })
      .filter_chains;
    const proxy = startProxy(
      {
        static_resources: {
          secrets: [{ name: 'static', tls_certificate: inline }],
          listeners: [
            {
              name: 'main',
              address: { socket_address: { address: '127.0.0.1', port_value: 0 } },
              filter_chains: [{ ...chain, transport_socket: socket('Downstream') }],
            },
          ],
          clusters: [{ ...staticCluster('up', 1), transport_socket: socket('Upstream') }],
        },
      },
      ['--log-level', 'trace'],
    );
    await proxy.ready();
    await fetch(`https://${await proxy.address('main')}`, { tls: { ca: authority.rootPem } });
    const pages = ['/config_dump?include_eds', '/certs', '/server_info', '/listeners', '/clusters', '/stats'];
    const shown = await Promise.all(pages.map(async (page) => (await proxy.admin(page)).text()));
    const all = shown.join('\n') + proxy.log() + proxy.output();
    expect(all).toContain(first.certificate.serial);
    const body = first.keyPem.split('\n')[1] ?? '';
    for (const form of [body, Buffer.from(first.keyPem).toString('base64').slice(40, 120), 'PRIVATE KEY'])
      expect(all).not.toContain(form);
  },
  limitMs,
);
