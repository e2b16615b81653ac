/** Real processes: started from a bootstrap, configured over ADS, ended by signals. */
import { afterEach, describe, expect, test } from 'bun:test';
import { cleanUp, onCleanUp, serveText, waitFor } from '@sluice/testkit';
import {
  ClusterLoadAssignmentTable,
  ClusterTable,
  RouteConfigurationTable,
  VirtualHostTable,
  xdsTypes,
} from '@sluice/xds';
import {
  adsBootstrap,
  encoded,
  encodedCluster,
  encodedListener,
  encodedRoutes,
  startAdsPeer,
  xdsCluster,
} from './ads-bootstrap.test-double.ts';
import { assignment, httpListener, routeTo, startProxy, staticCluster } from './proxy-process.test-double.ts';
import { AdsPeer } from './xds/ads-peer.test-double.ts';

afterEach(cleanUp);

const eds = (name: string): Uint8Array =>
  encoded(ClusterTable, {
    name,
    type: 'EDS',
    connect_timeout: '1s',
    eds_cluster_config: { eds_config: { ads: {} } },
  });
const endpoints = (name: string, ...ports: number[]): Uint8Array =>
  encoded(ClusterLoadAssignmentTable, assignment(name, ...ports));

const node = { id: 'sidecar~127.0.0.1~a.default~default.svc.cluster.local', cluster: 'a.default' };
const initialMetadata = [{ key: 'authorization', value: 'Bearer t0ken' }];
const dynamic = (port: number, apiType = 'GRPC'): object =>
  adsBootstrap(xdsCluster(port), { apiType, node, initialMetadata });

describe('a proxy with static resources', () => {
  test('forwards a request, ends what is in flight on SIGTERM and exits with 0', async () => {
    const held = Promise.withResolvers<void>();
    const server = Bun.serve({
      hostname: '127.0.0.1',
      port: 0,
      async fetch(request) {
        if (new URL(request.url).pathname === '/slow') await held.promise;
        return new Response('from the origin');
      },
    });
    onCleanUp(() => server.stop(true));
    const listener = httpListener('main', { route_config: routeTo('origin') });
    const proxy = startProxy({
      static_resources: { listeners: [listener], clusters: [staticCluster('origin', server.port ?? 0)] },
    });
    await proxy.ready();
    const base = `http://${await proxy.address('main')}`;
    expect(await (await fetch(base)).text()).toBe('from the origin');
    expect(await (await proxy.admin('/ready')).text()).toContain('LIVE');
    const slow = fetch(`${base}/slow`);
    await waitFor(() => server.pendingRequests === 1);
    proxy.process.kill('SIGTERM');
    await waitFor(() => proxy.log().includes('draining'));
    expect((await proxy.admin('/ready')).status).toBe(503);
    await waitFor(async () => (await fetch(base).catch(() => 'refused')) === 'refused');
    held.resolve();
    const answer = await slow;
    expect(await answer.text()).toBe('from the origin');
    expect(await proxy.process.exited).toBe(0);
  });

  test('a second signal ends it at once', async () => {
    const server = Bun.serve({
      hostname: '127.0.0.1',
      port: 0,
      fetch: () => new Promise<Response>(() => undefined),
    });
    onCleanUp(() => server.stop(true));
    const listener = httpListener('main', { route_config: routeTo('origin') });
    const proxy = startProxy({
      static_resources: { listeners: [listener], clusters: [staticCluster('origin', server.port ?? 0)] },
    });
    await proxy.ready();
    const stuck = fetch(`http://${await proxy.address('main')}`).catch(() => 'cut');
    await waitFor(() => server.pendingRequests === 1);
    proxy.process.kill('SIGTERM');
    await waitFor(() => proxy.log().includes('draining'));
    // An echo of the first, as a process group or a wrapper makes it, ends nothing.
    proxy.process.kill('SIGTERM');
    // Longer than that, and it is meant.
    await Bun.sleep(600);
    expect(proxy.log()).not.toContain('ending at once');
    proxy.process.kill('SIGTERM');
    expect(await proxy.process.exited).toBe(130);
    expect(await stuck).toBe('cut');
  });

  test('a configuration that is wrong in several places names all of them and exits with 1', async () => {
    const listener = httpListener('main', { route_config: routeTo('') });
    const cluster = {
      ...staticCluster('origin', 80),
      lb_policy: 'RING_HASH',
      health_checks: [{ interval: '1s' }],
    };
    const proxy = startProxy({ static_resources: { listeners: [listener], clusters: [cluster] } });
    expect(await proxy.process.exited).toBe(1);
    expect(proxy.log()).toContain('static_resources.clusters[0] (origin): lb_policy: not honoured');
    expect(proxy.log()).toContain('static_resources.clusters[0] (origin): health_checks: not honoured');
    expect(proxy.log()).toContain('virtual_hosts[0].routes[0].route: must name a cluster');
  });
});

