/** Listener filters of a running proxy: what the first bytes are decides who serves the connection. */
import { afterEach, describe, expect, test } from 'bun:test';
import { cleanUp, onCleanUp, serveText, turns } from '@sluice/testkit';
import { httpManager, routeTo, startProxy, staticCluster } from './proxy-process.test-double.ts';

afterEach(cleanUp);

const type = (name: string): string => `type.googleapis.com/envoy.extensions.filters.${name}`;
const canRedirect =
  process.platform === 'linux' &&
  process.getuid?.() === 0 &&
  Bun.which('ip') !== null &&
  Bun.which('nft') !== null;
if (!canRedirect)
  console.warn(
    'skipped: original_dst behind a redirect needs Linux, root, ip and nft; one of them is missing',
  );

/** Says who it is, then what it got. */
function upstream(name: string): number {
  const server = Bun.listen({
    hostname: '127.0.0.1',
    port: 0,
    socket: {
      data: (socket, data) =>
        void socket.end(`${name} ${data[0]} ${data.length > 100 ? 'long' : data.toString()}`),
    },
  });
  onCleanUp(() => server.stop(true));
  return server.port;
}

const tcpFilter = (cluster: string): object => ({
  name: 'tcp',
  typed_config: { '@type': type('network.tcp_proxy.v3.TcpProxy'), stat_prefix: cluster, cluster },
});

function listener(more: object = {}): object {
  return {
    name: 'main',
    address: { socket_address: { address: '127.0.0.1', port_value: 0 } },
    listener_filters: [
      { name: 'tls', typed_config: { '@type': type('listener.tls_inspector.v3.TlsInspector') } },
      { name: 'http', typed_config: { '@type': type('listener.http_inspector.v3.HttpInspector') } },
    ],
    filter_chains: [
      {
        filter_chain_match: { transport_protocol: 'tls', server_names: ['a.example'] },
        filters: [tcpFilter('tls')],
      },
      {
        filter_chain_match: { transport_protocol: 'raw_buffer', application_protocols: ['http/1.1'] },
        filters: [{ name: 'http', typed_config: httpManager({ route_config: routeTo('origin') }) }],
      },
    ],
    default_filter_chain: { filters: [tcpFilter('raw')] },
    ...more,
  };
}

/** Everything the server says after these pieces, each sent on its own. */
async function exchange(address: string, pieces: readonly (string | Uint8Array)[]): Promise<string> {
  const [hostname = '', port = ''] = address.split(':');
  const closed = Promise.withResolvers<string>();
  let text = '';
  const socket = await Bun.connect({
    hostname,
    port: Number(port),
    socket: {
      data: (_socket, data) => void (text += data.toString('latin1')),
      end: () => closed.resolve(text),
      close: () => closed.resolve(text),
    },
  });
  socket.setNoDelay(true);
  for (const piece of pieces) {
    socket.write(piece);
    await turns();
  }
  return closed.promise;
}

/** What a TLS client sends first. */
async function helloFor(servername: string): Promise<Uint8Array> {
  const caught = Promise.withResolvers<Uint8Array>();
  const server = Bun.listen({
    hostname: '127.0.0.1',
    port: 0,
    socket: { data: (socket, data) => (caught.resolve(new Uint8Array(data)), void socket.terminate()) },
  });
  onCleanUp(() => server.stop(true));
  const { connect } = await import('node:tls');
  connect({ host: '127.0.0.1', port: server.port, servername }).on('error', () => undefined);
  return caught.promise;
}

describe('a listener that inspects', () => {
  test('HTTP, TLS by server name, and anything else, each in pieces', async () => {
    const origin = serveText('http');
    const proxy = startProxy({
      static_resources: {
        listeners: [listener()],
        clusters: [
          staticCluster('origin', origin),
          staticCluster('tls', upstream('tls')),
          staticCluster('raw', upstream('raw')),
        ],
      },
    });
    await proxy.ready();
    const address = await proxy.address('main');
    expect(await (await fetch(`http://${address}/`)).text()).toBe('http');
    const request = ['GE', 'T / HTTP/1.1\r\n', 'Host: a\r\nConnection: close\r\n\r\n'];
    expect(await exchange(address, request)).toEndWith('http');
    const hello = await helloFor('a.example');
    expect(await exchange(address, [hello.subarray(0, 5), hello.subarray(5)])).toBe('tls 22 long');
    expect(await exchange(address, [await helloFor('b.example')])).toBe('raw 22 long');
    expect(await exchange(address, ['*1\r\n$4\r\nPING\r\n'])).toBe('raw 42 *1\r\n$4\r\nPING\r\n');
  });

  test.skipIf(!canRedirect)('original_dst finds where a redirected connection meant to go', async () => {
    const namespace = `sluice-${process.pid}`;
    const ip = (...args: string[]): void => {
      const { exitCode, stderr } = Bun.spawnSync(['ip', ...args]);
      if (exitCode !== 0) throw new Error(`ip ${args.join(' ')}: ${stderr.toString()}`);
    };
    const inside = (...args: string[]): string =>
      Bun.spawnSync(['ip', 'netns', 'exec', namespace, ...args]).stdout.toString();
    ip('netns', 'add', namespace);
    onCleanUp(() => ip('netns', 'del', namespace));
    ip('-n', namespace, 'link', 'set', 'lo', 'up');
    const rules =
      'add table ip t; add chain ip t out { type nat hook output priority -100; }; ' +
      'add rule ip t out meta skuid != 1 ip daddr 127.9.9.9 tcp dport 81 redirect to :15001';
    inside('nft', rules);
    const bootstrap = {
      static_resources: {
        listeners: [
          {
            name: 'main',
            address: { socket_address: { address: '127.0.0.1', port_value: 15001 } },
            listener_filters: [
              { name: 'o', typed_config: { '@type': type('listener.original_dst.v3.OriginalDst') } },
            ],
            filter_chains: [
              {
                filter_chain_match: { destination_port: 81 },
                filters: [
                  {
                    name: 'http',
                    typed_config: httpManager({
                      route_config: {
                        name: 'r',
                        virtual_hosts: [
                          {
                            name: 'all',
                            domains: ['*'],
                            routes: [
                              {
                                match: { prefix: '/' },
                                direct_response: { status: 200, body: { inline_string: 'restored' } },
                              },
                            ],
                          },
                        ],
                      },
                    }),
                  },
                ],
              },
            ],
          },
        ],
      },
    };
    const proxy = startProxy(bootstrap, [], ['ip', 'netns', 'exec', namespace]);
    await proxy.ready();
    expect(inside('curl', '-s', 'http://127.9.9.9:81/')).toBe('restored');
  });
});
