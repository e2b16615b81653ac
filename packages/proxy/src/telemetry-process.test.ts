/** What a running proxy tells of itself: metrics, health, access log, over real sockets and files. */
import { afterEach, describe, expect, test } from 'bun:test';
import { existsSync, readFileSync, renameSync } from 'node:fs';
import { join } from 'node:path';
import { cleanUp, makeTempDir, onCleanUp, waitFor } from '@sluice/testkit';
import { httpManager, startProxy, staticCluster, type StartedProxy } from './proxy-process.test-double.ts';

afterEach(cleanUp);

const inbound = 'inbound|8080||';
const services = [{ host: 'shop.default.svc.cluster.local', name: 'shop', namespace: 'default' }];

/** Answers 503 as often as told, then 200. */
function flakyOrigin(): { port: number; failNext: (times: number) => void } {
  let failures = 0;
  const server = Bun.serve({
    hostname: '127.0.0.1',
    port: 0,
    fetch: () => new Response('x', { status: failures-- > 0 ? 503 : 200 }),
  });
  onCleanUp(() => server.stop(true));
  return { port: server.port ?? 0, failNext: (times) => (failures = times) };
}

function member(port_value: number, health_status: string): object {
  return { health_status, endpoint: { address: { socket_address: { address: '127.0.0.1', port_value } } } };
}

function bootstrap(port: number, accessLogPath: string): object {
  const routes = [
    {
      match: { prefix: '/' },
      route: {
        cluster: inbound,
        retry_policy: { retry_on: '5xx', num_retries: 2, retry_back_off: { base_interval: '0.001s' } },
      },
    },
  ];
  const manager = httpManager({
    route_config: { name: 'local', virtual_hosts: [{ name: 'all', domains: ['*'], routes }] },
    access_log: [
      {
        name: 'file',
        typed_config: {
          '@type': 'type.googleapis.com/envoy.extensions.access_loggers.file.v3.FileAccessLog',
          path: accessLogPath,
          log_format: {
            text_format_source: {
              inline_string: '%REQ(:PATH)% %DOWNSTREAM_REMOTE_ADDRESS% %RESPONSE_CODE%\n',
            },
          },
        },
      },
    ],
  });
  const listener = {
    name: 'in',
    traffic_direction: 'INBOUND',
    address: { socket_address: { address: '127.0.0.1', port_value: 0 } },
    filter_chains: [{ filters: [{ name: 'http', typed_config: manager }] }],
  };
  const cluster = {
    ...staticCluster(inbound),
    load_assignment: {
      cluster_name: inbound,
      endpoints: [{ lb_endpoints: [member(port, 'HEALTHY'), member(1, 'UNHEALTHY')] }],
    },
    metadata: { filter_metadata: { istio: { services } } },
  };
  return {
    node: { id: 'n', metadata: { WORKLOAD_NAME: 'shop-v1', NAMESPACE: 'default', LABELS: { app: 'shop' } } },
    static_resources: { listeners: [listener], clusters: [cluster] },
  };
}

async function addressOf(proxy: StartedProxy, server: string): Promise<string> {
  const pattern = new RegExp(`${server}\\taddress=(\\S+)`);
  await waitFor(() => pattern.test(proxy.log()));
  return pattern.exec(proxy.log())?.[1] ?? '';
}

/** Value of the first series that has all these words. */
function valueOf(text: string, ...words: string[]): number | null {
  const line = text
    .split('\n')
    .find((row) => !row.startsWith('#') && words.every((word) => row.includes(word)));
  return line === undefined ? null : Number(line.slice(line.lastIndexOf(' ') + 1));
}

