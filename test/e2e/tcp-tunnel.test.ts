/**
 * TCP through HTTP proxies (`tunneling_config`): ours and a real Envoy on either end of the tunnel, in HTTP/1.1 and
 * HTTP/2; and a mesh whose DestinationRule says so.
 */
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'bun:test';
import { mkdirSync, writeFileSync } from 'node:fs';
import { connect, createServer, type Socket } from 'node:net';
import { join } from 'node:path';
import { cleanUp, freePort, makeTempDir, onCleanUp, waitFor } from '@sluice/testkit';
import { findEnvoy } from '../find-envoy.ts';
import { cluster, listener, startTlsProxy, type RunningProxy } from './tls-fixture.ts';
import { MeshUnderTest } from './up-mesh.ts';

const timeoutMs = 90_000;
const envoy = findEnvoy();
const types = 'type.googleapis.com/envoy.extensions';

/** Greets, says again each line that it is told, and takes leave of a client that has ended. */
async function startDatabase(): Promise<number> {
  const port = freePort();
  const server = createServer({ allowHalfOpen: true }, (socket) => {
    socket.write('hello\n');
    socket.on('data', (data) => socket.write(`you said ${data.toString()}`));
    socket.on('end', () => socket.end('bye'));
    socket.on('error', () => {});
  });
  await new Promise<void>((done) => server.listen(port, '127.0.0.1', done));
  onCleanUp(() => void server.close());
  return port;
}

/** Sends each text and waits until what is awaited for it has come, then ends its side; everything that came, or `reset`. */
function talk(
  port: number,
  steps: readonly (readonly [sent: string, awaited: string])[],
  endsFirst = true,
): Promise<string> {
  const { promise, resolve } = Promise.withResolvers<string>();
  let answer = '';
  let step = 0;
  const socket: Socket = connect({ port, host: '127.0.0.1', allowHalfOpen: true }, () => send());
  const send = (): void => {
    const next = steps[step];
    if (next !== undefined) socket.write(next[0]);
    else if (endsFirst) socket.end();
    else resolve(answer);
  };
  socket.on('data', (data) => {
    answer += data.toString();
    const awaited = steps[step]?.[1];
    if (awaited === undefined || !answer.includes(awaited)) return;
    step++;
    send();
  });
  socket.on('end', () => resolve(answer));
  socket.on('error', () => resolve('reset'));
  onCleanUp(() => void socket.destroy());
  return promise;
}

const line = (text: string): readonly [string, string] => [`${text}\n`, `you said ${text}\n`];

const http2 = (fields: object): object => ({
  typed_extension_protocol_options: {
    'envoy.extensions.upstreams.http.v3.HttpProtocolOptions': {
      '@type': `${types}.upstreams.http.v3.HttpProtocolOptions`,
      explicit_http_config: { http2_protocol_options: fields },
    },
  },
});

/** Takes CONNECT for `db.test:5432` and nothing else; a POST too where it can. */
async function startTerminator(
  binary: string | undefined,
  database: number,
): Promise<[number, RunningProxy]> {
  const port = freePort();
  const takesPost = binary !== undefined;
  const to = (connectConfig: object): object => ({
    cluster: 'db',
    upgrade_configs: [{ upgrade_type: 'CONNECT', connect_config: connectConfig }],
  });
  const routes = [
    { match: { connect_matcher: {} }, route: to({}) },
    ...(takesPost ? [{ match: { path: '/' }, route: to({ allow_post: true }) }] : []),
  ];
  const manager = {
    '@type': `${types}.filters.network.http_connection_manager.v3.HttpConnectionManager`,
    stat_prefix: 'e2e',
    route_config: { virtual_hosts: [{ name: 'db', domains: ['db.test:5432'], routes }] },
    http_filters: [{ name: 'router', typed_config: { '@type': `${types}.filters.http.router.v3.Router` } }],
    upgrade_configs: [{ upgrade_type: 'CONNECT' }],
    http2_protocol_options: { allow_connect: true },
  };
  const chain = { filters: [{ name: 'http', typed_config: manager }] };
  const proxy = await startTlsProxy(
    { listeners: [listener(port, [chain])], clusters: [cluster('db', database)] },
    binary,
  );
  return [port, proxy];
}

