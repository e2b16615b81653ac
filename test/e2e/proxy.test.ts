/** The proxy as a process, in front of servers that others wrote, used by clients that others wrote. */
import { afterAll, beforeAll, expect, test } from 'bun:test';
import { createHash, randomBytes } from 'node:crypto';
import { existsSync, readFileSync, renameSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import {
  cleanUp,
  connectPeer,
  makeTempDir,
  spawnBun,
  startHttpOrigin,
  startOrigin,
  waitFor,
} from '@sluice/testkit';
import {
  admin,
  bootstrapOf,
  findProgram,
  proxyMain,
  residentMb,
  startHttpbin,
  startNginx,
  startProxy,
  startPython,
  type ProxyUnderTest,
} from './proxy-fixture.ts';

afterAll(cleanUp);

const httpbin = findProgram('go-httpbin', 'go/bin');
const nginx = findProgram('nginx') ?? (existsSync('/usr/sbin/nginx') ? '/usr/sbin/nginx' : null);
const python = findProgram('python3');
const curl = findProgram('curl');

const largeBytes = 64 * 2 ** 20;
const served = makeTempDir();
const large = join(served, 'large.bin');
let proxy: ProxyUnderTest;

beforeAll(async () => {
  writeFileSync(large, randomBytes(largeBytes));
  const websocket = startOrigin(async (connection) => {
    await connection.readHead();
    await connection.write(
      'HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n',
    );
    for (let chunk = await connection.read(); chunk !== undefined; chunk = await connection.read())
      await connection.write(chunk);
    connection.end();
  });
  proxy = await startProxy({
    raw: startHttpOrigin().port,
    websocket: websocket.port,
    ...(httpbin === null ? {} : { httpbin: await startHttpbin(httpbin) }),
    ...(nginx === null ? {} : { nginx: await startNginx(nginx, served) }),
    ...(python === null ? {} : { python: await startPython(python, served) }),
  });
}, 30_000);

function call(host: string, path: string, init: RequestInit = {}): Promise<Response> {
  return fetch(`http://127.0.0.1:${proxy.port}${path}`, {
    ...init,
    headers: { host: `${host}.test`, ...init.headers },
  });
}

async function runCurl(...args: readonly string[]): Promise<string> {
  const child = Bun.spawn(['curl', '-sS', '--max-time', '15', ...args], { stdout: 'pipe', stderr: 'pipe' });
  const [out, error, code] = await Promise.all([
    new Response(child.stdout).text(),
    new Response(child.stderr).text(),
    child.exited,
  ]);
  if (code !== 0) throw new Error(`curl ended with ${code}: ${error}`);
  return out;
}

test.skipIf(httpbin === null)(
  'go-httpbin answers through it, methods, headers and bodies intact',
  async () => {
    const got = (await (
      await call('httpbin', '/get?a=1&b=%20', { headers: { 'X-Own': 'value' } })
    ).json()) as {
      args: object;
      headers: Record<string, string[]>;
    };
    expect(got.args).toEqual({ a: ['1'], b: [' '] });
    expect(got.headers['X-Own']).toEqual(['value']);
    expect(got.headers['X-Request-Id']?.[0]).toMatch(/^[0-9a-f-]{36}$/);
    const posted = (await (await call('httpbin', '/post', { method: 'POST', body: 'some text' })).json()) as {
      data: string;
    };
    expect(posted.data).toEndWith(Buffer.from('some text').toString('base64'));
    for (const status of [204, 304, 404, 418, 503])
      expect((await call('httpbin', `/status/${status}`)).status).toBe(status);
    expect(
      await (await call('httpbin', '/stream-bytes/100000?seed=1&chunk_size=1000')).arrayBuffer(),
    ).toHaveProperty('byteLength', 100_000);
  },
);

test.skipIf(python === null)(
  "Python's http.server, which closes each connection, is served through it",
  async () => {
    for (let i = 0; i < 5; i++) {
      const response = await call('python', '/large.bin', { method: 'HEAD' });
      expect([response.status, response.headers.get('content-length')]).toEqual([200, String(largeBytes)]);
    }
    expect((await call('python', '/nothing')).status).toBe(404);
  },
);

test.skipIf(nginx === null || curl === null)(
  '64 MiB go both ways unharmed, in bounded memory',
  async () => {
    const wanted = createHash('sha256').update(readFileSync(large)).digest('hex');
    const before = residentMb(proxy.process.pid);
    const down = join(served, 'down.bin');
    const host = ['-H', 'Host: nginx.test'];
    await runCurl(...host, '-o', down, `http://127.0.0.1:${proxy.port}/large.bin`);
    expect(createHash('sha256').update(readFileSync(down)).digest('hex')).toBe(wanted);
    await runCurl(...host, '-T', large, `http://127.0.0.1:${proxy.port}/put/up.bin`);
    expect(
      createHash('sha256')
        .update(readFileSync(join(served, 'put/up.bin')))
        .digest('hex'),
    ).toBe(wanted);
    await runCurl(
      ...host,
      '-H',
      'Transfer-Encoding: chunked',
      '-T',
      large,
      `http://127.0.0.1:${proxy.port}/put/chunked.bin`,
    );
    expect(statSync(join(served, 'put/chunked.bin')).size).toBe(largeBytes);
    // 192 MiB have passed; a proxy that kept one body whole would have grown by more than this.
    expect(residentMb(proxy.process.pid) - before).toBeLessThan(60);
  },
  60_000,
);

test.skipIf(curl === null)('curl --http1.0 is answered', async () => {
  const text = await runCurl('-i', '--http1.0', '-H', 'Host: raw.test', `http://127.0.0.1:${proxy.port}/old`);
  expect(text).toStartWith('HTTP/1.1 200 OK');
  expect(text).toContain('"target":"/old"');
});

test('one connection carries request after request, pipelined ones too', async () => {
  const peer = await connectPeer(proxy.port);
  await peer.write('GET /1 HTTP/1.1\r\nHost: raw.test\r\n\r\n');
  expect(await peer.readThrough('"connectionIndex":0}')).toContain('"/1"');
  const pipelined = ['/2', '/3', '/4'].map(
    (path) => `POST ${path} HTTP/1.1\r\nHost: raw.test\r\nContent-Length: 1\r\n\r\nx`,
  );
  await peer.write(pipelined.join(''));
  for (const path of ['/2', '/3', '/4']) expect(await peer.readThrough('}')).toContain(`"target":"${path}"`);
  peer.reset();
});

test('a WebSocket is carried as opaque bytes, both ways, until either side ends', async () => {
  const peer = await connectPeer(proxy.port);
  await peer.write(
    'GET /chat HTTP/1.1\r\nHost: websocket.test\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n',
  );
  expect(await peer.readHead()).toStartWith('HTTP/1.1 101');
  for (const message of ['\x81\x05hello', 'anything at all', 'x'.repeat(100_000)]) {
    await peer.write(message);
    expect(Buffer.from((await peer.readExactly(message.length)) ?? []).toString('latin1')).toBe(message);
  }
  peer.end();
  expect(await peer.readToEnd()).toHaveLength(0);
});

test('admin pages answer as Envoy users expect', async () => {
  for (const path of [
    '/ready',
    '/stats',
    '/stats/prometheus',
    '/clusters',
    '/listeners',
    '/config_dump',
    '/server_info',
  ]) {
    expect([path, (await admin(proxy, path)).status]).toEqual([path, 200]);
  }
  expect(await (await admin(proxy, '/clusters')).text()).toContain('raw::127.0.0.1:');
  expect(await (await admin(proxy, '/stats/prometheus')).text()).toMatch(
    /^envoy_http_downstream_rq_total\{[^}]*\} [1-9]/m,
  );
  expect((await admin(proxy, '/quitquitquit')).status).toBe(405);
  expect((await admin(proxy, '/nothing-here')).status).toBe(404);
});

