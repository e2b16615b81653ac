/** A client of the signing service as anybody could write one, and a mesh of two sidecars with short-lived certificates. */
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { connect } from 'node:http2';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import {
  chainPem,
  createCsr,
  csrPem,
  exportPrivateKey,
  generateKeySync,
  type Certificate,
  type KeyPair,
} from '@sluice/identity';
import {
  askToSign,
  freePort,
  onCleanUp,
  startHttpOrigin,
  type SigningReply,
  type TestProcess,
} from '@sluice/testkit';
import { ControlMesh, waitForSync, type Instance } from './control-mesh.ts';

export interface SigningCall {
  readonly key?: KeyPair;
  readonly uri?: string;
  readonly bearer?: string;
  readonly shown?: { readonly chain: readonly Certificate[]; readonly key: KeyPair };
}

/** `url`: `https://…` of the secure port, or `http://…` of one that should not sign. */
export async function askForCertificate(url: string, call: SigningCall): Promise<SigningReply> {
  const { key = generateKeySync(), uri, bearer, shown } = call;
  const session = connect(url, {
    // What is tried here is the authority's judgement; that clients verify it first is the proxy's business.
    rejectUnauthorized: false,
    ...(shown === undefined ? {} : { cert: chainPem(shown.chain), key: exportPrivateKey(shown.key) }),
  });
  onCleanUp(() => session.destroy());
  const csr = csrPem(createCsr(key, uri === undefined ? {} : { uriSans: [uri] }));
  const answer = await askToSign(session, { csr, bearer });
  session.close();
  return answer;
}

export interface MadeToken {
  readonly id: string;
  readonly token: string;
}

export function makeToken(
  mesh: ControlMesh,
  namespace: string,
  serviceAccount: string,
  instance?: string,
): Promise<MadeToken> {
  const body = JSON.stringify({ namespace, serviceAccount, ...(instance === undefined ? {} : { instance }) });
  return mesh.api<MadeToken>('/sluice/v1/tokens', { method: 'POST', body });
}

export interface IssuedView {
  readonly serial: string;
  readonly identity: string;
  readonly instance: string;
  readonly notAfter: string;
  readonly revokedAt: string | null;
}

export interface IdentityReply {
  readonly certificates: readonly IssuedView[];
  readonly authorities: readonly { readonly id: string; readonly role: string; readonly phase: string }[];
  readonly signing: { readonly id: string; readonly rootId: string; readonly isOperators: boolean };
}

export function identityOf(mesh: ControlMesh): Promise<IdentityReply> {
  return mesh.api<IdentityReply>('/sluice/v1/identity');
}

/** Runs `openssl` beside the files. */
export function openssl(args: readonly string[], files: Readonly<Record<string, string>>): string {
  const folder = mkdtempSync(join(tmpdir(), 'sluice-openssl-'));
  try {
    for (const [name, text] of Object.entries(files)) writeFileSync(join(folder, name), text);
    const { stdout, stderr } = Bun.spawnSync(['openssl', ...args], { cwd: folder });
    return stdout.toString() + stderr.toString();
  } finally {
    rmSync(folder, { recursive: true });
  }
}

const capabilities = ['sluice.dev/method-aware-retry', 'sluice.dev/vhds', 'sluice.dev/tls'];
const serviceYaml = `
apiVersion: v1
kind: Service
metadata: {name: api}
spec: {selector: {app: api}, ports: [{name: http, port: 80}]}
---
apiVersion: security.istio.io/v1
kind: PeerAuthentication
metadata: {name: default, namespace: istio-system}
spec: {mtls: {mode: STRICT}}
`;

export interface Called {
  readonly status: number;
  readonly reason: string;
  readonly body: string;
}

/** `web` calls `api`, both behind sidecars that got their certificates by join token. */
export class PairOfSidecars {
  readonly control: ControlMesh;
  readonly #proxyFlags: readonly string[];
  readonly #ports = new Map<string, number>();
  readonly #proxies = new Map<string, TestProcess>();
  /** Where api's sidecar takes traffic of others. */
  inboundPort = 0;
  #web: Instance | null = null;

  /** `flags` of the control plane, `proxyFlags` of both sidecars. */
  constructor(flags: readonly string[], proxyFlags: readonly string[] = []) {
    this.#proxyFlags = proxyFlags;
    this.control = new ControlMesh(flags);
    this.control.write('api.yaml', serviceYaml);
  }

  async start(): Promise<void> {
    await this.control.start();
    const origin = await startHttpOrigin(() => ({ status: 200, body: 'from api' }));
    this.inboundPort = freePort();
    const ports = [{ name: 'http', appPort: origin.port, inboundPort: this.inboundPort }];
    const [api, web] = await Promise.all([
      this.control.register({ name: 'api', serviceAccount: 'api', ports, capabilities }),
      this.control.register({ name: 'web', serviceAccount: 'web', capabilities }),
    ]);
    await Promise.all([this.#startSidecar(api, 'api'), this.#startSidecar(web, 'web')]);
    this.#web = web;
    // Now: the control plane may be away when it is called.
    this.#ports.set('api', await web.localPort('api'));
  }

  /** From the application of `web` to that of `api`. */
  call(): Promise<Called> {
    return this.callService('api');
  }

  /** From the application of `web` to a service, by web's own listener for it. */
  async callService(name: string): Promise<Called> {
    const port = this.#ports.get(name) ?? (await this.#web?.localPort(name)) ?? 0;
    this.#ports.set(name, port);
    const reply = await fetch(`http://127.0.0.1:${port}/`, { headers: { host: name } });
    return {
      status: reply.status,
      reason: reply.headers.get('x-sluice-reason') ?? '',
      body: await reply.text(),
    };
  }

  proxy(name: 'api' | 'web'): TestProcess {
    const found = this.#proxies.get(name);
    if (found === undefined) throw new Error(`${name} has no sidecar yet`);
    return found;
  }

  /** A further token in the file of web's sidecar, which runs on. */
  async giveWebAToken(): Promise<void> {
    if (this.#web !== null) await this.#writeToken(this.#web, 'web');
  }

  #identityDir(account: string): string {
    return join(this.control.root, `identity-${account}`);
  }

  async #writeToken(instance: Instance, account: string): Promise<void> {
    const { token } = await makeToken(this.control, 'default', account, instance.id);
    writeFileSync(join(this.#identityDir(account), 'join-token'), token, { mode: 0o600 });
  }

  async #startSidecar(instance: Instance, account: string): Promise<void> {
    const folder = this.#identityDir(account);
    mkdirSync(folder, { mode: 0o700 });
    const tokenFile = join(folder, 'join-token');
    await this.#writeToken(instance, account);
    const flags = [
      '--ca-address',
      this.control.secureAddress,
      '--identity-token-file',
      tokenFile,
      '--identity-dir',
      folder,
      ...this.#proxyFlags,
    ];
    this.#proxies.set(account, this.control.startProxy(instance, 'delta', flags));
    await waitForSync(this.control, instance);
  }
}
