/** grpc-js clients and servers on Node, with the proxy between them: every kind of call, and how calls end. */
import { afterAll, beforeAll, describe, expect, setDefaultTimeout, test } from 'bun:test';
import { cleanUp, waitFor } from '@sluice/testkit';
import { startGrpcProxy, startGrpcServer, runGrpcClient, type GrpcServer, patience } from './grpc-fixture.ts';
import { admin, residentMb, type ProxyUnderTest } from './proxy-fixture.ts';

let server: GrpcServer;
let proxy: ProxyUnderTest;

const types = 'type.googleapis.com/envoy.extensions.filters.http';
const grpcStats = {
  name: 'envoy.filters.http.grpc_stats',
  typed_config: {
    '@type': `${types}.grpc_stats.v3.FilterConfig`,
    emit_filter_state: true,
    stats_for_all_methods: true,
  },
};

beforeAll(async () => {
  server = await startGrpcServer('only');
  proxy = await startGrpcProxy([server.port], { filters: [grpcStats] });
});
afterAll(cleanUp, 60_000);
setDefaultTimeout(60_000);

const run = (scenario: string, settings: object = {}) => runGrpcClient(proxy.port, scenario, settings);

describe('calls', () => {
  test('unary, a hundred at once', async () => {
    expect(await run('unary', { count: 100 })).toEqual({ count: 100, wrong: 0 });
  });

  test('a stream of requests', async () => {
    expect(await run('collect', { count: 1000, size: 1000 })).toEqual({ messages: 1000, bytes: 1_000_000 });
  });

  test('a stream of responses', async () => {
    expect(await run('stream', { count: 1000, size: 1000 })).toMatchObject({
      code: 0,
      messages: 1000,
      bytes: 1_000_000,
    });
  });

  test('ping-pong of a thousand messages', async () => {
    expect(await run('pingPong', { count: 1000 })).toMatchObject({ code: 0, messages: 1000, wrong: 0 });
  });

  test('a message of 20 MB there and back', async () => {
    expect(await run('large', { bytes: 20_000_000 })).toMatchObject({ code: 0, isSame: true });
  });

  test('a thousand streams open at once', async () => {
    expect(await run('concurrent', { count: 1000 })).toEqual({ open: 1000, failed: 0 });
  });

  test('metadata, binary too, in both directions', async () => {
    const all = Array.from({ length: 256 }, (_, i) => i.toString(16).padStart(2, '0')).join('');
    const fields = { text: 'one, two, three', data: [all, '00'] };
    expect(await run('metadata')).toEqual({ code: 0, initial: fields, trailer: fields });
  });
});

describe('ends', () => {
  test('a reply of trailers only keeps status and message', async () => {
    expect(await run('fail', { code: 5 })).toEqual({ code: 5, details: 'nö: 100%', server: 'only' });
  });

  test('an error after messages', async () => {
    expect(await run('failLate')).toEqual({ code: 10, details: 'enough', messages: 3, bytes: 3 });
  });

  test("the client's deadline ends the call on both sides", async () => {
    expect(await run('deadline', { ms: 2000 })).toMatchObject({ code: 4, messages: 1 });
    await server.process.waitForLine(/"cancelled":"deadline"/, patience);
  });

  test('the server is told the deadline', async () => {
    const { remainingMs } = await run('told', { ms: 60_000 });
    expect(remainingMs).toBeGreaterThan(50_000);
    expect(remainingMs).toBeLessThanOrEqual(60_000);
  });

  test('cancellation by the client reaches the server', async () => {
    expect(await run('cancel')).toMatchObject({ code: 1, messages: 1 });
    await server.process.waitForLine(/"cancelled":"cancel me"/, patience);
  });

  test('a deadline of the route is DEADLINE_EXCEEDED, and the server hears of it', async () => {
    const short = await startGrpcProxy([server.port], {
      route: { max_stream_duration: { max_stream_duration: '0.2s' }, max_grpc_timeout: undefined },
    });
    // The response has begun: it ends with trailers that say why.
    expect(await runGrpcClient(short.port, 'deadline', { ms: 20_000 })).toMatchObject({
      code: 4,
      messages: 1,
      details: expect.stringContaining('maximum stream duration'),
    });
    const nobody = await startGrpcProxy([1]);
    expect(await runGrpcClient(nobody.port, 'fail', { code: 0 })).toMatchObject({ code: 14 });
    await Promise.all([short.process.stop(), nobody.process.stop()]);
  });
});

test('a slow reader holds the server back, not the proxy memory', async () => {
  const settings = { count: 3000, size: 65_536, holdMs: 1500 };
  const before = residentMb(proxy.process.pid);
  let peak = 0;
  const watching = setInterval(() => (peak = Math.max(peak, residentMb(proxy.process.pid))), 20);
  const outcome = await run('slow', settings);
  clearInterval(watching);
  expect(outcome).toMatchObject({ code: 0, messages: 3000 });
  // Half of the 192 MB on their way: windows are some megabytes, the rest is what a collection has not seen yet.
  expect(peak - before).toBeLessThan(96);
});

test('calls and messages are counted', async () => {
  await run('pingPong', { count: 7 });
  const read = async (): Promise<string> => (await admin(proxy, '/stats?filter=grpc')).text();
  const text = await waitFor(async () => {
    const stats = await read();
    return /Chat\.total: 1\d*/.test(stats) && stats;
  });
  expect(text).toMatch(/cluster\.echo\.grpc\.e2e\.Echo\.Chat\.request_message_count: \d+/);
  expect(text).toMatch(/cluster\.echo\.grpc\.e2e\.Echo\.Fail\.5: 1/);
  const prometheus = await (await admin(proxy, '/stats/prometheus')).text();
  const messages = prometheus.split('\n').filter((line) => line.startsWith('istio_request_messages_total{'));
  expect(
    messages.some(
      (line) => line.includes('request_protocol="grpc"') && line.includes('grpc_response_status="0"'),
    ),
  ).toBe(true);
});

test('the log names protocol and status', async () => {
  const log = await waitFor(async () => {
    const text = await Bun.file(proxy.accessLog).text();
    return text.includes('/e2e.Echo/FailLate') && text;
  });
  expect(log).toContain('HTTP/2 /e2e.Echo/Fail 200 NotFound - via_upstream');
  expect(log).toContain('HTTP/2 /e2e.Echo/FailLate 200 Aborted - via_upstream');
});