/** Listeners that lead to `db.test:5432` through the proxy at `proxyPort`, by name. */
async function startOriginator(
  binary: string | undefined,
  proxyPort: number,
): Promise<Record<string, number>> {
  const ways: Record<string, [string, object]> = {
    'CONNECT in HTTP/1.1': ['one', { hostname: 'db.test:5432' }],
    'CONNECT in HTTP/2': ['two', { hostname: 'db.test:5432' }],
    'POST in HTTP/1.1': ['one', { hostname: 'db.test:5432', use_post: true }],
    'POST in HTTP/2': ['two', { hostname: 'db.test:5432', use_post: true }],
    'another host': ['one', { hostname: 'other.test:5432' }],
  };
  const ports = Object.fromEntries(Object.keys(ways).map((name) => [name, freePort()]));
  const listeners = Object.entries(ways).map(([name, [to, tunneling_config]]) => {
    const tcp = {
      '@type': `${types}.filters.network.tcp_proxy.v3.TcpProxy`,
      stat_prefix: 'e2e',
      cluster: to,
      tunneling_config,
    };
    return listener(ports[name]!, [{ filters: [{ name: 'tcp', typed_config: tcp }] }]);
  });
  const clusters = [cluster('one', proxyPort), cluster('two', proxyPort, http2({ allow_connect: true }))];
  await startTlsProxy({ listeners, clusters }, binary);
  return ports;
}

describe.each([
  ['ours', 'ours'],
  ['ours', 'envoy'],
  ['envoy', 'ours'],
] as const)('a tunnel from %s to %s', (from, to) => {
  const isPossible = envoy !== null || (from === 'ours' && to === 'ours');
  const binaryOf = (which: 'ours' | 'envoy'): string | undefined =>
    which === 'ours' ? undefined : (envoy ?? undefined);
  afterEach(cleanUp, timeoutMs);

  test.skipIf(!isPossible)(
    'carries connections, each side ending by itself',
    async () => {
      const [proxyPort, terminator] = await startTerminator(binaryOf(to), await startDatabase());
      const ports = await startOriginator(binaryOf(from), proxyPort);
      const ways = ['CONNECT in HTTP/1.1', 'CONNECT in HTTP/2'];
      if (to === 'envoy') ways.push('POST in HTTP/1.1', 'POST in HTTP/2');
      for (const way of ways) {
        // Envoy ends a tunnel of HTTP/1.1 as a whole when one side has ended.
        const endsFirst = way.endsWith('HTTP/2') || (from === 'ours' && to === 'ours');
        const answers = await Promise.all(
          ['a', 'b', 'c'].map((text) => talk(ports[way]!, [line(text)], endsFirst)),
        );
        const leave = endsFirst ? 'bye' : '';
        const rightly = ['a', 'b', 'c'].map((text) => `hello\nyou said ${text}\n${leave}`);
        expect([way, ...answers]).toEqual([way, ...rightly]);
      }
      expect(await terminator.stat('http.e2e.downstream_cx_http2_total')).toBe(1);
      // Refused by the proxy, which has no such host: nothing of it looks like an answer.
      expect(['', 'reset']).toContain(await talk(ports['another host']!, [line('x')]));
    },
    timeoutMs,
  );
});

const callerScript = `
import { connect } from 'node:net';
Bun.serve({ hostname: '127.0.0.1', port: Number(process.env.PORT), async fetch(request) {
  const text = new URL(request.url).searchParams.get('say');
  if (text === null) return new Response('ready');
  const { promise, resolve } = Promise.withResolvers();
  const at = { host: process.env.DB_EXAMPLE_COM_SERVICE_HOST, port: Number(process.env.DB_EXAMPLE_COM_SERVICE_PORT) };
  let answer = '';
  const socket = connect({ ...at, allowHalfOpen: true }, () => socket.end(text + '\\n'));
  socket.on('data', (data) => (answer += data)).on('end', () => resolve(answer)).on('error', () => resolve('reset'));
  return new Response(await promise);
} });
`;

