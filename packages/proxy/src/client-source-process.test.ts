/**
 * `original_src` of a running proxy, in network namespaces of its own: clients on one side of a link, proxy and servers
 * on the other, so that the clients' addresses are none of the proxy's machine.
 */
import { afterEach, expect, test } from 'bun:test';
import { cleanUp, onCleanUp, waitFor } from '@sluice/testkit';
import { httpManager, routeTo, startProxy } from './proxy-process.test-double.ts';

afterEach(cleanUp);

/** A dozen processes start, one after the other. */
const limitMs = 60_000;

const canIsolate = process.platform === 'linux' && process.getuid?.() === 0 && Bun.which('ip') !== null;
if (!canIsolate) console.warn('skipped: original_src needs Linux, root and ip; one of them is missing');

const type = (name: string): string => `type.googleapis.com/envoy.extensions.filters.${name}`;
const proxySide = '10.99.0.1';
const proxySide6 = 'fd99::1';
const clients = ['10.99.0.2', '10.99.0.3'] as const;
const client6 = 'fd99::2';
const mark = 99;

interface Net {
  readonly near: readonly string[];
  readonly far: readonly string[];
}

function isolate(): Net {
  const near = `sluice-near-${process.pid}`;
  const far = `sluice-far-${process.pid}`;
  const ip = (...args: string[]): void => {
    const { exitCode, stderr } = Bun.spawnSync(['ip', ...args]);
    if (exitCode !== 0) throw new Error(`ip ${args.join(' ')}: ${stderr.toString()}`);
  };
  for (const name of [near, far]) {
    ip('netns', 'add', name);
    onCleanUp(() => ip('netns', 'del', name));
    ip('-n', name, 'link', 'set', 'lo', 'up');
  }
  ip('-n', near, 'link', 'add', 'link0', 'type', 'veth', 'peer', 'name', 'link1', 'netns', far);
  ip('-n', near, 'addr', 'add', `${proxySide}/24`, 'dev', 'link0');
  for (const client of clients) ip('-n', far, 'addr', 'add', `${client}/24`, 'dev', 'link1');
  ip('-n', near, 'addr', 'add', `${proxySide6}/64`, 'dev', 'link0', 'nodad');
  ip('-n', far, 'addr', 'add', `${client6}/64`, 'dev', 'link1', 'nodad');
  ip('-n', near, 'link', 'set', 'link0', 'up');
  ip('-n', far, 'link', 'set', 'link1', 'up');
  // What servers answer to marked connections comes back here rather than going to the client.
  for (const [family, all] of [
    ['-4', '0.0.0.0/0'],
    ['-6', '::/0'],
  ] as const) {
    ip(family, '-n', near, 'rule', 'add', 'fwmark', String(mark), 'lookup', '100');
    ip(family, '-n', near, 'route', 'add', 'local', all, 'dev', 'lo', 'table', '100');
  }
  const within = (name: string): string[] => ['ip', 'netns', 'exec', name];
  Bun.spawnSync([...within(near), 'sh', '-c', 'echo 1 > /proc/sys/net/ipv4/tcp_fwmark_accept']);
  return { near: within(near), far: within(far) };
}

/** Answers requests and connections with the address they came from. */
const server = `
  Bun.serve({ hostname: '${proxySide}', port: 8001, fetch: (r, s) => new Response(s.requestIP(r).address) });
  for (const hostname of ['${proxySide}', '${proxySide6}'])
    Bun.listen({ hostname, port: 8002, socket: { data: (s) => void s.end(s.remoteAddress) } });
  console.log('up');`;

function listener(port: number, filters: readonly object[], terminal: object, address = proxySide): object {
  return {
    name: `l${port}`,
    address: { socket_address: { address, port_value: port } },
    listener_filters: filters,
    filter_chains: [{ filters: [terminal] }],
  };
}

