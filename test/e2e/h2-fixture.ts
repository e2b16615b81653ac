/** A proxy process whose clients and endpoints may speak HTTP/2, with endpoints of others behind it. */
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { connect } from 'node:net';
import { freePort, makeTempDir, spawnBun, spawnCommand, waitFor } from '@sluice/testkit';
import { admin, bootstrapOf, proxyMain, type ProxyUnderTest } from './proxy-fixture.ts';

export interface H2Upstream {
  readonly port: number;
  readonly protocol: 'h1' | 'h2' | 'downstream';
}

interface ClusterJson {
  name: string;
  typed_extension_protocol_options?: object;
}

const http2 = { allow_connect: true };

/** One listener, one virtual host `NAME.test` per upstream; CONNECT and WebSockets are allowed. */
export async function startH2Proxy(
  upstreams: Readonly<Record<string, H2Upstream>>,
  manager: object = {},
  metadata: object = {},
): Promise<ProxyUnderTest> {
  const folder = makeTempDir();
  const [port, adminPort] = [freePort(), freePort()];
  const accessLog = join(folder, 'access.log');
  const ports = Object.fromEntries(Object.entries(upstreams).map(([name, { port: own }]) => [name, own]));
  const bootstrap = bootstrapOf({ port, adminPort, accessLog }, ports, {
    http2_protocol_options: http2,
    ...manager,
  }) as { static_resources: { clusters: ClusterJson[]; listeners: { metadata?: object }[] } };
  for (const cluster of bootstrap.static_resources.clusters)
    cluster.typed_extension_protocol_options = protocolOptions(upstreams[cluster.name]!.protocol);
  bootstrap.static_resources.listeners[0]!.metadata = { filter_metadata: { 'sluice.dev': metadata } };
  const config = join(folder, 'bootstrap.json');
  writeFileSync(config, JSON.stringify(bootstrap));
  const flags = ['--allow-access-log-path', accessLog];
  const process = spawnBun(proxyMain, ['-c', config, ...flags], { name: 'the proxy', graceMs: 15_000 });
  const proxy = { process, port, adminPort, accessLog, folder };
  await waitFor(async () => (await admin(proxy, '/ready')).status === 200, { what: 'the proxy to be ready' });
  return proxy;
}

function protocolOptions(protocol: H2Upstream['protocol']): object {
  const type = 'envoy.extensions.upstreams.http.v3.HttpProtocolOptions';
  const explicit = protocol === 'h2' ? { http2_protocol_options: http2 } : { http_protocol_options: {} };
  const choice =
    protocol === 'downstream'
      ? { use_downstream_protocol_config: { http_protocol_options: {}, http2_protocol_options: http2 } }
      : { explicit_http_config: explicit };
  return { [type]: { '@type': `type.googleapis.com/${type}`, ...choice } };
}

/** nghttpd in the clear, serving `files` and taking uploads. */
export async function startNghttpd(
  binary: string,
  files: Readonly<Record<string, Uint8Array>>,
): Promise<number> {
  const folder = join(makeTempDir(), 'served');
  mkdirSync(folder);
  for (const [name, content] of Object.entries(files)) writeFileSync(join(folder, name), content);
  const port = freePort();
  spawnCommand([binary, '--no-tls', '--echo-upload', '-d', folder, String(port)]);
  await waitFor(() => isOpen(port), { what: `nghttpd on port ${port}` });
  return port;
}

export function isOpen(port: number): Promise<boolean> {
  return new Promise((done) => {
    const socket = connect(port, '127.0.0.1');
    socket.once('connect', () => {
      socket.destroy();
      done(true);
    });
    socket.once('error', () => done(false));
  });
}

/** What a program printed; throws with its complaint when it failed. */
export async function output(command: readonly string[]): Promise<string> {
  const child = Bun.spawn([...command], { stdout: 'pipe', stderr: 'pipe' });
  const [out, error, code] = await Promise.all([
    new Response(child.stdout).text(),
    new Response(child.stderr).text(),
    child.exited,
  ]);
  if (code !== 0) throw new Error(`${command[0]} ended with ${code}: ${error}${out}`);
  return out;
}
