/** HTTP/2 chosen by ALPN, on either side of the proxy, with curl, nghttpd and OpenSSL. */
import { afterAll, beforeAll, describe, expect, test } from 'bun:test';
import { existsSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { cleanUp, freePort, makeTempDir, spawnCommand, waitFor } from '@sluice/testkit';
import { isOpen, output } from './h2-fixture.ts';
import { findProgram } from './proxy-fixture.ts';
import {
  certificate,
  cluster,
  downstreamTls,
  httpChain,
  listener,
  Pki,
  startTlsProxy,
  upstreamTls,
  validation,
  type RunningProxy,
} from './tls-fixture.ts';

afterAll(cleanUp);

const curl = findProgram('curl');
const nghttpd = findProgram('nghttpd') ?? (existsSync('/usr/sbin/nghttpd') ? '/usr/sbin/nghttpd' : null);
const nginx = findProgram('nginx');
const isReady = curl !== null && nghttpd !== null;
const pki = new Pki();
const leaf = pki.authority.leaf({ account: 'a', dnsSans: ['a.test'] });
const files = pki.files('a', leaf);
const [front, plainOrigin, h1Origin, bothOrigin] = [freePort(), freePort(), freePort(), freePort()];
const origin = freePort();
let proxy: RunningProxy;

const options = (choice: object, names: object = {}): object => ({
  typed_extension_protocol_options: {
    'envoy.extensions.upstreams.http.v3.HttpProtocolOptions': {
      '@type': 'type.googleapis.com/envoy.extensions.upstreams.http.v3.HttpProtocolOptions',
      ...(Object.keys(names).length === 0 ? {} : { upstream_http_protocol_options: names }),
      ...choice,
    },
  },
});
const auto = { auto_config: { http_protocol_options: {}, http2_protocol_options: {} } };
const kept = { use_downstream_protocol_config: { http_protocol_options: {}, http2_protocol_options: {} } };
const h2 = { explicit_http_config: { http2_protocol_options: {} } };
const trusting = (more: object = {}): object => ({ transport_socket: upstreamTls(validation(pki), more) });

/** Prefix of the path → cluster. */
const clusters: Readonly<Record<string, object>> = {
  plain: cluster('plain', plainOrigin, options(h2)),
  fixed: cluster('fixed', origin, { ...options(h2), ...trusting({ sni: 'a.test' }) }),
  auto: cluster('auto', origin, { ...options(auto), ...trusting({ sni: 'a.test' }) }),
  old: cluster('old', h1Origin, { ...options(auto), ...trusting({ sni: 'a.test' }) }),
  kept: cluster('kept', bothOrigin, { ...options(kept), ...trusting({ sni: 'a.test' }) }),
  'kept-named': cluster('kept-named', bothOrigin, {
    ...options(kept, { auto_sni: true, auto_san_validation: true }),
    ...trusting(),
  }),
  named: cluster('named', origin, {
    ...options(auto, { auto_sni: true, auto_san_validation: true }),
    ...trusting(),
  }),
};

/** A server that speaks what ALPN agrees on, and says what that was. */
const bothConfig = (folder: string): string => `
daemon off; master_process off; pid ${folder}/nginx.pid; error_log ${folder}/error.log;
events {}
http {
  access_log off;
  ${['client_body', 'proxy', 'fastcgi', 'uwsgi', 'scgi'].map((name) => `${name}_temp_path ${folder}/${name};`).join(' ')}
  server {
    listen 127.0.0.1:${bothOrigin} ssl http2;
    ssl_certificate ${files.chain}; ssl_certificate_key ${files.key};
    location / { return 200 "$server_protocol $ssl_server_name"; }
  }
}
`;

beforeAll(async () => {
  if (!isReady) return;
  const folder = makeTempDir();
  writeFileSync(join(folder, 'small'), 'small');
  spawnCommand([nghttpd, '-d', folder, String(origin), files.key, files.chain]);
  spawnCommand([nghttpd, '--no-tls', '-d', folder, String(plainOrigin)]);
  const chain = ['-cert', files.chain, '-cert_chain', files.chain, '-key', files.key];
  const server = ['openssl', 's_server', '-accept', String(h1Origin), ...chain];
  spawnCommand([...server, '-alpn', 'http/1.1', '-WWW', '-quiet'], { cwd: folder });
  if (nginx !== null) {
    const config = join(folder, 'nginx.conf');
    writeFileSync(config, bothConfig(folder));
    spawnCommand([nginx, '-c', config, '-p', folder]);
  }
  for (const port of [origin, plainOrigin, h1Origin, ...(nginx === null ? [] : [bothOrigin])])
    await waitFor(() => isOpen(port), { what: `port ${port}` });
  const routes = Object.keys(clusters).map((name) => ({
    match: { prefix: `/${name}/` },
    route: { cluster: name, prefix_rewrite: '/' },
  }));
  const manager = {
    route_config: { virtual_hosts: [{ name: 'all', domains: ['*'], routes }] },
  };
  const common = { tls_certificates: [certificate(leaf)], alpn_protocols: ['h2', 'http/1.1'] };
  proxy = await startTlsProxy({
    listeners: [listener(front, [httpChain('plain', { transport_socket: downstreamTls(common) }, manager)])],
    clusters: Object.values(clusters),
  });
}, 30_000);

const ask = (path: string, ...more: readonly string[]): Promise<string> =>
  output([
    'curl',
    '-sS',
    '--max-time',
    '10',
    '--cacert',
    pki.ca,
    '--resolve',
    `a.test:${front}:127.0.0.1`,
    '-w',
    ' %{http_version} %{http_code}',
    ...more,
    `https://a.test:${front}${path}`,
  ]);

describe.skipIf(!isReady)('by ALPN', () => {
  test('clients get HTTP/2 where they offer it, HTTP/1.1 where not', async () => {
    expect(await ask('/plain/small', '--http2')).toBe('small 2 200');
    expect(await ask('/plain/small', '--http1.1')).toBe('small 1.1 200');
    expect(await ask('/plain/small', '--http1.1', '--no-alpn')).toBe('small 1.1 200');
    expect(await proxy.stat('http.e2e.downstream_cx_http2_total')).toBe(1);
    expect(await proxy.stat('http.e2e.downstream_cx_http1_total')).toBe(2);
  });

  test('endpoints are offered what the cluster speaks', async () => {
    expect(await ask('/fixed/small')).toBe('small 2 200');
    expect(await proxy.stat('cluster.fixed.upstream_cx_http2_total')).toBe(1);
  });

  test('auto_config takes HTTP/2 where the endpoint has it, HTTP/1.1 where not', async () => {
    expect(await ask('/auto/small')).toBe('small 2 200');
    expect(await proxy.stat('cluster.auto.upstream_cx_http2_total')).toBe(1);
    expect(await ask('/old/small')).toStartWith('small');
    expect(await proxy.stat('cluster.old.upstream_cx_http1_total')).toBe(1);
  });

  test.skipIf(nginx === null)('the protocol of the client is kept where the cluster says so', async () => {
    for (let turn = 0; turn < 3; turn++) {
      expect(await ask('/kept/', '--http2')).toBe('HTTP/2.0 a.test 2 200');
      expect(await ask('/kept/', '--http1.1')).toBe('HTTP/1.1 a.test 1.1 200');
    }
    expect(await proxy.stat('cluster.kept.upstream_cx_http2_total')).toBe(1);
    expect(await proxy.stat('cluster.kept.upstream_cx_http1_total')).toBe(1);
    expect(await ask('/kept-named/', '--http2')).toBe('HTTP/2.0 a.test 2 200');
    expect(await ask('/kept-named/', '--http1.1')).toBe('HTTP/1.1 a.test 1.1 200');
  });

  test('auto_sni sends the host, and the certificate must be for it', async () => {
    expect(await ask('/named/small')).toBe('small 2 200');
    const refused = await ask('/named/small', '-H', 'Host: b.test', '-o', '/dev/null');
    expect(refused).toBe(' 2 503');
    expect(await proxy.stat('cluster.named.ssl.fail_verify_san')).toBe(1);
  });
});
