/** The proxy as users run it: from its bundle, with everything that is loaded only when something asks for it. */
import { afterAll, beforeAll, expect, test } from 'bun:test';
import { appendFileSync, cpSync, existsSync, readFileSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import {
  cleanUp,
  freePort,
  makeTempDir,
  onCleanUp,
  spawnCommand,
  waitFor,
  type TestProcess,
} from '@sluice/testkit';
import { proxyCommand } from '../../packages/cli/src/process/proxy-bundle.ts';

interface Running {
  readonly process: TestProcess;
  readonly port: number;
  readonly adminPort: number;
}

let main = '';
let originPort = 0;

beforeAll(async () => {
  const warnings: string[] = [];
  main = (await proxyCommand((text) => warnings.push(text))).at(-1) ?? '';
  expect(warnings).toEqual([]);
  const origin = Bun.serve({ hostname: '127.0.0.1', port: 0, fetch: () => new Response('from the origin') });
  onCleanUp(() => origin.stop(true));
  originPort = origin.port ?? 0;
});

afterAll(cleanUp);

/** YAML that is no JSON, with a regular expression that no string operation can replace. */
function configText(port: number, adminPort: number, more = ''): string {
  const types = 'type.googleapis.com/envoy.extensions.filters';
  return `# a comment, as only YAML has
admin: { address: { socket_address: { address: 127.0.0.1, port_value: ${adminPort} } } }
${more}
static_resources:
  listeners:
  - name: main
    address: { socket_address: { address: 127.0.0.1, port_value: ${port} } }
    filter_chains:
    - filters:
      - name: http
        typed_config:
          "@type": ${types}.network.http_connection_manager.v3.HttpConnectionManager
          stat_prefix: main
          http_filters:
          - { name: envoy.filters.http.router, typed_config: { "@type": ${types}.http.router.v3.Router } }
          route_config:
            name: routes
            virtual_hosts:
            - name: all
              domains: ["*"]
              routes:
              - match: { safe_regex: { regex: "/v[0-9]+/(cart|order)s?" } }
                route: { cluster: origin }
              - match: { prefix: / }
                direct_response: { status: 418 }
  clusters:
  - name: origin
    type: STATIC
    connect_timeout: 1s
    load_assignment:
      cluster_name: origin
      endpoints:
      - lb_endpoints:
        - { endpoint: { address: { socket_address: { address: 127.0.0.1, port_value: ${originPort} } } } }
  - name: xds
    type: STATIC
    connect_timeout: 1s
    http2_protocol_options: {}
    load_assignment:
      cluster_name: xds
      endpoints:
      - lb_endpoints:
        - { endpoint: { address: { socket_address: { address: 127.0.0.1, port_value: ${originPort} } } } }
`;
}

async function start(entry: string, more = ''): Promise<Running> {
  const [port, adminPort] = [freePort(), freePort()];
  const config = join(makeTempDir(), 'config.yaml');
  writeFileSync(config, configText(port, adminPort, more));
  const process_ = spawnCommand([process.execPath, entry, '-c', config, '--drain-time-s', '1'], {
    name: 'the bundled proxy',
  });
  await waitFor(() => process_.output.includes('ready\tafterMs'), { what: 'the proxy to be ready' });
  return { process: process_, port, adminPort };
}

const get = (port: number, path: string): Promise<Response> => fetch(`http://127.0.0.1:${port}${path}`);

test('serves YAML configuration, a regular expression and the admin pages', async () => {
  const proxy = await start(main);
  const answer = await get(proxy.port, '/v2/carts');
  expect([answer.status, await answer.text()]).toEqual([200, 'from the origin']);
  expect((await get(proxy.port, '/v/carts')).status).toBe(418);
  const { adminPort } = proxy;
  expect((await get(adminPort, '/ready')).status).toBe(200);
  expect(await (await get(adminPort, '/clusters')).text()).toContain('origin::');
  expect(await (await get(adminPort, '/stats?filter=downstream_rq_(2xx|4xx)$')).text()).toContain(
    'http.main.downstream_rq_2xx: 1',
  );
  expect(await (await get(adminPort, '/stats/prometheus')).text()).toContain('envoy_');
  expect(await (await get(adminPort, '/config_dump')).json()).toHaveProperty('configs');
}, 30_000);

test('names the place of a mistake in YAML', async () => {
  const config = join(makeTempDir(), 'config.yaml');
  writeFileSync(config, `${configText(freePort(), freePort())}unknown_field: 1\n`);
  const child = Bun.spawn([process.execPath, main, '-c', config], { stderr: 'pipe' });
  const lastLine = readFileSync(config, 'utf8').split('\n').length - 1;
  expect(await child.stderr.text()).toContain(`config.yaml:${lastLine}:`);
  expect(await child.exited).toBe(1);
}, 30_000);

test('opens a stream of gRPC to a control plane', async () => {
  const more = `node: { id: a, cluster: a }
dynamic_resources:
  ads_config: { api_type: GRPC, transport_api_version: V3, grpc_services: [{ envoy_grpc: { cluster_name: xds } }] }
  cds_config: { ads: {} }
`;
  const [port, adminPort] = [freePort(), freePort()];
  const config = join(makeTempDir(), 'config.yaml');
  writeFileSync(config, configText(port, adminPort, more));
  const process_ = spawnCommand([process.execPath, main, '-c', config, '--drain-time-s', '1'], {
    name: 'the bundled proxy with a control plane',
  });
  // The origin speaks no HTTP/2: that this is found out needs the transport to be loaded and connected.
  await waitFor(() => process_.output.includes('the stream to the control plane ended'), {
    what: 'the stream to be tried',
  });
  expect((await get(port, '/v2/carts')).status).toBe(200);
}, 30_000);

test('starts a loop anew that died, and says where it died', async () => {
  const folder = join(makeTempDir(), 'bundle');
  cpSync(dirname(main), folder, { recursive: true });
  const flag = join(folder, 'died');
  appendFileSync(
    join(folder, 'worker.js'),
    `
import { existsSync as isThere, writeFileSync as put } from 'node:fs';
self.addEventListener('message', ({ data }) => {
  if (data.kind !== 'listen' || isThere(${JSON.stringify(flag)})) return;
  put(${JSON.stringify(flag)}, '');
  throw new Error('made to die');
});
`,
  );
  const proxy = await start(join(folder, 'main.js'));
  await waitFor(() => existsSync(flag) && proxy.process.output.includes('a data loop died'), {
    what: 'the loop to die',
  });
  expect(proxy.process.output).toContain('made to die');
  expect(await (await get(proxy.port, '/v2/orders')).text()).toBe('from the origin');
}, 30_000);