describe('a proxy configured over ADS', () => {
  test.each(['GRPC', 'DELTA_GRPC'])(
    '%s: warms clusters, endpoints, listeners and routes in order and serves',
    async (apiType) => {
      const peer = await startAdsPeer();
      peer.put(xdsTypes.cluster, { a: eds('a') });
      const proxy = startProxy(dynamic(peer.port, apiType));
      await peer.until(() => peer.subscriptions.get(xdsTypes.endpoint)?.includes('a') === true);
      expect(peer.authorizations).toEqual(['Bearer t0ken']);
      expect(peer.nodes[0]).toMatchObject({
        cluster: 'a.default',
        metadata: { SLUICE_CAPABILITIES: expect.arrayContaining(['sluice.dev/vhds']) },
      });
      expect(peer.subscriptions.has(xdsTypes.listener)).toBe(false);
      expect(await (await proxy.admin('/ready')).text()).toContain('INITIALIZING');
      peer.put(xdsTypes.listener, { main: encodedListener('main', 'table') });
      peer.put(xdsTypes.endpoint, { a: endpoints('a', serveText('one')) });
      await peer.until(() => peer.subscriptions.get(xdsTypes.route)?.includes('table') === true);
      expect(proxy.log()).not.toContain('listening');
      peer.put(xdsTypes.route, { table: encodedRoutes('a', 'table') });
      await proxy.ready();
      const base = `http://${await proxy.address('main')}`;
      expect(await (await fetch(base)).text()).toBe('one');
      peer.put(xdsTypes.endpoint, { a: endpoints('a', serveText('two')) });
      await waitFor(async () => (await (await fetch(base)).text()) === 'two');
      expect(peer.nacks).toEqual([]);
    },
  );

  test('a refused resource is NACKed with its paths, its companions are taken and the last good one serves', async () => {
    const peer = await startAdsPeer();
    peer.put(xdsTypes.cluster, { a: eds('a') });
    peer.put(xdsTypes.endpoint, { a: endpoints('a', serveText('a')), b: endpoints('b', serveText('b')) });
    peer.put(xdsTypes.listener, { main: encodedListener('main', 'table') });
    peer.put(xdsTypes.route, { table: encodedRoutes('a', 'table') });
    const proxy = startProxy(dynamic(peer.port));
    await proxy.ready();
    const base = `http://${await proxy.address('main')}`;
    const broken = {
      name: 'table',
      virtual_hosts: [
        {
          name: 'all',
          domains: ['*'],
          routes: [{ match: { safe_regex: { regex: '(' } }, route: { cluster: 'a' } }],
        },
      ],
    };
    peer.put(xdsTypes.route, { table: encoded(RouteConfigurationTable, broken) });
    await peer.until(() => peer.nacks.length === 1);
    expect(peer.nacks[0]?.message).toStartWith('table: virtual_hosts[0].routes[0].match.safe_regex.regex: ');
    expect(await (await fetch(base)).text()).toBe('a');
    const bad = encoded(ClusterTable, {
      name: 'bad',
      type: 'STATIC',
      outlier_detection: {},
      load_assignment: assignment('bad', 1),
    });
    peer.put(xdsTypes.cluster, { a: eds('a'), b: eds('b'), bad });
    await peer.until(() => peer.nacks.length === 2);
    expect(peer.nacks[1]?.message).toBe('bad: outlier_detection: not honoured: not supported by this proxy');
    await peer.until(() => peer.subscriptions.get(xdsTypes.endpoint)?.includes('b') === true);
    peer.put(xdsTypes.route, { table: encodedRoutes('b', 'table') });
    await waitFor(async () => (await (await fetch(base)).text()) === 'b');
  });

  test('a listener whose port is taken is refused by name and owner, and the others serve', async () => {
    const taken = serveText('other');
    const peer = await startAdsPeer();
    peer.put(xdsTypes.cluster, { a: encodedCluster('a', serveText('a')) });
    peer.put(xdsTypes.listener, {
      clash: encodedListener('clash', 'table', taken),
      main: encodedListener('main', 'table'),
    });
    peer.put(xdsTypes.route, { table: encodedRoutes('a', 'table') });
    const proxy = startProxy(dynamic(peer.port));
    await peer.until(() => peer.nacks.length === 1);
    expect(peer.nacks[0]?.message).toContain(
      `clash: cannot bind 127.0.0.1:${taken}: the address is in use by process ${process.pid}`,
    );
    expect(await (await fetch(`http://${await proxy.address('main')}`)).text()).toBe('a');
  });

  test('VHDS changes one virtual host of a live table', async () => {
    const peer = await startAdsPeer();
    const host = (cluster: string): Uint8Array =>
      encoded(VirtualHostTable, {
        name: 'shop',
        domains: ['shop'],
        routes: [{ match: { prefix: '/' }, route: { cluster } }],
      });
    peer.put(xdsTypes.cluster, {
      a: encodedCluster('a', serveText('a')),
      b: encodedCluster('b', serveText('b')),
    });
    peer.put(xdsTypes.listener, { main: encodedListener('main', 'table') });
    peer.put(xdsTypes.route, {
      table: encoded(RouteConfigurationTable, { name: 'table', vhds: { config_source: { ads: {} } } }),
    });
    peer.put(xdsTypes.virtualHost, { 'table/shop': host('a') });
    const proxy = startProxy(dynamic(peer.port, 'DELTA_GRPC'));
    const ask = async (): Promise<string> =>
      (await fetch(`http://${await proxy.address('main')}`, { headers: { host: 'shop' } })).text();
    await waitFor(async () => (await ask()) === 'a');
    peer.put(xdsTypes.virtualHost, { 'table/shop': host('b') });
    await waitFor(async () => (await ask()) === 'b');
    expect(peer.nacks).toEqual([]);
  });

  test('traffic flows on while the control plane is away, and updates come after it is back', async () => {
    const peer = new AdsPeer();
    await peer.listen();
    const { port } = peer;
    const resources = (text: string, to: AdsPeer): void => {
      to.put(xdsTypes.cluster, { a: encodedCluster('a', serveText(text)) });
      to.put(xdsTypes.listener, { main: encodedListener('main', 'table') });
      to.put(xdsTypes.route, { table: encodedRoutes('a', 'table') });
    };
    resources('before', peer);
    const proxy = startProxy(dynamic(port));
    await proxy.ready();
    const base = `http://${await proxy.address('main')}`;
    peer.close();
    await waitFor(() => proxy.log().includes('the configuration stays as it is'));
    expect(await (await fetch(base)).text()).toBe('before');
    const next = new AdsPeer();
    await next.listen(port);
    onCleanUp(() => next.close());
    resources('after', next);
    await waitFor(async () => (await (await fetch(base)).text()) === 'after');
  });
});

