/** `tcp` and `tls` routes of VirtualServices in a mesh of real processes, mutual TLS underneath. */
import { afterAll, beforeAll, describe, expect, test } from 'bun:test';
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { cleanUp, freePort, makeTempDir, waitFor } from '@sluice/testkit';
import { exchange, startOpensslServer } from './mtls-fixture.ts';
import { Pki } from './tls-fixture.ts';
import { MeshUnderTest } from './up-mesh.ts';

const timeoutMs = 90_000;

/** Calls a TCP service, or a TLS one by a server name, and says what it found there. */
const callerScript = `
import { connect } from 'node:net';
import { connect as connectTls } from 'node:tls';
const at = (service) => ({ host: process.env[service + '_SERVICE_HOST'], port: Number(process.env[service + '_SERVICE_PORT']) });
Bun.serve({ hostname: '127.0.0.1', port: Number(process.env.PORT), async fetch(request) {
  const url = new URL(request.url);
  const { promise, resolve } = Promise.withResolvers();
  const [tcp, tls] = [url.searchParams.get('tcp'), url.searchParams.get('tls')];
  if (tcp !== null) {
    const socket = connect(at(tcp));
    let text = '';
    socket.on('data', (data) => (text += data)).on('close', () => resolve(text)).on('error', (error) => resolve(error.message));
  } else if (tls !== null) {
    const socket = connectTls({ ...at(tls), servername: url.searchParams.get('name'), rejectUnauthorized: false }, () => {
      resolve(socket.getPeerCertificate().subjectaltname ?? 'no name');
      socket.destroy();
    });
    socket.on('error', (error) => resolve(error.message));
  } else resolve('ready');
  return new Response(await promise);
} });
`;

/** A server that speaks first. */
const greeterScript = `
Bun.listen({ hostname: '127.0.0.1', port: Number(process.env.PORT), socket: {
  open(socket) { socket.end('hello from ' + process.env.SLUICE_VERSION); }, data() {},
} });
`;

afterAll(cleanUp, timeoutMs);

describe.if(process.platform === 'linux')('connections that pass unread', () => {
  const pki = new Pki();
  let mesh: MeshUnderTest;
  let dir = '';

  beforeAll(async () => {
    dir = makeTempDir();
    mkdirSync(join(dir, 'mesh'));
    writeFileSync(join(dir, 'caller.ts'), callerScript);
    writeFileSync(join(dir, 'greeter.ts'), greeterScript);
    const greeter = (version: string): string =>
      `  greeter-${version}: { command: bun greeter.ts, ports: [{ name: tcp, port: 8090 }], service: greeter, version: ${version}, labels: { app: greeter } }`;
    writeFileSync(
      join(dir, 'sluice.yaml'),
      `name: routes\nworkloads:\n  caller: { command: bun caller.ts, port: 8088, readiness: { http: / } }\n${greeter('v1')}\n${greeter('v2')}\n`,
    );
    const ports = { a: await freePort(), b: await freePort() };
    for (const [name, port] of Object.entries(ports)) {
      const files = pki.files(name, pki.authority.leaf({ dnsSans: [`${name}.example.com`] }));
      await startOpensslServer(port, ['-cert', files.chain, '-key', files.key]);
    }
    const entry = (name: 'a' | 'b'): string =>
      `apiVersion: networking.istio.io/v1\nkind: ServiceEntry\nmetadata: {name: ${name}}\nspec: {hosts: [${name}.example.com], location: MESH_EXTERNAL, resolution: STATIC, ports: [{number: 443, name: tls, protocol: TLS}], endpoints: [{address: 127.0.0.1, ports: {tls: ${ports[name]}}}]}\n`;
    writeFileSync(
      join(dir, 'mesh/services.yaml'),
      `${entry('a')}---\n${entry('b')}---
apiVersion: networking.istio.io/v1
kind: DestinationRule
metadata: {name: greeter}
spec: {host: greeter, subsets: [{name: v1, labels: {version: v1}}, {name: v2, labels: {version: v2}}]}
`,
    );
    mesh = await MeshUnderTest.start(dir);
  }, timeoutMs);

  async function ask(query: string): Promise<string> {
    return (await fetch(`${await mesh.url('caller')}/?${query}`)).text();
  }

  /** Answers of many connections, each once. */
  async function answers(count: number): Promise<string[]> {
    const all = await Promise.all(Array.from({ length: count }, () => ask('tcp=GREETER')));
    return [...new Set(all)].sort();
  }

  test(
    'a server that speaks first is heard through mutual TLS, and shares follow the route',
    async () => {
      expect(await answers(20)).toEqual(['hello from v1', 'hello from v2']);
      expect((await mesh.out('status', 'caller', '--edges')).replaceAll(/ +/g, ' ')).toContain(
        'greeter.default.svc.cluster.local:8090 mutual TLS',
      );
      // A caller in plaintext waits for the server, and the sidecar for neither of them for long.
      const port = Number((await mesh.url('greeter-v1')).split(':').at(-1));
      expect(await exchange(port, '')).toBe('hello from v1');
      const route = (weights: readonly [number, number]): string => `
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: {name: greeter}
spec:
  hosts: [greeter]
  tcp:
  - match: [{port: 8090}]
    route:
    - {destination: {host: greeter, subset: v1}, weight: ${weights[0]}}
    - {destination: {host: greeter, subset: v2}, weight: ${weights[1]}}
`;
      const file = join(dir, 'mesh/route.yaml');
      writeFileSync(file, route([0, 100]));
      await waitFor(async () => (await answers(12)).join() === 'hello from v2', { what: 'all to v2' });
      writeFileSync(file, route([50, 50]));
      await waitFor(async () => (await answers(20)).length === 2, { what: 'both again' });
    },
    timeoutMs,
  );

  test(
    'TLS goes by its server name, and is not opened on the way',
    async () => {
      expect(await ask('tls=A_EXAMPLE_COM&name=a.example.com')).toContain('a.example.com');
      writeFileSync(
        join(dir, 'mesh/by-name.yaml'),
        `apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: {name: by-name}
spec:
  hosts: [a.example.com, moved.example.com]
  tls:
  - match: [{sniHosts: [moved.example.com], port: 443}]
    route: [{destination: {host: b.example.com}}]
`,
      );
      await waitFor(
        async () => (await ask('tls=A_EXAMPLE_COM&name=moved.example.com')).includes('b.example.com'),
        {
          what: 'the other server by name',
        },
      );
      expect(await ask('tls=A_EXAMPLE_COM&name=a.example.com')).toContain('DNS:a.example.com');
    },
    timeoutMs,
  );
});
