/** HTTP/2 in the clear with clients and servers that others wrote: curl, h2load, nghttp, nghttpd and Node. */
import { afterAll, beforeAll, expect, test } from 'bun:test';
import { createHash, randomBytes } from 'node:crypto';
import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { cleanUp, freePort, makeTempDir, spawnCommand, startHttpOrigin } from '@sluice/testkit';
import { output, startH2Proxy, startNghttpd } from './h2-fixture.ts';
import { admin, findProgram, type ProxyUnderTest } from './proxy-fixture.ts';

afterAll(cleanUp);

const curl = findProgram('curl');
const h2load = findProgram('h2load');
const nghttp = findProgram('nghttp');
const node = findProgram('node');
const nghttpd = findProgram('nghttpd') ?? (existsSync('/usr/sbin/nghttpd') ? '/usr/sbin/nghttpd' : null);
const scripts = join(import.meta.dir, 'h2');
const large = randomBytes(20 * 2 ** 20);
let proxy: ProxyUnderTest;

beforeAll(async () => {
  const nodePort = freePort();
  if (node !== null)
    await spawnCommand([node, join(scripts, 'server.mjs'), String(nodePort)]).waitForLine(/listening/);
  proxy = await startH2Proxy(
    {
      h1: { port: startHttpOrigin().port, protocol: 'h1' },
      node: { port: nodePort, protocol: 'h2' },
      ...(nghttpd === null
        ? {}
        : {
            nghttpd: {
              port: await startNghttpd(nghttpd, { 'large.bin': large, small: Buffer.from('small') }),
              protocol: 'h2' as const,
            },
          }),
    },
    {
      access_log: [],
      http_protocol_options: {},
    },
    { h2c_upgrade: true },
  );
}, 30_000);

const url = (path: string): string => `http://127.0.0.1:${proxy.port}${path}`;
const runCurl = (...args: readonly string[]): Promise<string> =>
  output(['curl', '-sS', '--max-time', '20', ...args]);

const statuses = '%{http_version} %{http_code}';

test.skipIf(curl === null)(
  'curl speaks HTTP/2 by prior knowledge and by Upgrade, HTTP/1.1 behind',
  async () => {
    for (const flag of ['--http2-prior-knowledge', '--http2']) {
      const out = await runCurl(flag, '-H', 'Host: h1.test', '-o', '/dev/null', '-w', statuses, url('/'));
      expect(out).toBe('2 200');
    }
  },
);

test.skipIf(curl === null || nghttpd === null)('curl over HTTP/1.1 reaches nghttpd', async () => {
  const out = await runCurl('--http1.1', '-H', 'Host: nghttpd.test', '-w', ` ${statuses}`, url('/small'));
  expect(out).toBe('small 1.1 200');
});

test.skipIf(curl === null || nghttpd === null)(
  '20 MB come whole from nghttpd, in either protocol',
  async () => {
    const wanted = createHash('sha256').update(large).digest('hex');
    for (const flag of ['--http2-prior-knowledge', '--http1.1']) {
      const file = join(makeTempDir(), 'got');
      await runCurl(flag, '-H', 'Host: nghttpd.test', '-o', file, url('/large.bin'));
      expect(createHash('sha256').update(readFileSync(file)).digest('hex')).toBe(wanted);
    }
  },
);

test.skipIf(curl === null || nghttpd === null)('20 MB go whole to nghttpd and back', async () => {
  const folder = makeTempDir();
  const sent = join(folder, 'sent');
  writeFileSync(sent, large);
  for (const flag of ['--http2-prior-knowledge', '--http1.1']) {
    const file = join(folder, `got${flag}`);
    await runCurl(flag, '-H', 'Host: nghttpd.test', '--data-binary', `@${sent}`, '-o', file, url('/echo'));
    expect(readFileSync(file).equals(large)).toBe(true);
  }
});

test.skipIf(h2load === null || nghttpd === null)(
  'h2load: 20,000 requests over 10 × 32 streams, none fails',
  async () => {
    const shape = ['-n', '20000', '-c', '10', '-m', '32', '--header=:authority: nghttpd.test'];
    const out = await output(['h2load', ...shape, url('/small')]);
    expect(out).toContain('20000 succeeded, 0 failed, 0 errored, 0 timeout');
    expect(out).toContain('status codes: 20000 2xx');
  },
);

test.skipIf(nghttp === null || nghttpd === null)(
  'nghttp sends many requests with priorities at once',
  async () => {
    const paths = Array.from({ length: 20 }, (_, i) => url(`/small?${i}`));
    const out = await output(['nghttp', '-H:authority: nghttpd.test', ...paths]);
    expect(out).toBe('small'.repeat(20));
  },
);

test.skipIf(node === null)(
  'Node uploads 200 MB and gets them back',
  async () => {
    for (const host of ['node.test', 'nghttpd.test'].slice(0, nghttpd === null ? 1 : 2)) {
      const megabytes = host === 'node.test' ? '200' : '20';
      const out = await output([node!, join(scripts, 'upload.mjs'), String(proxy.port), host, megabytes]);
      expect(out.trim().split('\n')).toEqual(['status 200', 'same']);
    }
  },
  60_000,
);

test('what was carried is counted by protocol', async () => {
  const stats = await (await admin(proxy, '/stats')).text();
  const value = (name: string): number =>
    Number(new RegExp(`^${name}: (\\d+)$`, 'm').exec(stats)?.[1] ?? NaN);
  expect(value('http.e2e.downstream_cx_http2_total')).toBeGreaterThan(10);
  expect(value('http.e2e.downstream_rq_http2_total')).toBeGreaterThan(20_000);
  expect(value('http.e2e.downstream_cx_http1_total')).toBeGreaterThan(0);
  expect(value('cluster.node.upstream_cx_http2_total')).toBeGreaterThan(0);
  expect(value('cluster.h1.upstream_cx_http1_total')).toBeGreaterThan(0);
  expect(value('cluster.node.http2.streams_active')).toBe(0);
  expect(value('http2.streams_active')).toBe(0);
});