describe('data loops', () => {
  test('several loops share one listening socket, and admin shows what they did', async () => {
    const peer = await startAdsPeer();
    peer.put(xdsTypes.cluster, { a: encodedCluster('a', serveText('a')) });
    peer.put(xdsTypes.listener, { main: encodedListener('main', 'table') });
    peer.put(xdsTypes.route, { table: encodedRoutes('a', 'table') });
    const proxy = startProxy(dynamic(peer.port), ['--concurrency', '2']);
    await proxy.ready();
    const base = `http://${await proxy.address('main')}`;
    const answers = await Promise.all(
      Array.from({ length: 20 }, async () => (await fetch(base, { keepalive: false })).text()),
    );
    expect(new Set(answers)).toEqual(new Set(['a']));
    expect(await (await proxy.admin('/clusters')).text()).toContain('a::127.0.0.1');
    expect(JSON.stringify(await (await proxy.admin('/config_dump')).json())).toContain('dynamic_listeners');
    expect(await (await proxy.admin('/stats/prometheus')).text()).toContain('envoy_cluster_upstream_rq');
  });
});

describe('removal and listeners that stop', () => {
  test('a removed listener refuses, its companions serve; /drain_listeners stops the rest without ending the process', async () => {
    const peer = await startAdsPeer();
    const clusters = { a: eds('a'), b: eds('b') };
    peer.put(xdsTypes.cluster, clusters);
    peer.put(xdsTypes.endpoint, { a: endpoints('a', serveText('a')), b: endpoints('b', serveText('b')) });
    peer.put(xdsTypes.listener, { one: encodedListener('one', 'ta'), two: encodedListener('two', 'tb') });
    const tables = {
      ta: encodedRoutes('a', 'ta'),
      tb: encodedRoutes('b', 'tb'),
    };
    peer.put(xdsTypes.route, tables);
    const proxy = startProxy(dynamic(peer.port));
    await proxy.ready();
    const ask = async (name: string): Promise<string> =>
      fetch(`http://${await proxy.address(name)}`, { keepalive: false }).then(
        (answer) => answer.text(),
        () => 'refused',
      );
    expect([await ask('one'), await ask('two')]).toEqual(['a', 'b']);
    peer.put(xdsTypes.listener, { two: encodedListener('two', 'tb') });
    await waitFor(async () => (await ask('one')) === 'refused');
    peer.put(xdsTypes.cluster, { b: eds('b') });
    await peer.until(() => peer.subscriptions.get(xdsTypes.endpoint)?.join() === 'b');
    expect(await ask('two')).toBe('b');
    expect((await proxy.admin('/drain_listeners', 'POST')).status).toBe(200);
    await waitFor(async () => (await ask('two')) === 'refused');
    expect(proxy.process.exitCode).toBeNull();
    expect((await proxy.admin('/quitquitquit', 'POST')).status).toBe(200);
    expect(await proxy.process.exited).toBe(0);
  });

  test('SIGUSR1 reopens log files, SIGHUP is only noticed', async () => {
    const listener = httpListener('main', { route_config: routeTo('origin') });
    const proxy = startProxy({
      static_resources: { listeners: [listener], clusters: [staticCluster('origin', 1)] },
    });
    await proxy.ready();
    proxy.process.kill('SIGUSR1');
    await waitFor(() => proxy.log().includes('log files reopened'));
    proxy.process.kill('SIGHUP');
    await waitFor(() => proxy.log().includes('SIGHUP is ignored'));
    const refused = await fetch(`http://${await proxy.address('main')}`);
    expect(refused.status).toBe(503);
  });
});
