/** Hot restart at both ends of a mutual-TLS hop whose certificates come from an authority: no request may be lost. */
import { afterEach, expect, test } from 'bun:test';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { formatJoinToken, newJoinToken } from '@sluice/identity';
import { cleanUp, makeTempDir, onCleanUp, waitFor } from '@sluice/testkit';
import { pinOf, SigningPeer } from '../identity/signing-peer.test-double.ts';
import { httpListener, httpManager, routeTo, staticCluster } from '../proxy-process.test-double.ts';
import { Generations } from './generations.test-double.ts';
import { startLoad } from './restart-load.test-double.ts';

afterEach(cleanUp);

const isLinux = process.platform === 'linux';
if (!isLinux) console.warn('skipped: sockets are handed over on Linux only');

const typed = 'type.googleapis.com/envoy.extensions';
const idOf = (account: string): string => `spiffe://cluster.local/ns/default/sa/${account}`;

function tlsSocket(kind: 'Downstream' | 'Upstream', peer: string, alpn: string, more: object = {}): object {
  const secret = (name: string): object => ({ name, sds_config: { ads: {} } });
  const names = { match_typed_subject_alt_names: [{ san_type: 'URI', matcher: { exact: idOf(peer) } }] };
  return {
    name: 'envoy.transport_sockets.tls',
    typed_config: {
      '@type': `${typed}.transport_sockets.tls.v3.${kind}TlsContext`,
      common_tls_context: {
        alpn_protocols: [alpn],
        tls_certificate_sds_secret_configs: [secret('default')],
        combined_validation_context: {
          default_validation_context: names,
          validation_context_sds_secret_config: secret('ROOTCA'),
        },
      },
      ...more,
    },
  };
}

/** A token that is good once, and a folder in which the next process finds the certificate of the one before. */
function agentArgs(peer: SigningPeer, account: string): string[] {
  const folder = makeTempDir();
  const token = formatJoinToken(newJoinToken([pinOf(peer.authority)]));
  peer.tokens.set(token, idOf(account));
  const file = join(folder, 'token');
  writeFileSync(file, token, { mode: 0o600 });
  const dir = join(folder, 'identity');
  return ['--ca-address', peer.target, '--identity-token-file', file, '--identity-dir', dir];
}

const inbound = (alpn: string): object => ({
  name: 'inbound',
  address: { socket_address: { address: '127.0.0.1', port_value: 0 } },
  filter_chains: [
    {
      transport_socket: tlsSocket('Downstream', 'client', alpn, { require_client_certificate: true }),
      filters: [{ name: 'http', typed_config: httpManager({ route_config: routeTo('origin') }) }],
    },
  ],
});

const versions = { 'HTTP/1.1': ['http/1.1', {}], 'HTTP/2': ['h2', { http2_protocol_options: {} }] } as const;

for (const [version, [alpn, explicit]] of Object.entries(versions)) {
  test.skipIf(!isLinux)(
    `both ends of a hop in mutual TLS restart under load, ${version} between them`,
    async () => {
      const origin = Bun.serve({ port: 0, hostname: '127.0.0.1', fetch: () => new Response('hello') });
      onCleanUp(() => origin.stop(true));
      const peer = new SigningPeer();
      await peer.listen();
      onCleanUp(() => peer.close());
      const far = new Generations(
        {
          static_resources: {
            listeners: [inbound(alpn)],
            clusters: [staticCluster('origin', origin.port ?? 0)],
          },
        },
        agentArgs(peer, 'server'),
      );
      let server = await far.first();
      const upstream = {
        ...staticCluster('server', Number((await server.address('inbound')).split(':').at(-1))),
        transport_socket: tlsSocket('Upstream', 'server', alpn),
        typed_extension_protocol_options: {
          'envoy.extensions.upstreams.http.v3.HttpProtocolOptions': {
            '@type': `${typed}.upstreams.http.v3.HttpProtocolOptions`,
            explicit_http_config: alpn === 'h2' ? explicit : { http_protocol_options: {} },
          },
        },
      };
      const near = new Generations(
        {
          static_resources: {
            listeners: [httpListener('main', { route_config: routeTo('server') })],
            clusters: [upstream],
          },
        },
        agentArgs(peer, 'client'),
      );
      let client = await near.first();
      const load = startLoad(Number((await client.address('main')).split(':').at(-1)), 4, 2);
      const some = async (): Promise<void> => {
        const before = load.answered;
        await waitFor(() => load.answered > before + 100);
      };
      for (let round = 0; round < 2; round++) {
        await some();
        const nextServer = far.next();
        await nextServer.ready();
        expect(await server.process.exited).toBe(0);
        server = nextServer;
        await some();
        const nextClient = near.next();
        await nextClient.ready();
        expect(await client.process.exited).toBe(0);
        client = nextClient;
      }
      await some();
      await load.stop();
      expect(load.failures).toEqual([]);
      // Each went on with the stored certificate: the token was good once.
      expect(peer.asked).toHaveLength(2);
      expect(server.log()).toContain('going on with the stored certificate');
    },
    90_000,
  );
}