test('the access log is written, and written anew after SIGUSR1', async () => {
  const line = (path: string): Promise<true> =>
    waitFor(
      () => existsSync(proxy.accessLog) && readFileSync(proxy.accessLog, 'utf8').includes(`200 - ${path}\n`),
      { what: path },
    );
  await call('raw', '/before-rotation');
  await line('/before-rotation');
  renameSync(proxy.accessLog, `${proxy.accessLog}.1`);
  proxy.process.kill('SIGUSR1');
  await proxy.process.waitForLine('log files reopened');
  await call('raw', '/after-rotation');
  await line('/after-rotation');
  expect(readFileSync(proxy.accessLog, 'utf8')).not.toContain('/before-rotation');
  expect(readFileSync(`${proxy.accessLog}.1`, 'utf8')).toContain('/before-rotation');
});

test('SIGTERM under load: every request that was begun is answered, then the process ends with 0', async () => {
  const gate = Promise.withResolvers<void>();
  const origin = startHttpOrigin(async ({ target }) => {
    if (target === '/slow') await gate.promise;
    return { body: `for ${target}` };
  });
  const draining = await startProxy({ raw: origin.port }, { flags: ['--drain-time-s', '10'] });
  const slow = await Promise.all(Array.from({ length: 5 }, () => connectPeer(draining.port)));
  for (const peer of slow) await peer.write('GET /slow HTTP/1.1\r\nHost: raw.test\r\n\r\n');
  await waitFor(() => origin.openCount >= 5);
  const busy = Array.from({ length: 8 }, () => requestUntilTold(draining.port));
  await waitFor(() => origin.requests.length > 200);
  draining.process.kill('SIGTERM');
  expect(await Promise.all(busy)).toEqual(busy.map(() => 'told'));
  gate.resolve();
  for (const peer of slow) {
    const text = Buffer.from(await peer.readToEnd()).toString();
    expect(text).toStartWith('HTTP/1.1 200');
    expect(text).toEndWith('for /slow');
  }
  expect(await draining.process.exited).toBe(0);
  await expect(connectPeer(draining.port)).rejects.toThrow();
}, 30_000);

