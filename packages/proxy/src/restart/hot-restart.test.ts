/** Hot restart of real processes under load: no request may be lost, whoever dies when. */
import { afterEach, expect, test } from 'bun:test';
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { cleanUp, connectPeer, makeTempDir, serveText, waitFor } from '@sluice/testkit';
import { ListenerTable, xdsTypes } from '@sluice/xds';
import {
  adsBootstrap,
  encoded,
  encodedCluster,
  startAdsPeer,
  xdsCluster,
} from '../ads-bootstrap.test-double.ts';
import { httpListener, routeTo, startProxy, staticCluster } from '../proxy-process.test-double.ts';
import { Generations } from './generations.test-double.ts';
import { startH2Load } from './h2-load.test-double.ts';
import { startLoad } from './restart-load.test-double.ts';

afterEach(cleanUp);

const isLinux = process.platform === 'linux';
if (!isLinux) console.warn('skipped: sockets are handed over on Linux only');

const portOf = (address: string): number => Number(address.split(':').at(-1));

function bootstrapOf(originPort: number): object {
  return {
    static_resources: {
      listeners: [httpListener('main', { route_config: routeTo('origin') })],
      clusters: [staticCluster('origin', originPort)],
    },
  };
}

test.skipIf(!isLinux)(
  'five restarts in a row lose no request, on kept and on closing connections',
  async () => {
    const generations = new Generations(bootstrapOf(serveText('hello')));
    let current = await generations.first();
    const port = portOf(await current.address('main'));
    const load = startLoad(port, 6, 3);
    for (let round = 0; round < 5; round++) {
      const before = load.answered;
      await waitFor(() => load.answered > before + 200);
      const next = generations.next();
      await next.ready();
      expect(portOf(await next.address('main'))).toBe(port);
      expect(await current.process.exited).toBe(0);
      expect(next.log()).toContain('took over');
      current = next;
    }
    const after = load.answered;
    await waitFor(() => load.answered > after + 200);
    await load.stop();
    expect(load.failures).toEqual([]);
    // Admin is the last one's: the parent has left it its place.
    expect((await current.admin('/ready')).status).toBe(200);
    expect(await (await current.admin('/hot_restart_version')).text()).toBe('sluice.1\n');
  },
  60_000,
);

test.skipIf(!isLinux)(
  'clients of HTTP/2 are told by GOAWAY and lose no request',
  async () => {
    const generations = new Generations(bootstrapOf(serveText('hello')));
    let current = await generations.first();
    const load = startH2Load(portOf(await current.address('main')), 4);
    for (let round = 0; round < 3; round++) {
      const before = load.answered;
      await waitFor(() => load.answered > before + 200);
      const next = generations.next();
      await next.ready();
      expect(await current.process.exited).toBe(0);
      current = next;
    }
    await load.stop();
    expect(load.failures).toEqual([]);
  },
  60_000,
);

test.skipIf(!isLinux)(
  'an idle connection is served once more by the old process, which tells it to close',
  async () => {
    const generations = new Generations(bootstrapOf(serveText('hello')));
    const old = await generations.first();
    const idle = await connectPeer(portOf(await old.address('main')));
    const request = 'GET / HTTP/1.1\r\nHost: a\r\n\r\n';
    await idle.write(request);
    await idle.readHead();
    await idle.readExactly(5);
    const next = generations.next();
    await next.ready();
    await waitFor(() => old.log().includes('the next process is live'));
    // Longer than an idle connection lives when a process just ends.
    await Bun.sleep(800);
    await idle.write(request);
    expect(await idle.readHead()).toMatch(/^HTTP\/1.1 200[^]*connection: close/);
    expect(await old.process.exited).toBe(0);
  },
  20_000,
);

test.skipIf(!isLinux)(
  'a next process that is killed before it is live changes nothing, and another one may try',
  async () => {
    const bootstrap = bootstrapOf(serveText('hello'));
    const generations = new Generations(bootstrap);
    const old = await generations.first();
    const load = startLoad(portOf(await old.address('main')), 3, 2);
    // Without a control plane it never becomes live.
    const waiting = generations.next({
      ...bootstrap,
      node: { id: 'n', cluster: 'c' },
      dynamic_resources: {
        ads_config: {
          api_type: 'DELTA_GRPC',
          transport_api_version: 'V3',
          grpc_services: [{ envoy_grpc: { cluster_name: 'xds' } }],
        },
        cds_config: { ads: {}, resource_api_version: 'V3' },
      },
      static_resources: {
        ...(bootstrap as { static_resources: { clusters: object[] } }).static_resources,
        clusters: [
          ...(bootstrap as { static_resources: { clusters: object[] } }).static_resources.clusters,
          {
            ...staticCluster('xds', 1),
            typed_extension_protocol_options: {
              'envoy.extensions.upstreams.http.v3.HttpProtocolOptions': {
                '@type': 'type.googleapis.com/envoy.extensions.upstreams.http.v3.HttpProtocolOptions',
                explicit_http_config: { http2_protocol_options: {} },
              },
            },
          },
        ],
      },
    });
    await waitFor(() => old.log().includes('takes the listening sockets'));
    await waiting.address('main');
    expect((await old.admin('/ready')).status).toBe(200);
    waiting.process.kill('SIGKILL');
    await waiting.process.exited;
    await waitFor(() => old.log().includes('serving on'));
    generations.forget();
    const next = generations.next();
    await next.ready();
    expect(await old.process.exited).toBe(0);
    const after = load.answered;
    await waitFor(() => load.answered > after + 100);
    await load.stop();
    // The killed process may have held connections of its own; whoever it had not accepted lost nothing.
    expect(load.failures.filter((failure) => failure !== 'the connection ended before an answer')).toEqual(
      [],
    );
  },
  30_000,
);

