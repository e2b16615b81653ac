/** PROXY protocol with HAProxy on both sides: it speaks to us, and we to it, in both versions. */
import { afterAll, beforeAll, expect, test } from 'bun:test';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { cleanUp, freePort, makeTempDir, spawnCommand, waitFor } from '@sluice/testkit';
import { findProgram } from './proxy-fixture.ts';
import {
  cluster,
  httpFilter,
  listener,
  listenerFilter,
  proxyTransport,
  startTcpProxy,
  tcpFilter,
  type TcpProxyUnderTest,
} from './tcp-fixture.ts';

afterAll(cleanUp);

const haproxy = findProgram('haproxy', '/usr/sbin');
const curl = findProgram('curl');
const isPossible = haproxy !== null && curl !== null && process.platform === 'linux';

/** The client's own address: another one of loopback. */
const client = '127.0.0.9';
let proxy: TcpProxyUnderTest;
/** Way → port of HAProxy's front. */
const fronts: Record<string, number> = {};

/** front (speaks a version of PROXY) → our listener → back (expects PROXY, says what it was told). */
beforeAll(async () => {
  if (!isPossible) return;
  const ways = ['v1-tcp', 'v2-tcp', 'v1-http', 'v2-http'];
  const ours = Object.fromEntries(ways.map((way) => [way, freePort()]));
  for (const way of ways) fronts[way] = freePort();
  const back = freePort();
  const speak = { v1: 'send-proxy', v2: 'send-proxy-v2 proxy-v2-options crc32c' } as const;
  const config = join(makeTempDir(), 'haproxy.cfg');
  writeFileSync(
    config,
    `global
  nbthread 1
defaults
  timeout client 10s
  timeout server 10s
  timeout connect 2s
${ways
  .map(
    (way) => `listen ${way}
  mode tcp
  bind 127.0.0.1:${fronts[way]}
  server ours 127.0.0.1:${ours[way]} ${speak[way.slice(0, 2) as 'v1' | 'v2']}`,
  )
  .join('\n')}
frontend back
  mode http
  bind 127.0.0.1:${back} accept-proxy
  http-request return status 200 content-type text/plain lf-string "%[src] %[dst]:%[dst_port] %[req.hdr(x-forwarded-for)]"
`,
  );
  spawnCommand([haproxy, '-db', '-f', config]);
  const filters = [listenerFilter('proxy_protocol')];
  proxy = await startTcpProxy({
    listeners: ways.map((way) => {
      const target = way.slice(0, 2);
      const filter = way.endsWith('tcp')
        ? tcpFilter({ cluster: target })
        : httpFilter([{ match: { prefix: '/' }, route: { cluster: target } }], { use_remote_address: true });
      return listener(way, ours[way]!, [{ filters: [filter] }], { listener_filters: filters });
    }),
    clusters: [cluster('v1', back, proxyTransport('V1')), cluster('v2', back, proxyTransport('V2'))],
  });
  await waitFor(async () => (await ask('v2-http')) !== '', { what: 'HAProxy to listen' });
}, 30_000);

async function ask(way: string): Promise<string> {
  const call = spawnCommand([curl!, '-s', '--interface', client, `http://127.0.0.1:${fronts[way]}/`]);
  await call.exited;
  return call.lines.join('\n');
}

for (const way of ['v1-tcp', 'v2-tcp', 'v1-http', 'v2-http']) {
  test.skipIf(!isPossible)(`the client's address passes ${way.replace('-', ' and ')}`, async () => {
    const forwarded = way.endsWith('http') ? client : '';
    expect((await ask(way)).trim()).toBe(`${client} 127.0.0.1:${fronts[way]} ${forwarded}`.trim());
  });
}

test.skipIf(!isPossible)(
  'logs name the client and the proxy before us, and headers are counted',
  async () => {
    await ask('v2-tcp');
    await ask('v2-http');
    await waitFor(() => proxy.lines().some((line) => line.startsWith(`200 ${client} 127.0.0.1`)));
    await waitFor(() =>
      proxy.lines().some((line) => line.startsWith('- ') && line.includes(` v2 ${client} `)),
    );
    expect(await proxy.stats('proxy_proto')).toMatch(/proxy_proto_v2_found: [1-9]/);
  },
);