describe.if(process.platform === 'linux')('a mesh whose rule says tunnel', () => {
  let mesh: MeshUnderTest;
  let dir = '';
  const heads: string[] = [];

  afterAll(cleanUp, timeoutMs);
  beforeAll(async () => {
    dir = makeTempDir();
    mkdirSync(join(dir, 'mesh'));
    writeFileSync(join(dir, 'caller.ts'), callerScript);
    writeFileSync(
      join(dir, 'sluice.yaml'),
      'name: tunnels\nworkloads:\n  caller: { command: bun caller.ts, port: 8088, readiness: { http: / } }\n',
    );
    const proxyPort = await startConnectProxy(await startDatabase(), heads);
    const entry = (name: string, port: number, endpoint: number): string =>
      `apiVersion: networking.istio.io/v1\nkind: ServiceEntry\nmetadata: {name: ${name}}\nspec: {hosts: [${name}.example.com], location: MESH_EXTERNAL, resolution: STATIC, ports: [{number: ${port}, name: tcp, protocol: TCP}], endpoints: [{address: 127.0.0.1, ports: {tcp: ${endpoint}}}]}\n`;
    // Nobody listens at the database's own address: only the proxy knows the way.
    const services = [entry('db', 5432, freePort()), entry('proxy', 3128, proxyPort)];
    writeFileSync(join(dir, 'mesh/services.yaml'), services.join('---\n'));
    writeFileSync(
      join(dir, 'mesh/route.yaml'),
      `apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: {name: db}
spec: {hosts: [db.example.com], tcp: [{route: [{destination: {host: proxy.example.com, subset: db, port: {number: 3128}}}]}]}
`,
    );
    writeFileSync(join(dir, 'mesh/rule.yaml'), rule('db.example.com'));
    mesh = await MeshUnderTest.start(dir);
  }, timeoutMs);

  const rule = (host: string): string => `apiVersion: networking.istio.io/v1
kind: DestinationRule
metadata: {name: proxy}
spec:
  host: proxy.example.com
  subsets: [{name: db, trafficPolicy: {tunnel: {protocol: CONNECT, targetHost: ${host}, targetPort: 5432}}}]
`;
  const say = async (text: string): Promise<string> =>
    (await fetch(`${await mesh.url('caller')}/?say=${text}`)).text();

  test(
    'leads its callers through the proxy, by address and by CONNECT, and where it says next',
    async () => {
      expect(await say('one')).toBe('hello\nyou said one\nbye');
      expect(heads.at(-1)).toStartWith('CONNECT db.example.com:5432 HTTP/1.1\r\n');
      const listeners = await mesh.out('proxy-config', 'listeners', 'caller');
      const forward = Number(/(\d+) +ALL +Route: http_proxy/.exec(listeners)?.[1]);
      const before = heads.length;
      const head = 'CONNECT db.example.com:5432 HTTP/1.1\r\nHost: db.example.com:5432\r\n\r\n';
      const answer = await talk(forward, [[head, '\r\n\r\n'], line('two')]);
      expect(answer).toMatch(/^HTTP\/1\.1 200 [^]*\r\n\r\nhello\nyou said two\nbye$/);
      expect(heads.slice(before).map((head) => head.split('\r\n')[0])).toEqual([
        'CONNECT db.example.com:5432 HTTP/1.1',
      ]);
      writeFileSync(join(dir, 'mesh/rule.yaml'), rule('elsewhere.example.com'));
      await waitFor(
        async () => {
          await say('three');
          return heads.at(-1)?.startsWith('CONNECT elsewhere.example.com:5432 ') ? true : undefined;
        },
        { what: 'the new target' },
      );
    },
    timeoutMs,
  );
});

/** A plain HTTP proxy that leads every CONNECT to one port, and keeps the heads that it was sent. */
async function startConnectProxy(target: number, heads: string[]): Promise<number> {
  const port = freePort();
  const server = createServer({ allowHalfOpen: true }, (socket) => {
    let head = '';
    const onData = (data: Buffer): void => {
      head += data.toString('latin1');
      const end = head.indexOf('\r\n\r\n');
      if (end < 0) return;
      socket.off('data', onData);
      heads.push(head.slice(0, end + 4));
      const onward = connect({ port: target, host: '127.0.0.1', allowHalfOpen: true }, () => {
        socket.write('HTTP/1.1 200 Connection established\r\n\r\n');
        onward.write(Buffer.from(head.slice(end + 4), 'latin1'));
        socket.pipe(onward).pipe(socket);
      });
      onward.on('error', () => socket.destroy());
    };
    socket.on('data', onData);
    socket.on('error', () => {});
  });
  await new Promise<void>((done) => server.listen(port, '127.0.0.1', done));
  onCleanUp(() => void server.close());
  return port;
}