test.skipIf(!isLinux)(
  'an old process that is killed in the middle takes its connections along, not the queue',
  async () => {
    const generations = new Generations(bootstrapOf(serveText('hello')));
    const old = await generations.first();
    const port = portOf(await old.address('main'));
    const next = generations.next();
    await waitFor(() => next.log().includes('took the listening sockets'));
    old.process.kill('SIGKILL');
    await next.ready();
    const load = startLoad(port, 3, 2);
    await waitFor(() => load.answered > 100);
    await load.stop();
    expect(load.failures).toEqual([]);
  },
  20_000,
);

test.skipIf(!isLinux)('without a parent it starts as the first one, and says so', async () => {
  const proxy = startProxy(bootstrapOf(serveText('hello')), [
    '--restart-epoch',
    '1',
    '--base-id',
    String(process.pid),
  ]);
  await proxy.ready();
  expect(proxy.log()).toContain('cannot take over');
  expect(proxy.log()).toContain('no process listens for it');
});

test.skipIf(!isLinux)('a second process of one epoch is refused, with what to do', async () => {
  const generations = new Generations(bootstrapOf(serveText('hello')));
  await generations.first();
  const second = startProxy(generations.bootstrap, ['--restart-epoch', '0', '--base-id', generations.baseId]);
  expect(await second.process.exited).toBe(1);
  expect(second.log()).toContain(`another process is epoch 0 of base id ${generations.baseId}`);
});

test.skipIf(!isLinux)(
  'the path of a Unix socket stays, and belongs to the new process',
  async () => {
    const path = join(makeTempDir(), 'listener.sock');
    const bootstrap = {
      static_resources: {
        listeners: [
          { ...httpListener('main', { route_config: routeTo('origin') }), address: { pipe: { path } } },
        ],
        clusters: [staticCluster('origin', serveText('hello'))],
      },
    };
    const generations = new Generations(bootstrap);
    const old = await generations.first();
    const ask = (): Promise<string> =>
      fetch('http://a/', { unix: path, keepalive: false }).then((r) => r.text());
    expect(await ask()).toBe('hello');
    const next = generations.next();
    await next.ready();
    expect(await old.process.exited).toBe(0);
    expect(await ask()).toBe('hello');
    next.process.kill('SIGTERM');
    expect(await next.process.exited).toBe(0);
    expect(existsSync(path)).toBe(false);
  },
  20_000,
);

const canBeAnother =
  process.getuid?.() === 0 && Bun.which('setpriv') !== null && existsSync('/usr/bin/python3');
if (!canBeAnother) console.warn('skipped: another user needs root, setpriv and /usr/bin/python3');

test.skipIf(!isLinux || !canBeAnother)(
  'a process of another user gets nothing, and is reported',
  async () => {
    const generations = new Generations(bootstrapOf(serveText('hello')));
    const proxy = await generations.first();
    const script = `
import socket
s = socket.socket(socket.AF_UNIX)
s.connect('\\0sluice-hot-restart-0-${generations.baseId}-0')
try:
    s.sendall(b'{"type":"hello","protocol":1,"version":"0","epoch":1}\\n')
    print('got', s.recv(100))
except OSError as error:
    print('refused', error.errno)
`;
    const stranger = Bun.spawn(
      ['setpriv', '--reuid=65534', '--regid=65534', '--clear-groups', '/usr/bin/python3', '-c', script],
      { stdout: 'pipe' },
    );
    expect(await new Response(stranger.stdout).text()).toMatch(/^(got b''|refused)/);
    await waitFor(() => proxy.log().includes('a process of another user asked for our sockets'));
  },
);

test.skipIf(!isLinux)(
  'listeners of a control plane keep their sockets, wherever they were',
  async () => {
    const peer = await startAdsPeer();
    peer.put(xdsTypes.cluster, { origin: encodedCluster('origin', serveText('hello')) });
    const listen = (name: string): Uint8Array =>
      encoded(ListenerTable, httpListener(name, { route_config: routeTo('origin') }));
    peer.put(xdsTypes.listener, { one: listen('one'), two: listen('two') });
    const generations = new Generations(adsBootstrap(xdsCluster(peer.port)));
    const old = await generations.first();
    const load = startLoad(portOf(await old.address('two')), 2, 2);
    const next = generations.next();
    await next.ready();
    for (const name of ['one', 'two']) expect(await next.address(name)).toBe(await old.address(name));
    expect(await old.process.exited).toBe(0);
    const after = load.answered;
    await waitFor(() => load.answered > after + 100);
    await load.stop();
    expect(load.failures).toEqual([]);
  },
  30_000,
);
