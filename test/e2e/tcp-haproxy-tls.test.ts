/** PROXY headers and TLS on one connection: the header first, in the clear, then the handshake; both ways. */
import { afterAll, beforeAll, expect, test } from 'bun:test';
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { cleanUp, freePort, makeTempDir, spawnCommand, waitFor } from '@sluice/testkit';
import { findProgram } from './proxy-fixture.ts';
import {
  cluster,
  httpFilter,
  listener,
  listenerFilter,
  proxyTransport,
  startTcpProxy,
} from './tcp-fixture.ts';

afterAll(cleanUp);

const haproxy = findProgram('haproxy', '/usr/sbin');
const curl = findProgram('curl');
const openssl = findProgram('openssl');
const isPossible = haproxy !== null && curl !== null && openssl !== null && process.platform === 'linux';
const client = '127.0.0.9';
const types = 'type.googleapis.com/envoy.extensions.transport_sockets.tls.v3';
const [front, ours, back] = [freePort(), freePort(), freePort()];

beforeAll(async () => {
  if (!isPossible) return;
  const folder = makeTempDir();
  const [key, cert, both] = ['key', 'crt', 'pem'].map((name) => join(folder, `server.${name}`)) as [
    string,
    string,
    string,
  ];
  const make = spawnCommand([
    openssl,
    ...'req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 1 -subj /CN=a.test'.split(
      ' ',
    ),
    '-addext',
    'subjectAltName=DNS:a.test',
    '-keyout',
    key,
    '-out',
    cert,
  ]);
  expect(await make.exited).toBe(0);
  writeFileSync(both, readFileSync(cert, 'utf8') + readFileSync(key, 'utf8'));
  const config = join(folder, 'haproxy.cfg');
  writeFileSync(
    config,
    `global
  nbthread 1
defaults
  timeout client 10s
  timeout server 10s
  timeout connect 2s
listen front
  mode tcp
  bind 127.0.0.1:${front}
  server ours 127.0.0.1:${ours} send-proxy-v2 ssl verify required ca-file ${cert} sni str(a.test) verifyhost a.test
frontend back
  mode http
  bind 127.0.0.1:${back} accept-proxy ssl crt ${both}
  http-request return status 200 content-type text/plain lf-string "%[src] %[ssl_fc_sni] %[req.hdr(x-forwarded-for)] %[req.hdr(x-forwarded-proto)]"
`,
  );
  spawnCommand([haproxy, '-db', '-f', config]);
  const server = {
    name: 'envoy.transport_sockets.tls',
    typed_config: {
      '@type': `${types}.DownstreamTlsContext`,
      common_tls_context: {
        tls_certificates: [{ certificate_chain: inline(cert), private_key: inline(key) }],
      },
    },
  };
  const upstream = {
    name: 'envoy.transport_sockets.tls',
    typed_config: {
      '@type': `${types}.UpstreamTlsContext`,
      sni: 'a.test',
      common_tls_context: {
        validation_context: {
          trusted_ca: inline(cert),
          match_typed_subject_alt_names: [{ san_type: 'DNS', matcher: { exact: 'a.test' } }],
        },
      },
    },
  };
  await startTcpProxy({
    listeners: [
      listener(
        'main',
        ours,
        [
          {
            filter_chain_match: { server_names: ['a.test'], transport_protocol: 'tls' },
            transport_socket: server,
            filters: [
              httpFilter([{ match: { prefix: '/' }, route: { cluster: 'back' } }], {
                use_remote_address: true,
              }),
            ],
          },
        ],
        { listener_filters: [listenerFilter('proxy_protocol'), listenerFilter('tls_inspector')] },
      ),
    ],
    clusters: [cluster('back', back, proxyTransport('V2', {}, upstream))],
  });
  await waitFor(async () => (await ask()) !== '', { what: 'HAProxy to listen' });
}, 30_000);

function inline(path: string): object {
  return { inline_string: readFileSync(path, 'utf8') };
}

async function ask(): Promise<string> {
  const call = spawnCommand([curl!, '-s', '--interface', client, `http://127.0.0.1:${front}/`]);
  await call.exited;
  return call.lines.join('\n').trim();
}

test.skipIf(!isPossible)('the client is known behind two handshakes', async () => {
  expect(await ask()).toBe(`${client} a.test ${client} https`);
});