describe('a running proxy', () => {
  test('counts requests, retries, members and services, and shows them in both scrapes', async () => {
    const origin = flakyOrigin();
    const proxy = startProxy(bootstrap(origin.port, '/dev/null'), [
      '--prometheus-address',
      '127.0.0.1:0',
      '--health-address=127.0.0.1:0',
    ]);
    await proxy.ready();
    const base = `http://${await proxy.address('in')}`;
    origin.failNext(1);
    expect((await fetch(base)).status).toBe(200);
    origin.failNext(3);
    expect((await fetch(base)).status).toBe(503);

    const scrape = `http://${await addressOf(proxy, 'prometheus')}/stats/prometheus`;
    // Metrics follow the response: the last request's may come a moment after its answer.
    await waitFor(
      async () =>
        valueOf(await (await fetch(scrape)).text(), 'istio_requests_total', 'response_code="503"') !== null,
      {
        what: 'the last request in the metrics',
      },
    );
    const pages = [await fetch(scrape), await proxy.admin('/stats/prometheus')];
    for (const text of await Promise.all(pages.map((page) => page.text()))) {
      const ofCluster = 'envoy_cluster_name="inbound|8080||"';
      expect(valueOf(text, 'envoy_cluster_membership_total', ofCluster)).toBe(2);
      expect(valueOf(text, 'envoy_cluster_membership_healthy', ofCluster)).toBe(1);
      expect(valueOf(text, 'envoy_cluster_upstream_rq_retry{', ofCluster)).toBe(3);
      expect(valueOf(text, 'envoy_cluster_upstream_rq_retry_success{', ofCluster)).toBe(1);
      expect(valueOf(text, 'envoy_cluster_upstream_rq_retry_limit_exceeded{', ofCluster)).toBe(1);
      const labels = ['istio_requests_total', 'reporter="destination"', 'destination_workload="shop-v1"'];
      const service = 'destination_service="shop.default.svc.cluster.local"';
      expect(valueOf(text, ...labels, service, 'response_code="200"')).toBe(1);
      expect(valueOf(text, ...labels, 'destination_service_name="shop"', 'response_code="503"')).toBe(1);
      expect(valueOf(text, 'envoy_server_live')).toBe(1);
    }
    const elsewhere = await fetch(scrape.replace('/stats/prometheus', '/config_dump'));
    expect(elsewhere.status).toBe(404);
    const health = `http://${await addressOf(proxy, 'health')}/healthz/ready`;
    expect((await fetch(health)).status).toBe(200);
    await proxy.admin('/healthcheck/fail', 'POST');
    expect((await fetch(health)).status).toBe(503);
  });

  test('opens the Prometheus port that the node asks for', async () => {
    const free = Bun.serve({ hostname: '127.0.0.1', port: 0, fetch: () => new Response() });
    const port = free.port ?? 0;
    await free.stop(true);
    const proxy = startProxy({ node: { id: 'n', metadata: { ENVOY_PROMETHEUS_PORT: port } } });
    expect(await addressOf(proxy, 'prometheus')).toBe(`0.0.0.0:${port}`);
    expect((await fetch(`http://127.0.0.1:${port}/stats/prometheus`)).status).toBe(200);
    expect(proxy.log()).not.toContain('health\t');
  });

  test("logs the client's port, opens its log anew on SIGUSR1 and writes all of it before it ends", async () => {
    const path = join(makeTempDir(), 'access.log');
    const origin = flakyOrigin();
    const proxy = startProxy(bootstrap(origin.port, path), ['--allow-access-log-path', path]);
    await proxy.ready();
    const base = `http://${await proxy.address('in')}`;
    await (await fetch(`${base}/one`)).text();
    await waitFor(() => existsSync(path) && readFileSync(path, 'utf8').includes('/one'));
    expect(readFileSync(path, 'utf8')).toMatch(/^\/one 127\.0\.0\.1:[1-9]\d* 200\n$/);
    renameSync(path, `${path}.old`);
    proxy.process.kill('SIGUSR1');
    await waitFor(() => proxy.log().includes('log files reopened'));
    await (await fetch(`${base}/two`)).text();
    proxy.process.kill('SIGTERM');
    expect(await proxy.process.exited).toBe(0);
    expect(readFileSync(path, 'utf8')).toStartWith('/two ');
    expect(readFileSync(`${path}.old`, 'utf8')).not.toContain('/two');
  });
});
