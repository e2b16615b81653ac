/** The signing service on a secure port of its own, and a client of it: what its tests begin with. */
import { connect, type ClientHttp2Session } from 'node:http2';
import {
  chainPem,
  createCsr,
  csrPem,
  exportPrivateKey,
  generateKeySync,
  parseChain,
  isProblem,
  type Certificate,
  type KeyPair,
} from '@sluice/identity';
import { MetricsRegistry } from '@sluice/runtime';
import { askToSign, onCleanUp } from '@sluice/testkit';
import { GrpcServer } from '../serve/ads/grpc-server.ts';
import { secureServer } from '../serve/mesh-identity.ts';
import { AuthorityFixture, type FixtureOptions } from './authority.fixture.ts';
import { createAuthorityMetrics } from './authority-metrics.ts';
import type { Binding } from './authority-table.ts';
import type { CallerSources } from './caller.ts';
import { JoinTokens } from './join-tokens.ts';
import { ServerCredentialKeeper } from './server-credential.ts';
import { signingHandler } from './signing-service.ts';

export const anyInstance: Binding = { instance: '', labels: {}, ports: [] };
export const cart = 'spiffe://cluster.local/ns/shop/sa/cart';
const limits = { maxStreams: 16, maxStreamsInAll: 100, maxMessageBytes: 1 << 20, maxQueuedBytes: 1 << 20 };

export interface Answer {
  readonly code: number;
  readonly message: string;
  readonly chain: readonly Certificate[];
}

export class Served extends AuthorityFixture {
  readonly metrics = new MetricsRegistry();
  readonly tokens = new JoinTokens({
    file: this.file,
    wallMs: () => this.clock.wallMs(),
    pins: () => this.authority.pins,
    address: () => '127.0.0.1:15012',
  });
  readonly keeper: ServerCredentialKeeper;
  readonly server: GrpcServer;
  address = '';

  constructor(options: FixtureOptions = {}, serviceAccounts: CallerSources['serviceAccounts'] = null) {
    super({ ...options, wallStartMs: Date.now() });
    const { authority, log } = this;
    const expiredRenewalMs = options.settings?.expiredRenewalMs ?? 0;
    this.keeper = new ServerCredentialKeeper(authority, { dnsSans: [], ipSans: [] }, 'istio-system', () =>
      this.clock.wallMs(),
    );
    const metrics = createAuthorityMetrics(this.metrics);
    const signing = signingHandler({
      authority,
      joinTokens: this.tokens,
      serviceAccounts,
      expiredRenewalMs,
      metrics,
      controlId: 'spiffe://cluster.local/ns/istio-system/sa/sluice-control',
      requestTimeoutMs: 300,
      log,
    });
    const identity = { authority, keeper: this.keeper, signing, secureAddress: '' };
    this.server = secureServer(identity, new Map(), log, limits);
    onCleanUp(async () => {
      await this.server.close();
      this.close();
    });
  }

  async listen(): Promise<this> {
    this.address = await this.server.listen('127.0.0.1', 0);
    return this;
  }

  token(binding: Binding = anyInstance, ttlMs = 0): string {
    return this.tokens.create({ namespace: 'shop', account: 'cart', binding, ttlMs }).text;
  }

  /** One call on a connection of its own. */
  async ask(call: {
    readonly key?: KeyPair;
    readonly csr?: string;
    readonly bearer?: string;
    readonly shown?: { readonly chain: readonly Certificate[]; readonly key: KeyPair };
    readonly validitySeconds?: number;
  }): Promise<Answer> {
    const { key = generateKeySync(), bearer, shown } = call;
    const session = connect(`https://${this.address}`, {
      ca: this.authority.bundle.rootsPem,
      ...(shown === undefined ? {} : { cert: chainPem(shown.chain), key: exportPrivateKey(shown.key) }),
    });
    onCleanUp(() => session.destroy());
    return callOnce(session, bearer, {
      csr: call.csr ?? csrPem(createCsr(key, { uriSans: [cart] })),
      validityDuration: call.validitySeconds ?? 0,
    });
  }
}

export async function callOnce(
  session: ClientHttp2Session,
  bearer: string | undefined,
  request: { readonly csr: string; readonly validityDuration: number },
): Promise<Answer> {
  const { code, message, chain } = await askToSign(session, { ...request, bearer });
  const certificates = chain.length === 0 ? [] : parseChain(chain.join(''));
  if (isProblem(certificates)) throw new Error(certificates.message);
  return { code, message, chain: certificates };
}

export const refused = ({ code, message }: Answer): string => `${code}: ${message}`;
