/** A small mesh whose workloads say how they were called, and TLS servers outside of it. */
import { mkdirSync, writeFileSync } from 'node:fs';
import { connect, type Socket } from 'node:net';
import { join } from 'node:path';
import { makeTempDir, onCleanUp, spawnCommand, type TestProcess } from '@sluice/testkit';
import { MeshUnderTest } from './up-mesh.ts';

/** `api` answers with the client certificate it was told of; `/get?url=` calls on. */
const httpScript = `
function connectTo(service) {
  const { promise, resolve } = Promise.withResolvers();
  let text = '';
  Bun.connect({ hostname: process.env[service + '_SERVICE_HOST'], port: Number(process.env[service + '_SERVICE_PORT']), socket: {
    open(socket) { socket.write('hello'); },
    data(socket, data) { text += data; },
    close() { resolve(text); },
  } });
  return promise;
}
Bun.serve({ hostname: process.env.BIND ?? '127.0.0.1', port: Number(process.env.PORT), idleTimeout: 60, async fetch(request) {
  const url = new URL(request.url);
  const service = url.searchParams.get('tcp');
  if (service !== null) return new Response(await connectTo(service));
  const target = url.searchParams.get('url');
  if (target === null) return new Response(request.headers.get('x-forwarded-client-cert') ?? 'no certificate');
  try {
    const reply = await fetch(target, { keepalive: false });
    const reason = reply.headers.get('x-sluice-reason') ?? '';
    return Response.json({ status: reply.status, reason, body: await reply.text() });
  } catch (error) {
    return Response.json({ status: 0, reason: String(error), body: '' });
  }
} });
`;

/** Says what the first byte of a connection was. */
const tcpScript = `
Bun.listen({ hostname: '127.0.0.1', port: Number(process.env.PORT), socket: {
  data(socket, data) { socket.end('first byte ' + data[0]); },
} });
`;

export interface Called {
  readonly status: number;
  readonly reason: string;
  readonly body: string;
}

export class MtlsMesh {
  readonly mesh: MeshUnderTest;
  readonly dir: string;
  #applied = 0;

  private constructor(mesh: MeshUnderTest, dir: string) {
    this.mesh = mesh;
    this.dir = dir;
  }

  static async start(dir = makeMtlsFolder()): Promise<MtlsMesh> {
    return new MtlsMesh(await MeshUnderTest.start(dir), dir);
  }

  /** What web gets of a service of the mesh, or of a URL, through its sidecar. */
  async call(url: string): Promise<Called> {
    const front = await this.mesh.url('web');
    const reply = await fetch(`${front}/?url=${encodeURIComponent(url)}`);
    return (await reply.json()) as Called;
  }

  /** What web reads of a TCP service of the mesh after it wrote five bytes. */
  async connect(service: string): Promise<string> {
    const reply = await fetch(`${await this.mesh.url('web')}/?tcp=${service}`);
    return reply.text();
  }

  async apply(yaml: string): Promise<() => Promise<void>> {
    const path = join(this.dir, `applied-${++this.#applied}.yaml`);
    writeFileSync(path, yaml);
    await this.mesh.out('apply', '-f', path);
    return async () => {
      await this.mesh.out('delete', '-f', path);
    };
  }
}

/** `bind`: where api listens; `more`: further lines of api. */
export function makeMtlsFolder(bind = '127.0.0.1', more = ''): string {
  const dir = makeTempDir();
  mkdirSync(join(dir, 'mesh'));
  writeFileSync(join(dir, 'http.ts'), httpScript);
  writeFileSync(join(dir, 'tcp.ts'), tcpScript);
  writeFileSync(
    join(dir, 'sluice.yaml'),
    `name: mtls
workloads:
  web: { command: bun http.ts, port: 8088, readiness: { http: / } }
  api: { command: bun http.ts, port: 8089, readiness: { http: / }, env: { BIND: "${bind}" }${more} }
  bytes: { command: bun tcp.ts, ports: [{ name: tcp, port: 8090 }] }
`,
  );
  return dir;
}

/** Connects, writes, and resolves with what came until the end; `reset` where the connection was reset. */
export function exchange(port: number, bytes: Uint8Array | string): Promise<string> {
  const { promise, resolve } = Promise.withResolvers<string>();
  let text = '';
  const socket: Socket = connect(port, '127.0.0.1', () => socket.write(bytes));
  socket.on('data', (data) => (text += data.toString()));
  socket.on('error', () => resolve('reset'));
  socket.on('close', () => resolve(text));
  onCleanUp(() => void socket.destroy());
  return promise;
}

/** OpenSSL as a web server that shows what it knows of the connection. Resolves when it listens. */
export async function startOpensslServer(port: number, args: readonly string[]): Promise<TestProcess> {
  const command = ['openssl', 's_server', '-accept', `127.0.0.1:${port}`, '-www', ...args];
  const server = spawnCommand(command, { name: 'openssl s_server' });
  await server.waitForLine(/ACCEPT/);
  return server;
}
