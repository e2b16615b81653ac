/** gRPC in a mesh by `sluice up`: no more configuration than `protocol: grpc`, readiness by health check. */
import { afterEach, describe, expect, setDefaultTimeout, test } from 'bun:test';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { cleanUp, makeTempDir, waitFor } from '@sluice/testkit';
import { MeshUnderTest } from './up-mesh.ts';

setDefaultTimeout(90_000);
afterEach(cleanUp, 90_000);

const programs = join(import.meta.dir, 'grpc');

/** Runs a scenario of `client.mjs` against the service `echo` for each request. */
const caller = `
Bun.serve({ hostname: '127.0.0.1', port: Number(process.env.PORT), async fetch(request) {
  const { pathname, searchParams } = new URL(request.url);
  if (pathname === '/') return new Response('ready');
  if (pathname === '/web') {
    const type = 'application/grpc-web-text';
    const target = 'http://' + process.env.SHOP_SERVICE_HOST + ':' + process.env.SHOP_SERVICE_PORT;
    const reply = await fetch(target + '/e2e.Echo/Unary', { method: 'POST', headers: { 'content-type': type, accept: type }, body: btoa('\\0\\0\\0\\0\\x02hi') });
    return new Response(await reply.text());
  }
  const client = Bun.spawn(['node', process.env.CLIENT, process.env.ECHO_SERVICE_PORT, pathname.slice(1), searchParams.get('settings') ?? '{}'], { stdout: 'pipe' });
  return new Response((await client.stdout.text()).trim().split('\\n').at(-1));
} });
`;

function makeMesh(): string {
  const dir = makeTempDir();
  writeFileSync(join(dir, 'caller.ts'), caller);
  writeFileSync(
    join(dir, 'sluice.yaml'),
    `name: grpc
workloads:
  echo:
    command: sh -c 'exec node ${join(programs, 'server.mjs')} $SLUICE_INSTANCE'
    ports: [{ name: grpc, port: 9090 }]
    replicas: 2
    env: { HEALTHY_AFTER_MS: 700 }
    readiness: { grpc: true }
  shop:
    command: sh -c 'exec node ${join(programs, 'server.mjs')} shop'
    ports: [{ name: grpc-web, port: 9091 }]
    readiness: { grpc: true }
  caller:
    command: bun caller.ts
    port: 8088
    env: { CLIENT: ${join(programs, 'client.mjs')} }
    readiness: { http: / }
`,
  );
  return dir;
}

describe.if(process.platform === 'linux')('a mesh', () => {
  test('balances calls, streams, tells deadlines and counts messages', async () => {
    const mesh = await MeshUnderTest.start(makeMesh());
    const url = await mesh.url('caller');
    const run = async (scenario: string, settings: object = {}): Promise<Record<string, unknown>> => {
      const response = await fetch(
        `${url}/${scenario}?settings=${encodeURIComponent(JSON.stringify(settings))}`,
      );
      return (await response.json()) as Record<string, unknown>;
    };
    const { servers, failed } = await run('spread', { count: 100 });
    expect(failed).toBe(0);
    // Least requests, of two drawn: about half each, though all come over one connection.
    const counts = servers as Record<string, number>;
    expect(Math.min(counts['echo-0'] ?? 0, counts['echo-1'] ?? 0)).toBeGreaterThan(20);
    expect(await run('pingPong', { count: 200 })).toMatchObject({ code: 0, messages: 200, wrong: 0 });
    expect(await run('large', { bytes: 3_000_000 })).toMatchObject({ code: 0, isSame: true });
    expect(await run('fail', { code: 9 })).toMatchObject({ code: 9, details: 'nö: 100%' });
    const { remainingMs } = await run('told', { ms: 60_000 });
    expect(remainingMs).toBeGreaterThan(50_000);
    // A browser's call to a port that is named grpc-web.
    const text = await (await fetch(`${url}/web`)).text();
    const body = (text.match(/[A-Za-z0-9+/]+={0,2}/g) ?? []).map((group) => atob(group)).join('');
    expect(body).toStartWith('\0\0\0\0\x02hi\x80');
    expect(body).toContain('grpc-status:0\r\n');
    expect(body).toContain('x-server:shop\r\n');
    const sidecar = mesh.processes().find(({ command }) => command.includes('caller.json'))?.command ?? '';
    const metrics = /--prometheus-address (\S+)/.exec(sidecar)?.[1];
    await waitFor(
      async () => {
        const text = await (await fetch(`http://${metrics}/stats/prometheus`)).text();
        const line = text
          .split('\n')
          .find(
            (each) =>
              each.startsWith('istio_request_messages_total{') &&
              each.includes('request_protocol="grpc"') &&
              each.includes('grpc_response_status="0"'),
          );
        return line !== undefined && Number(line.split(' ').at(-1)) > 200;
      },
      { what: 'messages to be counted' },
    );
  });
});
