/** Sidecars that prove themselves as pods do, with a Kubernetes service-account token, to a control plane process. */
import { afterAll, beforeAll, describe, expect, test } from 'bun:test';
import { generateKeyPairSync, sign, type KeyObject } from 'node:crypto';
import { mkdirSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { cleanUp, makeTempDir, waitFor, type TestProcess } from '@sluice/testkit';
import { ControlMesh, waitForSync, type Instance } from './control-mesh.ts';
import { askForCertificate, identityOf, makeToken } from './identity-fixture.ts';

const timeoutMs = 60_000;
const issuer = 'https://kubernetes.default.svc';
const service = `apiVersion: v1
kind: Service
metadata: {name: api}
spec: {selector: {app: api}, ports: [{name: http, port: 80}]}
`;

afterAll(cleanUp, timeoutMs);

interface Claims {
  readonly account: string;
  readonly audience?: string;
}

/** A token as the API server makes it for a pod (RFC 7519, ES256). */
function serviceAccountToken(key: KeyObject, { account, audience = 'istio-ca' }: Claims): string {
  const claims = {
    iss: issuer,
    aud: [audience],
    sub: `system:serviceaccount:default:${account}`,
    exp: Math.floor(Date.now() / 1000) + 600,
    'kubernetes.io': { namespace: 'default', pod: { name: `${account}-0`, uid: `uid-${account}` } },
  };
  const encode = (value: object): string => Buffer.from(JSON.stringify(value)).toString('base64url');
  const body = `${encode({ alg: 'ES256', kid: 'k' })}.${encode(claims)}`;
  const signature = sign('sha256', Buffer.from(body), { key, dsaEncoding: 'ieee-p1363' });
  return `${body}.${signature.toString('base64url')}`;
}

describe('a service-account token', () => {
  const folder = makeTempDir();
  const { publicKey, privateKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' });
  const stranger = generateKeyPairSync('ec', { namedCurve: 'P-256' }).privateKey;
  const keys = join(folder, 'jwks.json');
  const rootFile = join(folder, 'root.pem');
  let mesh: ControlMesh;
  let cart: Instance;

  beforeAll(async () => {
    const jwk = { ...publicKey.export({ format: 'jwk' }), kid: 'k', alg: 'ES256', use: 'sig' };
    writeFileSync(keys, JSON.stringify({ keys: [jwk] }));
    mesh = new ControlMesh(['--jwt-issuer', issuer, '--jwt-keys', keys]);
    mesh.write('api.yaml', service);
    await mesh.start();
    const capabilities = ['sluice.dev/vhds', 'sluice.dev/tls'];
    cart = await mesh.register({ name: 'cart', serviceAccount: 'cart', capabilities });
    // The root comes to pods by other ways, such as a ConfigMap.
    const { token } = await makeToken(mesh, 'default', 'operator');
    const { chain } = await askForCertificate(`https://${mesh.secureAddress}`, { bearer: token });
    writeFileSync(rootFile, chain.at(-1) ?? '');
  }, timeoutMs);

  function start(name: string, token: string): { proxy: TestProcess; dir: string } {
    const dir = join(folder, name);
    mkdirSync(dir, { mode: 0o700 });
    writeFileSync(join(dir, 'token'), token, { mode: 0o600 });
    const flags = ['--ca-address', mesh.secureAddress, '--ca-root-file', rootFile];
    const identity = ['--identity-token-file', join(dir, 'token'), '--identity-dir', dir];
    return { proxy: mesh.startProxy(cart, 'delta', [...flags, ...identity]), dir };
  }

  test.each<[string, string, string]>([
    ['of another issuer’s key', serviceAccountToken(stranger, { account: 'cart' }), 'not signed by a key'],
    ['for another audience', serviceAccountToken(privateKey, { account: 'cart', audience: 'vault' }), 'aud'],
  ])(
    '%s is refused, with the reason on both sides',
    async (what, token, reason) => {
      const { proxy } = start(what, token);
      await waitFor(() => proxy.output.includes(reason), { what: 'the proxy to say why' });
      await waitFor(() => mesh.output.includes(reason), { what: 'the control plane to say why' });
      expect(proxy.output + mesh.output).not.toContain(token);
      await proxy.stop();
    },
    timeoutMs,
  );

  test(
    'is the sidecar’s way to its certificate and configuration',
    async () => {
      const token = serviceAccountToken(privateKey, { account: 'cart' });
      const { proxy, dir } = start('own', token);
      await waitForSync(mesh, cart);
      const { certificates } = await identityOf(mesh);
      expect(certificates.map(({ identity }) => identity)).toContain(
        'spiffe://cluster.local/ns/default/sa/cart',
      );
      expect(statSync(join(dir, 'credential.pem')).mode & 0o777).toBe(0o600);
      expect(proxy.output + mesh.output).not.toContain(token);
      await proxy.stop();
    },
    timeoutMs,
  );

  test(
    'of another account is not the instance’s',
    async () => {
      const { proxy } = start('other', serviceAccountToken(privateKey, { account: 'web' }));
      const reason = 'not that of the instance’s namespace and account';
      await waitFor(() => mesh.output.includes(reason), { what: 'the control plane to refuse it' });
      await proxy.stop();
    },
    timeoutMs,
  );
});
