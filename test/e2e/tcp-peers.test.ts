/** TCP and tunnels between programs that others wrote: Python, OpenSSL, ws under Node, curl. */
import { afterAll, beforeAll, describe, expect, test } from 'bun:test';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { cleanUp, connectPeer, freePort, makeTempDir, spawnCommand, waitFor } from '@sluice/testkit';
import { findProgram } from './proxy-fixture.ts';
import {
  cluster,
  httpFilter,
  listener,
  listenerFilter,
  startTcpProxy,
  tcpFilter,
  type TcpProxyUnderTest,
} from './tcp-fixture.ts';

afterAll(cleanUp);

const python = findProgram('python3');
const openssl = findProgram('openssl');
const node = findProgram('node');
const curl = findProgram('curl');
const root = join(import.meta.dir, '../..');

const ports = {
  sniffed: freePort(),
  declared: freePort(),
  tls: freePort(),
  http: freePort(),
  python: freePort(),
  one: freePort(),
  two: freePort(),
  ws: freePort(),
};
let proxy: TcpProxyUnderTest;

beforeAll(async () => {
  const upgrades = [{ upgrade_type: 'websocket' }, { upgrade_type: 'CONNECT' }];
  proxy = await startTcpProxy({
    listeners: [
      listener('sniffed', ports.sniffed, [{ filters: [tcpFilter({ cluster: 'python' })] }], {
        listener_filters: [listenerFilter('tls_inspector'), listenerFilter('http_inspector')],
        listener_filters_timeout: '0.05s',
        continue_on_listener_filters_timeout: true,
      }),
      listener('declared', ports.declared, [{ filters: [tcpFilter({ cluster: 'python' })] }]),
      listener(
        'tls',
        ports.tls,
        [
          {
            filter_chain_match: { server_names: ['one.test'], transport_protocol: 'tls' },
            filters: [tcpFilter({ cluster: 'one' })],
          },
          {
            filter_chain_match: { server_names: ['*.two.test'], transport_protocol: 'tls' },
            filters: [tcpFilter({ cluster: 'two' })],
          },
        ],
        { listener_filters: [listenerFilter('tls_inspector')] },
      ),
      listener('http', ports.http, [
        {
          filters: [
            httpFilter(
              [
                {
                  match: { connect_matcher: {} },
                  route: {
                    cluster: 'python',
                    upgrade_configs: [{ upgrade_type: 'CONNECT', connect_config: {} }],
                  },
                },
                { match: { prefix: '/' }, route: { cluster: 'ws' } },
              ],
              { upgrade_configs: upgrades },
            ),
          ],
        },
      ]),
    ],
    clusters: [
      cluster('python', ports.python),
      cluster('one', ports.one),
      cluster('two', ports.two),
      cluster('ws', ports.ws),
    ],
  });
}, 30_000);

/** The connection that finds out is closed again: s_server serves one at a time. */
async function listens(port: number): Promise<void> {
  await waitFor(
    async () => {
      const peer = await connectPeer(port);
      peer.reset();
      return true;
    },
    { what: `port ${port} to accept` },
  );
}

describe('a server that speaks first', () => {
  beforeAll(async () => {
    if (python === null) return;
    const script = `
import socketserver
class Greeter(socketserver.StreamRequestHandler):
    def handle(self):
        self.wfile.write(b'220 ready\\r\\n')
        for line in self.rfile:
            self.wfile.write(b'250 ' + line)
        self.wfile.write(b'221 bye\\r\\n')
class Server(socketserver.ThreadingTCPServer):
    allow_reuse_address = True
    daemon_threads = True
Server(('127.0.0.1', ${ports.python}), Greeter).serve_forever()
`;
    spawnCommand([python, '-c', script]);
    await listens(ports.python);
  });

  test.skipIf(python === null)(
    'is heard at once where the port is declared, half-close included',
    async () => {
      const peer = await connectPeer(ports.declared);
      expect(await peer.readThrough('\r\n')).toBe('220 ready\r\n');
      await peer.write('EHLO\r\n');
      expect(await peer.readThrough('\r\n')).toBe('250 EHLO\r\n');
      peer.end();
      expect(Buffer.from(await peer.readToEnd()).toString()).toBe('221 bye\r\n');
      await waitFor(() => proxy.lines().some((line) => line.startsWith('- 6 ') && line.includes(' python ')));
    },
  );

  test.skipIf(python === null)(
    'is heard after the short wait where it is not, counted and reported',
    async () => {
      const peer = await connectPeer(ports.sniffed);
      expect(await peer.readThrough('\r\n')).toBe('220 ready\r\n');
      const scrape = await (await fetch(`http://127.0.0.1:${proxy.adminPort}/stats/prometheus`)).text();
      expect(scrape).toMatch(
        new RegExp(
          `sluice_protocol_fallback_total\\{listener="sniffed",destination_port="${ports.sniffed}"\\} 1`,
        ),
      );
      expect(scrape).toMatch(/envoy_listener_downstream_pre_cx_timeout\{[^}]*\} 1/);
      expect(proxy.process.lines.join('\n')).toContain('no bytes came in time to tell the protocol');
    },
  );

  test.skipIf(python === null || curl === null)('is reached by CONNECT, as curl opens it', async () => {
    const call = spawnCommand([
      curl!,
      '-s',
      // It listens until then: the server does not close first.
      '-m',
      '2',
      '--proxytunnel',
      '--proxy',
      `http://127.0.0.1:${ports.http}`,
      'telnet://somewhere.test:25',
    ]);
    await call.exited;
    expect(call.lines.join('\n')).toContain('220 ready');
  });
});