/** Sends requests on one connection until the proxy says that it will close it. */
async function requestUntilTold(port: number): Promise<'told' | string> {
  const peer = await connectPeer(port);
  for (let count = 1; ; count++) {
    await peer.write('GET /fast HTTP/1.1\r\nHost: raw.test\r\n\r\n');
    const head = await peer.readHead();
    if (head === undefined) return `closed instead of answer ${count}`;
    if ((await peer.readExactly('for /fast'.length)) === undefined) return `answer ${count} was cut off`;
    if (/^connection: close\r$/im.test(head)) return 'told';
  }
}

async function validate(name: string, text: string): Promise<{ code: number; output: string }> {
  const path = join(makeTempDir(), name);
  writeFileSync(path, text);
  const process = spawnBun(proxyMain, ['--mode', 'validate', '-c', path]);
  const code = await process.exited;
  await process.stop();
  return { code, output: process.output };
}

test('--mode validate accepts what can be served and names the place of every mistake', async () => {
  const good = bootstrapOf({ port: 0, adminPort: 0, accessLog: '/dev/stdout' }, { raw: 80 });
  expect(await validate('good.json', JSON.stringify(good))).toEqual({
    code: 0,
    output: expect.stringContaining('OK'),
  });
  const bad = `static_resources:
  clusters:
  - name: one
    type: STATIK
    connect_timeout: soon
  - name: two
    no_such_field: 1
`;
  const refused = await validate('bad.yaml', bad);
  expect(refused.code).toBe(1);
  expect(refused.output).toMatch(/bad\.yaml:4:\d+: static_resources\.clusters\[0\]\.type/);
  expect(refused.output).toMatch(/bad\.yaml:5:\d+: static_resources\.clusters\[0\]\.connect_timeout/);
  expect(refused.output).toMatch(/bad\.yaml:7:\d+: static_resources\.clusters\[1\]\.no_such_field/);
  const broken = await validate('broken.yaml', 'static_resources: [unclosed\n');
  expect([broken.code, broken.output]).toEqual([1, expect.stringMatching(/broken\.yaml:\d+:\d+: /)]);
  const missing = spawnBun(proxyMain, ['-c', '/no/such/file.yaml']);
  expect(await missing.exited).toBe(1);
  await missing.stop();
  expect(missing.output).toContain('/no/such/file.yaml: no such file');
});
