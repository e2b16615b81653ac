import { describe, expect, test } from 'bun:test';
import type { AdminReply } from './exchange.ts';
import { createAdminHandler } from './pages.ts';
import { redact } from './redact.ts';
import { smallConfig, TestSource } from './test-source.ts';

const memory = () => ({ heapUsed: 1, heapTotal: 3, rss: 10, external: 0 });

function ask(source: TestSource, target: string, method = 'GET'): Promise<AdminReply> {
  const url = new URL(target, 'http://localhost');
  return createAdminHandler(source, memory)({ method, path: url.pathname, query: url.searchParams });
}

async function bodyOf(source: TestSource, target: string): Promise<string> {
  const reply = await ask(source, target);
  expect(reply.status).toBe(200);
  return reply.body;
}

async function jsonOf(source: TestSource, target: string): Promise<unknown> {
  return JSON.parse(await bodyOf(source, target));
}

describe('/ready', () => {
  test('LIVE, or 503 with state and reason', async () => {
    const source = new TestSource();
    expect(await ask(source, '/ready')).toMatchObject({ status: 200, body: 'LIVE\n' });
    source.serverState = 'INITIALIZING';
    source.reason = 'waiting for listeners';
    expect(await ask(source, '/ready')).toMatchObject({
      status: 503,
      body: 'INITIALIZING\nwaiting for listeners\n',
    });
  });
});

describe('/stats', () => {
  test('text lines, sorted, histograms as quantiles', async () => {
    const lines = (await bodyOf(new TestSource(), '/stats')).split('\n');
    expect(lines).toContain('cluster.reviews.upstream_rq_total: 2');
    expect(lines).toContain('cluster.reviews.upstream_rq_200: 1');
    expect(lines).toContain('cluster.idle.upstream_cx_total: 0');
    expect(lines.find((line) => line.startsWith('cluster.reviews.upstream_rq_time: P0('))).toBeDefined();
    expect(lines.slice(0, -1)).toEqual(lines.slice(0, -1).sort());
  });

  test('filter, usedonly and type select', async () => {
    const source = new TestSource();
    expect(await bodyOf(source, '/stats?filter=rq_total$')).toBe('cluster.reviews.upstream_rq_total: 2\n');
    expect(await bodyOf(source, '/stats?usedonly&filter=idle')).toBe('');
    expect(await bodyOf(source, '/stats?type=Gauges&usedonly')).toBe(
      'cluster.reviews.upstream_rq_active: 1\n',
    );
    expect((await ask(source, '/stats?filter=(')).status).toBe(400);
    expect((await ask(source, '/stats?format=xml')).status).toBe(400);
  });

  test('JSON', async () => {
    expect(await jsonOf(new TestSource(), '/stats?format=json&filter=rq_2xx')).toEqual({
      stats: [{ name: 'cluster.reviews.upstream_rq_2xx', value: 1 }],
    });
  });

  test('Prometheus, in either place', async () => {
    const source = new TestSource();
    const expected = [
      '# HELP envoy_cluster_upstream_rq_total Attempts sent to the cluster.',
      '# TYPE envoy_cluster_upstream_rq_total counter',
      'envoy_cluster_upstream_rq_total{envoy_cluster_name="reviews"} 2',
      '',
    ].join('\n');
    expect(await bodyOf(source, '/stats?format=prometheus&filter=rq_total')).toBe(expected);
    expect(await bodyOf(source, '/stats/prometheus?filter=rq_total')).toBe(expected);
    expect(await bodyOf(source, '/stats/prometheus?format=openmetrics&filter=rq_total')).toEndWith('# EOF\n');
  });

  test('counters are shown from zero after a reset, gauges stay', async () => {
    const source = new TestSource();
    const ask1 = createAdminHandler(source, memory);
    const query = new URLSearchParams('filter=rq_(total|active)');
    expect(
      (await ask1({ method: 'POST', path: '/reset_counters', query: new URLSearchParams() })).status,
    ).toBe(200);
    const { body } = await ask1({ method: 'GET', path: '/stats', query });
    expect(body).toBe('cluster.reviews.upstream_rq_active: 1\ncluster.reviews.upstream_rq_total: 0\n');
  });
});

