/** Configuration over mutual TLS goes to whom the certificate names, and secrets nowhere else. */
import { afterAll, beforeAll, describe, expect, test } from 'bun:test';
import { connect, type ClientHttp2Session } from 'node:http2';
import {
  chainPem,
  exportPrivateKey,
  generateKeySync,
  isProblem,
  parseChain,
  type KeyPair,
} from '@sluice/identity';
import { cleanUp, onCleanUp, waitFor } from '@sluice/testkit';
import { frameGrpcMessage, GrpcMessageDecoder } from '@sluice/wire';
import {
  decodeMessage,
  DeltaDiscoveryRequestTable,
  DeltaDiscoveryResponseTable,
  encodeMessage,
  xdsTypes,
  type DeltaDiscoveryRequest,
  type Init,
} from '@sluice/xds';
import { ControlMesh, type Instance } from './control-mesh.ts';
import { askForCertificate, makeToken } from './identity-fixture.ts';

const timeoutMs = 60_000;
const path = '/envoy.service.discovery.v3.AggregatedDiscoveryService/DeltaAggregatedResources';

afterAll(cleanUp, timeoutMs);

interface Shown {
  readonly key: KeyPair;
  readonly chain: string;
}

/** A delta stream: what came for each type, by name, and how it ended. */
class AdsPeer {
  readonly resources = new Map<string, readonly string[]>();
  readonly removed = new Set<string>();
  status: { readonly code: string; readonly message: string } | null = null;
  readonly #stream: ReturnType<ClientHttp2Session['request']>;

  constructor(url: string, nodeId: string, how: { readonly shown?: Shown; readonly token?: string }) {
    const { shown, token } = how;
    const session = connect(url, {
      rejectUnauthorized: false,
      ...(shown === undefined ? {} : { cert: shown.chain, key: exportPrivateKey(shown.key) }),
    });
    onCleanUp(() => session.destroy());
    this.#stream = session.request({
      ':method': 'POST',
      ':path': path,
      'content-type': 'application/grpc',
      ...(token === undefined ? {} : { authorization: `Bearer ${token}` }),
    });
    const decoder = new GrpcMessageDecoder(
      { onMessage: (bytes) => this.#received(bytes), onFramingError: () => this.#stream.close() },
      1 << 24,
    );
    const onHead = (headers: Record<string, unknown>): void => {
      if (headers['grpc-status'] === undefined) return;
      const message = decodeURIComponent(String(headers['grpc-message'] ?? ''));
      this.status = { code: String(headers['grpc-status']), message };
    };
    this.#stream.on('error', () => {});
    this.#stream.on('response', onHead);
    this.#stream.on('trailers', onHead);
    this.#stream.on('data', (chunk: Buffer) => decoder.execute(chunk, 0, chunk.length));
    this.#ask({ node: { id: nodeId }, typeUrl: xdsTypes.cluster });
  }

  subscribe(typeUrl: string, names: readonly string[]): void {
    this.#ask({ typeUrl, resourceNamesSubscribe: [...names] });
  }

  #received(bytes: Uint8Array): void {
    const { typeUrl, nonce, resources, removedResources } = decodeMessage(DeltaDiscoveryResponseTable, bytes);
    for (const name of removedResources) this.removed.add(name);
    this.resources.set(
      typeUrl,
      resources.map(({ name }) => name),
    );
    this.#ask({ typeUrl, responseNonce: nonce });
  }

  #ask(request: Init<DeltaDiscoveryRequest>): void {
    this.#stream.write(frameGrpcMessage(encodeMessage(DeltaDiscoveryRequestTable, request)));
  }
}

describe('ADS', () => {
  const mesh = new ControlMesh();
  let api: Instance;
  const secure = (): string => `https://${mesh.secureAddress}`;
  const nodeId = 'sidecar~127.0.0.1~api.default~default.svc.cluster.local';

  beforeAll(async () => {
    await mesh.start();
    api = await mesh.register({ name: 'api', serviceAccount: 'api' });
  }, timeoutMs);

  async function certificateOf(account: string, instance?: string): Promise<Shown> {
    const key = generateKeySync();
    const { token } = await makeToken(mesh, 'default', account, instance);
    const { chain } = await askForCertificate(secure(), { key, bearer: token });
    const parsed = parseChain(chain.join(''));
    if (isProblem(parsed)) throw new Error(parsed.message);
    return { key, chain: chainPem(parsed.slice(0, -1)) };
  }

  async function endOf(peer: AdsPeer): Promise<string> {
    const { code, message } = await waitFor(() => peer.status ?? undefined, { what: 'the stream to end' });
    return `${code}: ${message}`;
  }

  test(
    'serves the instance that the certificate is of, and its trust bundle with it',
    async () => {
      const peer = new AdsPeer(secure(), nodeId, { shown: await certificateOf('api') });
      peer.subscribe(xdsTypes.secret, ['ROOTCA', 'default', 'kubernetes://unnamed']);
      expect(await waitFor(() => peer.resources.get(xdsTypes.secret))).toEqual(['ROOTCA']);
      // At once, so that nobody waits for what there is not.
      expect([...peer.removed].sort()).toEqual(['default', 'kubernetes://unnamed']);
      expect(peer.status).toBeNull();
    },
    timeoutMs,
  );

  test(
    'refuses whoever is somebody else, or nobody, with the reason',
    async () => {
      const other = new AdsPeer(secure(), nodeId, { shown: await certificateOf('web') });
      expect(await endOf(other)).toBe(
        '7: the certificate is not that of the instance’s namespace and account',
      );
      const bound = new AdsPeer(secure(), nodeId, { shown: await certificateOf('api', 'api-2.default') });
      expect(await endOf(bound)).toBe('7: the certificate was given to another instance');
      const unknown = new AdsPeer(secure(), 'sidecar~1~nobody.default~d', {
        shown: await certificateOf('api'),
      });
      expect(await endOf(unknown)).toBe('7: the node is not a registered instance');
      const bare = new AdsPeer(secure(), nodeId, {});
      expect(await endOf(bare)).toBe('16: a certificate of the mesh is required for configuration');
      // An instance's token is for the port in the clear; here the certificate speaks.
      const token = new AdsPeer(secure(), nodeId, { token: api.token });
      expect(await endOf(token)).toBe('16: a certificate of the mesh is required for configuration');
    },
    timeoutMs,
  );

  test(
    'in the clear serves configuration by token, and no secrets',
    async () => {
      const peer = new AdsPeer(`http://${mesh.xdsAddress}`, nodeId, { token: api.token });
      peer.subscribe(xdsTypes.secret, ['ROOTCA']);
      peer.subscribe(xdsTypes.listener, []);
      await waitFor(() => peer.resources.get(xdsTypes.listener));
      expect(peer.resources.has(xdsTypes.secret)).toBe(false);
    },
    timeoutMs,
  );

  test(
    'ends the stream of a certificate that is revoked',
    async () => {
      const shown = await certificateOf('api');
      const peer = new AdsPeer(secure(), nodeId, { shown });
      await waitFor(() => peer.resources.get(xdsTypes.cluster));
      const chain = parseChain(shown.chain);
      const serial = isProblem(chain) ? '' : chain[0]?.serial;
      await mesh.api('/sluice/v1/identity/revoke', { method: 'POST', body: JSON.stringify({ serial }) });
      expect(await endOf(peer)).toBe(
        '16: the certificate is no longer accepted: the certificate has been revoked',
      );
    },
    timeoutMs,
  );
});
