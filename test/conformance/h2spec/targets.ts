/**
 * What h2spec is run against: the codec alone, and our proxy, answering by itself and from an upstream; each in
 * plaintext and behind TLS with ALPN h2.
 */
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { TestAuthority, freePort, makeTempDir, spawnBun, startStatusOrigin, waitFor } from '@sluice/testkit';
import { proxyBootstrap, proxyListeners } from './proxy-bootstrap.ts';
import { serveSessions } from './session-server.ts';

export interface Target {
  readonly name: string;
  readonly port: number;
  readonly isTls: boolean;
  close(): Promise<void>;
}

export async function openTargets(): Promise<Target[]> {
  const leaf = new TestAuthority().leaf({ dnsSans: ['localhost'] });
  const tls = { cert: leaf.certificatePem, key: leaf.keyPem };
  return [...sessionTargets(tls), ...(await proxyTargets(tls))];
}

function sessionTargets(tls: { cert: string; key: string }): Target[] {
  return [undefined, tls].map((material) => {
    const server = serveSessions(material);
    return {
      name: `the session alone, ${material === undefined ? 'plain' : 'TLS'}`,
      port: server.port,
      isTls: material !== undefined,
      close: async () => server.stop(),
    };
  });
}

async function proxyTargets(tls: { cert: string; key: string }): Promise<Target[]> {
  const origin = startStatusOrigin(200);
  const adminPort = freePort();
  const listeners = proxyListeners.map((listener) => Object.assign({ port: freePort() }, listener));
  const configPath = join(makeTempDir(), 'bootstrap.json');
  writeFileSync(configPath, JSON.stringify(proxyBootstrap(listeners, origin.port, adminPort, tls)));
  const main = join(import.meta.dir, '../../../packages/proxy/src/main.ts');
  const proxy = spawnBun(main, ['-c', configPath, '--concurrency', '1', '--log-level', 'warning']);
  const ended = proxy.exited.then((code) => {
    throw new Error(`the proxy ended with ${code}: ${proxy.output}`);
  });
  const isReady = async () => (await fetch(`http://127.0.0.1:${adminPort}/ready`)).status === 200;
  await Promise.race([waitFor(isReady, { what: 'the proxy to be ready' }), ended]);
  ended.catch(() => undefined);
  let open = listeners.length;
  return listeners.map((listener) => ({
    name: `the proxy, ${listener.name}`,
    port: listener.port,
    isTls: listener.isTls,
    close: async () => {
      if (--open > 0) return;
      await proxy.stop();
      await origin.stop();
    },
  }));
}