describe('TLS passed through', () => {
  beforeAll(async () => {
    if (openssl === null) return;
    const folder = makeTempDir();
    for (const [name, port] of [
      ['one', ports.one],
      ['two', ports.two],
    ] as const) {
      const [key, cert] = [join(folder, `${name}.key`), join(folder, `${name}.pem`)];
      const make = spawnCommand([
        openssl,
        ...'req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 1'.split(' '),
        '-subj',
        `/CN=server ${name}`,
        '-keyout',
        key,
        '-out',
        cert,
      ]);
      expect(await make.exited).toBe(0);
      spawnCommand([
        openssl,
        's_server',
        '-quiet',
        '-www',
        '-accept',
        String(port),
        '-key',
        key,
        '-cert',
        cert,
      ]);
      await listens(port);
    }
  });

  async function subjectFor(serverName: string): Promise<string> {
    const input = join(makeTempDir(), 'input');
    writeFileSync(input, 'GET / HTTP/1.0\r\n\r\n');
    const call = spawnCommand([
      'sh',
      '-c',
      `${openssl} s_client -connect 127.0.0.1:${ports.tls} -servername ${serverName} < ${input}`,
    ]);
    await call.exited;
    return /subject=CN = (.*)/.exec(call.lines.join('\n'))?.[1] ?? 'none';
  }

  test.skipIf(openssl === null)('goes to the server of its name, exact or by wildcard', async () => {
    expect(await subjectFor('one.test')).toBe('server one');
    expect(await subjectFor('deep.two.test')).toBe('server two');
  });

  test.skipIf(openssl === null)('of another name is closed, and counted', async () => {
    expect(await subjectFor('three.test')).toBe('none');
    expect(await proxy.stats('no_filter_chain_match')).toMatch(/no_filter_chain_match: 1/);
  });
});

describe('WebSocket', () => {
  const load = `const { WebSocket, WebSocketServer } = require(${JSON.stringify(join(root, 'node_modules/ws'))});`;
  beforeAll(async () => {
    if (node === null) return;
    const server = `${load}
const server = new WebSocketServer({ port: ${ports.ws}, host: '127.0.0.1' });
server.on('connection', (socket, request) => {
  socket.send('path ' + request.url);
  socket.on('message', (data, isBinary) => socket.send(data, { binary: isBinary }));
});`;
    spawnCommand([node, '-e', server]);
    await listens(ports.ws);
  });

  test.skipIf(node === null)(
    'between ws and ws: text, a large binary message, ping, close code',
    async () => {
      const client = `${load}
const socket = new WebSocket('ws://127.0.0.1:${ports.http}/chat?x=1');
const large = Buffer.alloc(3_000_000, 7);
let step = 0;
socket.on('message', (data, isBinary) => {
  if (step++ === 0) { console.log(String(data)); socket.ping('p'); return; }
  console.log(isBinary && Buffer.compare(data, large) === 0 ? 'large came back' : 'wrong');
  socket.close(4001, 'done');
});
socket.on('pong', () => { console.log('pong'); socket.send(large); });
socket.on('close', (code) => console.log('closed ' + code));`;
      const call = spawnCommand([node!, '-e', client]);
      await call.exited;
      expect(call.lines).toEqual(['path /chat?x=1', 'pong', 'large came back', 'closed 4001']);
      expect(await proxy.stats('downstream_cx_upgrades_total')).toMatch(/upgrades_total: [1-9]/);
      await waitFor(async () =>
        /upgrades_active: 0/.test(await proxy.stats('downstream_cx_upgrades_active')),
      );
    },
  );
});