describe('/clusters', () => {
  test("Envoy's lines, loops added up", async () => {
    const lines = (await bodyOf(new TestSource(), '/clusters')).split('\n');
    for (const line of [
      'reviews::observability_name::reviews',
      'reviews::default_priority::max_connections::1024',
      'reviews::high_priority::max_retries::3',
      'reviews::added_via_api::true',
      'reviews::10.0.0.7:9080::cx_active::3',
      'reviews::10.0.0.7:9080::rq_total::30',
      'reviews::10.0.0.7:9080::rq_error::3',
      'reviews::10.0.0.7:9080::health_flags::healthy',
      'reviews::10.0.0.7:9080::region::eu',
    ]) {
      expect(lines).toContain(line);
    }
  });

  test('JSON', async () => {
    expect(await jsonOf(new TestSource(), '/clusters?format=json')).toMatchObject({
      cluster_statuses: [
        {
          name: 'reviews',
          added_via_api: true,
          host_statuses: [
            {
              address: { socket_address: { address: '10.0.0.7', port_value: 9080 } },
              health_status: { eds_health_status: 'HEALTHY' },
              weight: 1,
            },
          ],
        },
      ],
    });
  });
});

describe('/config_dump', () => {
  test('kinds, states, versions, rejections and what is not honoured', async () => {
    const source = new TestSource();
    source.configState = smallConfig();
    const dump = (await jsonOf(source, '/config_dump')) as { configs: Record<string, unknown>[] };
    expect(dump.configs.map((config) => config['@type'])).toEqual([
      'type.googleapis.com/envoy.admin.v3.BootstrapConfigDump',
      'type.googleapis.com/envoy.admin.v3.ClustersConfigDump',
      'type.googleapis.com/envoy.admin.v3.ListenersConfigDump',
      'type.googleapis.com/envoy.admin.v3.RoutesConfigDump',
      'type.googleapis.com/envoy.admin.v3.SecretsConfigDump',
    ]);
    expect(dump.configs[1]).toMatchObject({
      static_clusters: [{ cluster: { name: 'xds' }, last_updated: '2026-11-23T10:00:00.000Z' }],
      dynamic_active_clusters: [
        {
          version_info: 'v1',
          cluster: {
            '@type': 'type.googleapis.com/envoy.config.cluster.v3.Cluster',
            name: 'reviews',
            connect_timeout: '1.500s',
          },
          client_status: 'ACKED',
        },
      ],
      dynamic_warming_clusters: [{ cluster: { name: 'late' } }],
    });
    expect(dump.configs[2]).toMatchObject({
      dynamic_listeners: [
        {
          name: 'virtualOutbound',
          active_state: { version_info: 'v1', listener: { name: 'virtualOutbound' } },
          draining_state: { version_info: 'v0' },
          error_state: { details: 'timeout: not supported', version_info: 'v2' },
        },
        { name: 'never', error_state: { version_info: 'v2' } },
      ],
    });
    expect(dump).toMatchObject({
      unhonoured_fields: [{ name: 'reviews', path: 'lb_subset_config', message: 'not honoured: no subsets' }],
    });
  });

  test('endpoints on request', async () => {
    const source = new TestSource();
    source.configState = smallConfig();
    const dump = (await jsonOf(source, '/config_dump?include_eds')) as { configs: unknown[] };
    expect(dump.configs[4]).toMatchObject({
      dynamic_endpoint_configs: [{ endpoint_config: { cluster_name: 'reviews' } }],
    });
  });

  test('resource, mask and name_regex select', async () => {
    const source = new TestSource();
    source.configState = smallConfig();
    expect(await jsonOf(source, '/config_dump?resource=dynamic_active_clusters&mask=cluster.name')).toEqual({
      configs: [
        {
          '@type': 'type.googleapis.com/envoy.admin.v3.ClustersConfigDump.DynamicCluster',
          cluster: { '@type': 'type.googleapis.com/envoy.config.cluster.v3.Cluster', name: 'reviews' },
        },
      ],
    });
    expect(await jsonOf(source, '/config_dump?resource=dynamic_active_clusters&name_regex=^x')).toEqual({
      configs: [],
    });
    expect((await ask(source, '/config_dump?resource=secrets_of_the_house')).status).toBe(400);
  });

  test('secrets are taken out wherever they stand', () => {
    const redacted = redact({
      tls: {
        private_key: { inline_string: 'KEY', filename: '/etc/key' },
        certificate_chain: { inline_string: 'CERT' },
      },
      grpc: {
        initial_metadata: [
          { key: 'authorization', value: 'Bearer T' },
          { key: 'x-node', value: 'a' },
        ],
      },
      password: 'p',
    });
    expect(redacted).toEqual({
      tls: {
        private_key: { inline_string: '[redacted]', filename: '/etc/key' },
        certificate_chain: { inline_string: 'CERT' },
      },
      grpc: {
        initial_metadata: [
          { key: 'authorization', value: '[redacted]' },
          { key: 'x-node', value: 'a' },
        ],
      },
      password: '[redacted]',
    });
  });
});