function cluster(name: string, port_value: number, address = proxySide): object {
  const endpoint = { address: { socket_address: { address, port_value } } };
  const load_assignment = { cluster_name: name, endpoints: [{ lb_endpoints: [{ endpoint }] }] };
  return { name, type: 'STATIC', connect_timeout: '2s', load_assignment };
}

const originalSrc = {
  name: 'envoy.filters.listener.original_src',
  typed_config: { '@type': type('listener.original_src.v3.OriginalSrc'), mark },
};
const proxyProtocol = {
  name: 'envoy.filters.listener.proxy_protocol',
  typed_config: { '@type': type('listener.proxy_protocol.v3.ProxyProtocol') },
};
const http = { name: 'http', typed_config: httpManager({ route_config: routeTo('http') }) };
const tcpTo = (name: string): object => ({
  name: 'tcp',
  typed_config: { '@type': type('network.tcp_proxy.v3.TcpProxy'), stat_prefix: 'tcp', cluster: name },
});
const tcp = tcpTo('tcp');

test.skipIf(!canIsolate)(
  'servers see the address of the client, each client its own connections',
  async () => {
    const { near, far } = isolate();
    const servers = Bun.spawn([...near, process.execPath, '-e', server], {
      stdout: 'pipe',
      stderr: 'inherit',
    });
    onCleanUp(() => void servers.kill('SIGKILL'));
    await servers.stdout.getReader().read();
    const proxy = startProxy(
      {
        static_resources: {
          listeners: [
            listener(8101, [originalSrc], http),
            listener(8102, [originalSrc], tcp),
            listener(8103, [proxyProtocol, originalSrc], tcp),
            listener(8104, [], tcp),
            listener(8105, [originalSrc], tcpTo('tcp6'), proxySide6),
            listener(8106, [originalSrc], tcpTo('tcp6')),
          ],
          clusters: [cluster('http', 8001), cluster('tcp', 8002), cluster('tcp6', 8002, proxySide6)],
        },
      },
      [],
      near,
    );
    await proxy.ready();
    const inFar = (script: string): string =>
      Bun.spawnSync([...far, process.execPath, '-e', script], { timeout: 10_000 })
        .stdout.toString()
        .trim();
    const seen = (from: string, port: number, first: string, host = proxySide): string =>
      inFar(`const s = require('net').connect({ host: '${host}', port: ${port}, localAddress: '${from}' });
      s.write(${JSON.stringify(first)}); s.pipe(process.stdout);`);
    const get = 'GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n';
    for (const client of [...clients, ...clients]) {
      expect(seen(client, 8101, get)).toEndWith(client);
      expect(seen(client, 8102, 'x')).toBe(client);
    }
    // The address is the one that is believed by then, whoever it belongs to.
    expect(seen(clients[0], 8103, 'PROXY TCP4 203.0.113.9 10.99.0.1 1111 8103\r\nx')).toBe('203.0.113.9');
    expect(seen(clients[0], 8104, 'x')).toBe(proxySide);
    expect(seen(client6, 8105, 'x', proxySide6)).toBe(client6);
    // Nobody can dial IPv6 from an IPv4 address: the connection fails rather than coming from somebody else.
    expect(seen(clients[0], 8106, 'x')).toBe('');
  },
  limitMs,
);

test.skipIf(!canIsolate || Bun.which('setpriv') === null)(
  'without the capability the configuration is refused, and says what would do',
  async () => {
    const proxy = startProxy(
      {
        static_resources: {
          listeners: [listener(8101, [originalSrc], tcp)],
          clusters: [cluster('tcp', 8002)],
        },
      },
      ['--mode', 'validate'],
      ['setpriv', '--bounding-set', '-net_admin,-net_raw', '--inh-caps', '-all'],
    );
    expect(await proxy.process.exited).not.toBe(0);
    await waitFor(() => proxy.log().includes('CAP_NET_ADMIN'));
    expect(proxy.log()).toContain('listener_filters[0].typed_config');
  },
  limitMs,
);
