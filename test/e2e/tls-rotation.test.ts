/** Certificates that change under traffic: renewed ones lose no request, revoked ones lose their connections at once. */
import { afterEach, expect, test } from 'bun:test';
import { readFileSync, renameSync } from 'node:fs';
import { cleanUp, freePort, onCleanUp, waitFor, type TestLeaf } from '@sluice/testkit';
import {
  certificate,
  cluster,
  downstreamTls,
  fileLog,
  httpChain,
  listener,
  Pki,
  startTlsProxy,
  upstreamTls,
  type RunningProxy,
} from './tls-fixture.ts';

const secretType = 'type.googleapis.com/envoy.extensions.transport_sockets.tls.v3.Secret';

afterEach(cleanUp);

/** A secret in a file, replaced as a whole: that is how the proxy sees every change at once. */
class SecretFile {
  readonly path: string;
  readonly reference: object;
  readonly #pki: Pki;
  readonly #file: string;
  readonly #name: string;

  constructor(pki: Pki, file: string, name: string, content: object) {
    this.#pki = pki;
    this.#file = file;
    this.#name = name;
    this.path = this.replace(content);
    this.reference = { name, sds_config: { path_config_source: { path: this.path } } };
  }

  replace(content: object): string {
    const resources = [{ '@type': secretType, name: this.#name, ...content }];
    const fresh = this.#pki.file(`${this.#file}.new`, JSON.stringify({ resources }));
    const path = fresh.slice(0, -'.new'.length);
    renameSync(fresh, path);
    return path;
  }
}

interface Hop {
  readonly url: string;
  readonly near: RunningProxy;
  readonly far: RunningProxy;
  readonly farPort: number;
  readonly files: Record<'client' | 'server' | 'clientRoots' | 'serverRoots', SecretFile>;
}

const leafSecret = (leaf: TestLeaf): object => ({ tls_certificate: certificate(leaf) });
const rootSecret = (pki: Pki, crl = ''): object => ({
  validation_context: {
    trusted_ca: { inline_string: pki.authority.rootPem },
    ...(crl === '' ? {} : { crl: { inline_string: crl } }),
  },
});

async function startHop(pki: Pki, client: TestLeaf, server: TestLeaf): Promise<Hop> {
  const origin = Bun.serve({ hostname: '127.0.0.1', port: 0, fetch: () => new Response('ok') });
  onCleanUp(() => origin.stop(true));
  const files = {
    client: new SecretFile(pki, 'client', 'default', leafSecret(client)),
    server: new SecretFile(pki, 'server', 'default', leafSecret(server)),
    clientRoots: new SecretFile(pki, 'client-roots', 'ROOTCA', rootSecret(pki)),
    serverRoots: new SecretFile(pki, 'server-roots', 'ROOTCA', rootSecret(pki)),
  };
  const common = (own: SecretFile, roots: SecretFile): object => ({
    tls_certificate_sds_secret_configs: [own.reference],
    combined_validation_context: {
      default_validation_context: { match_subject_alt_names: [{ prefix: 'spiffe://cluster.local/' }] },
      validation_context_sds_secret_config: roots.reference,
    },
  });
  const [nearPort, farPort] = [freePort(), freePort()];
  const log = fileLog(
    'ACCESS_LOG',
    '%RESPONSE_CODE% %DOWNSTREAM_PEER_SERIAL% %UPSTREAM_TRANSPORT_FAILURE_REASON%',
  );
  const transport = downstreamTls(common(files.server, files.serverRoots), {
    require_client_certificate: true,
  });
  const far = await startTlsProxy({
    listeners: [
      listener(farPort, [httpChain('origin', { transport_socket: transport }, { access_log: [log] })]),
    ],
    clusters: [cluster('origin', origin.port ?? 0)],
  });
  const near = await startTlsProxy({
    listeners: [listener(nearPort, [httpChain('far', {}, { access_log: [log] })])],
    clusters: [
      cluster('far', farPort, { transport_socket: upstreamTls(common(files.client, files.clientRoots)) }),
    ],
  });
  return { url: `http://127.0.0.1:${nearPort}/`, near, far, farPort, files };
}

test('renewal on both sides loses no request, and new handshakes show the new certificate', async () => {
  const pki = new Pki();
  const { authority } = pki;
  const hop = await startHop(pki, authority.leaf({ account: 'a' }), authority.leaf({ account: 'b' }));
  const statuses: number[] = [];
  let isOver = false;
  const worker = async (): Promise<void> => {
    while (!isOver) statuses.push((await fetch(hop.url)).status);
  };
  const workers = [worker(), worker(), worker()];
  for (let round = 0; round < 3; round++) {
    const renewed = authority.leaf({ account: 'a' });
    hop.files.server.replace(leafSecret(authority.leaf({ account: 'b' })));
    hop.files.client.replace(leafSecret(renewed));
    const line = `200 ${renewed.certificate.serial}`;
    await waitFor(() => readFileSync(hop.far.log, 'utf8').includes(line), { what: line });
  }
  isOver = true;
  await Promise.all(workers);
  expect(statuses.filter((status) => status !== 200)).toEqual([]);
  expect(statuses.length).toBeGreaterThan(50);
}, 30_000);

for (const side of ['client', 'server'] as const) {
  test(`a revoked ${side} loses its connections at once and gets no new ones`, async () => {
    const pki = new Pki();
    const { authority } = pki;
    const leaves = { client: authority.leaf({ account: 'a' }), server: authority.leaf({ account: 'b' }) };
    const hop = await startHop(pki, leaves.client, leaves.server);
    expect((await fetch(hop.url)).status).toBe(200);
    const revoked = rootSecret(pki, authority.crl([leaves[side]]));
    const [judge, scope] =
      side === 'client'
        ? ([hop.far, `listener.127.0.0.1_${hop.farPort}`] as const)
        : ([hop.near, 'cluster.far'] as const);
    hop.files[side === 'client' ? 'serverRoots' : 'clientRoots'].replace(revoked);
    // Idle, and closed all the same.
    await waitFor(async () => (await judge.stat(`${scope}.ssl.revoked`)) === 1);
    expect((await fetch(hop.url)).status).toBe(503);
    // Counters of a data loop reach admin a moment after the reply.
    await waitFor(async () => ((await judge.stat(`${scope}.ssl.fail_verify_error`)) ?? 0) > 0);
    // A new certificate of the same workload is welcome.
    const account = side === 'client' ? 'a' : 'b';
    hop.files[side].replace(leafSecret(authority.leaf({ account })));
    await waitFor(async () => (await fetch(hop.url)).status === 200);
  }, 20_000);
}