describe('small pages', () => {
  test('/listeners', async () => {
    const source = new TestSource();
    expect(await bodyOf(source, '/listeners')).toBe(
      'virtualOutbound::0.0.0.0:15001\nsix::[::1]:80\nunix::/run/a.sock\n',
    );
    expect(await jsonOf(source, '/listeners?format=json')).toMatchObject({
      listener_statuses: [
        {
          name: 'virtualOutbound',
          local_address: { socket_address: { address: '0.0.0.0', port_value: 15001 } },
        },
        { local_address: { socket_address: { address: '::1', port_value: 80 } } },
        { local_address: { pipe: { path: '/run/a.sock' } } },
      ],
    });
  });

  test('/server_info', async () => {
    expect(await jsonOf(new TestSource(), '/server_info')).toMatchObject({
      version: '0.1.0',
      state: 'LIVE',
      uptime_current_epoch: '90s',
      node: { id: 'sidecar~10.0.0.5~a.default~default.svc.cluster.local', metadata: { token: '[redacted]' } },
    });
  });

  test('/runtime, /memory, /certs, /hot_restart_version, /help, /', async () => {
    const source = new TestSource();
    expect(await jsonOf(source, '/runtime')).toEqual({
      layers: ['base', 'admin'],
      entries: { 'a.b': { layer_values: ['1', '2'], final_value: '2' } },
    });
    expect(await jsonOf(source, '/memory')).toMatchObject({ allocated: '1', total_physical_bytes: '10' });
    expect(await jsonOf(source, '/certs')).toEqual({ certificates: [] });
    expect(await bodyOf(source, '/hot_restart_version')).toBe('disabled\n');
    expect(await bodyOf(source, '/help')).toContain('  /logging: ');
    expect(await bodyOf(source, '/')).toContain('<a href="/config_dump">');
  });
});

describe('changes', () => {
  const paths = [
    '/logging?level=debug',
    '/drain_listeners',
    '/healthcheck/fail',
    '/healthcheck/ok',
    '/quitquitquit',
    '/reset_counters',
  ];
  test.each(paths)('%s is refused by GET and changes nothing', async (path) => {
    const source = new TestSource();
    const before = { ...source.levels };
    expect(await ask(source, path)).toMatchObject({ status: 405, headers: { allow: 'POST' } });
    expect([source.asked, source.levels]).toEqual([[], before]);
  });

  test('methods that nobody serves are 405, unknown paths 404', async () => {
    expect((await ask(new TestSource(), '/stats', 'DELETE')).status).toBe(405);
    expect((await ask(new TestSource(), '/nothing')).status).toBe(404);
  });

  test('log levels of all, of one, of several; a wrong one changes none', async () => {
    const source = new TestSource();
    expect((await ask(source, '/logging?level=debug', 'POST')).body).toBe(
      'active loggers:\n  router: debug\n  pool: debug\n',
    );
    await ask(source, '/logging?router=warn', 'POST');
    expect(source.levels).toEqual({ router: 'warning', pool: 'debug' });
    await ask(source, '/logging?paths=router:error,pool:off', 'POST');
    expect(source.levels).toEqual({ router: 'error', pool: 'off' });
    expect((await ask(source, '/logging?paths=router:info,pool:loud', 'POST')).status).toBe(400);
    expect((await ask(source, '/logging?nobody=info', 'POST')).status).toBe(400);
    expect(source.levels).toEqual({ router: 'error', pool: 'off' });
  });

  test('drain, health checks, quit after the reply', async () => {
    const source = new TestSource();
    await ask(source, '/drain_listeners?graceful&inboundonly', 'POST');
    await ask(source, '/healthcheck/fail', 'POST');
    await ask(source, '/healthcheck/ok', 'POST');
    const reply = await ask(source, '/quitquitquit', 'POST');
    expect(source.asked).toEqual([
      'drain {"isGraceful":true,"isInboundOnly":true,"skipsExit":false}',
      'fail',
      'pass',
    ]);
    reply.afterwards?.();
    expect(source.asked.at(-1)).toBe('quit');
  });

  test('a page that fails answers 500 and the server lives on', async () => {
    const source = new TestSource();
    source.loopReports = () => Promise.reject(new Error('no loop answered'));
    expect(await ask(source, '/clusters')).toMatchObject({ status: 500, body: 'no loop answered\n' });
    expect((await ask(source, '/ready')).status).toBe(200);
  });
});
