/** Two real proxies with certificates of a signing service, mutual TLS between them. */
import { afterEach, describe, expect, test } from 'bun:test';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { formatJoinToken, newJoinToken } from '@sluice/identity';
import { cleanUp, makeTempDir, onCleanUp, waitFor } from '@sluice/testkit';
import { pinOf, SigningPeer } from './identity/signing-peer.test-double.ts';
import {
  assignment,
  httpListener,
  httpManager,
  routeTo,
  startProxy,
  staticCluster,
  type StartedProxy,
} from './proxy-process.test-double.ts';

afterEach(cleanUp);

/** Processes start and certificates live for seconds. */
const limitMs = 30_000;
const typed = 'type.googleapis.com/envoy.extensions.transport_sockets.tls.v3';
const secret = (name: string): object => ({ name, sds_config: { ads: {} } });

function tlsSocket(kind: 'Downstream' | 'Upstream', peerId: string, more: object = {}): object {
  return {
    name: 'envoy.transport_sockets.tls',
    typed_config: {
      '@type': `${typed}.${kind}TlsContext`,
      common_tls_context: {
        tls_certificate_sds_secret_configs: [secret('default')],
        combined_validation_context: {
          default_validation_context: {
            match_typed_subject_alt_names: [{ san_type: 'URI', matcher: { exact: peerId } }],
          },
          validation_context_sds_secret_config: secret('ROOTCA'),
        },
      },
      ...more,
    },
  };
}

async function signer(): Promise<SigningPeer> {
  const peer = new SigningPeer();
  await peer.listen();
  onCleanUp(() => peer.close());
  return peer;
}

function agentArgs(peer: SigningPeer, id: string): string[] {
  const tokenFile = join(makeTempDir(), 'token');
  const token = formatJoinToken(newJoinToken([pinOf(peer.authority)]));
  peer.tokens.set(token, id);
  writeFileSync(tokenFile, token, { mode: 0o600 });
  return ['--ca-address', peer.target, '--identity-token-file', tokenFile];
}

const clientId = 'spiffe://cluster.local/ns/default/sa/client';
const serverId = 'spiffe://cluster.local/ns/default/sa/server';

interface Pair {
  readonly peer: SigningPeer;
  readonly client: StartedProxy;
  readonly server: StartedProxy;
  readonly base: string;
}

/** client proxy ─mTLS→ server proxy → an origin that answers with the header it was sent. */
async function pair(lifetimeMs: number, expected: { client?: string; server?: string } = {}): Promise<Pair> {
  const origin = Bun.serve({
    hostname: '127.0.0.1',
    port: 0,
    fetch: (request) => new Response(request.headers.get('x-forwarded-client-cert')),
  });
  onCleanUp(() => origin.stop(true));
  const peer = await signer();
  peer.lifetimeMs = lifetimeMs;
  const manager = httpManager({
    route_config: routeTo('origin'),
    forward_client_cert_details: 'APPEND_FORWARD',
    set_current_client_cert_details: { subject: true, dns: true, uri: true },
  });
  const inbound = {
    name: 'inbound',
    address: { socket_address: { address: '127.0.0.1', port_value: 0 } },
    filter_chains: [
      {
        transport_socket: tlsSocket('Downstream', expected.client ?? clientId, {
          require_client_certificate: true,
        }),
        filters: [{ name: 'http', typed_config: manager }],
      },
    ],
  };
  const server = startProxy(
    { static_resources: { listeners: [inbound], clusters: [staticCluster('origin', origin.port ?? 0)] } },
    agentArgs(peer, serverId),
  );
  await server.ready();
  const port = Number((await server.address('inbound')).split(':').pop());
  const outbound = {
    name: 'server',
    type: 'STATIC',
    connect_timeout: '1s',
    load_assignment: assignment('server', port),
    transport_socket: tlsSocket('Upstream', expected.server ?? serverId),
  };
  const client = startProxy(
    {
      static_resources: {
        listeners: [httpListener('main', { route_config: routeTo('server') })],
        clusters: [outbound],
      },
    },
    agentArgs(peer, clientId),
  );
  await client.ready();
  return { peer, client, server, base: `http://${await client.address('main')}` };
}

const renewals = (proxy: StartedProxy): number => proxy.log().split('certificate received').length - 1;

describe('mutual TLS between proxies', () => {
  test(
    'the origin is told who calls, and nothing else that the caller said',
    async () => {
      const { base } = await pair(3_600_000);
      const answer = await fetch(base, { headers: { 'x-forwarded-client-cert': 'URI=spiffe://evil' } });
      expect(await answer.text()).toMatch(
        new RegExp(`^By=${serverId};Hash=[0-9a-f]{64};Subject="";URI=${clientId}$`),
      );
    },
    limitMs,
  );

  test(
    'both sides renew while requests run, and none fails',
    async () => {
      const { client, server, base } = await pair(4_000);
      let answered = 0;
      const hashes = new Set<string>();
      while (Math.min(renewals(client), renewals(server)) < 4) {
        const answer = await fetch(base);
        const text = await answer.text();
        expect([answer.status, text]).toEqual([200, expect.stringContaining(clientId)]);
        hashes.add(text);
        answered++;
      }
      expect(answered).toBeGreaterThan(10);
      expect(hashes.size).toBeGreaterThan(1);
    },
    limitMs,
  );

  test(
    'a server of another name gets no request, and the reply says that TLS failed',
    async () => {
      const { base, server } = await pair(3_600_000, {
        server: 'spiffe://cluster.local/ns/default/sa/other',
      });
      const answer = await fetch(base);
      expect([answer.status, answer.headers.get('x-sluice-reason')]).toEqual([503, 'upstream-tls-failed']);
      const stats = await (await server.admin('/stats?filter=downstream_rq_total')).text();
      expect(stats).not.toMatch(/downstream_rq_total: [1-9]/);
    },
    limitMs,
  );

  test(
    'an expired certificate closes the way, by a reply that says so, until there is a new one',
    async () => {
      const { peer, client, base } = await pair(3_000);
      expect((await fetch(base)).status).toBe(200);
      peer.refusesAll = true;
      await waitFor(async () => (await fetch(base)).headers.get('x-sluice-reason') === 'identity-expired');
      expect(client.log()).toContain('a certificate in use has expired');
      peer.lifetimeMs = 3_600_000;
      peer.refusesAll = false;
      await waitFor(async () => (await fetch(base)).status === 200);
    },
    limitMs,
  );
});
