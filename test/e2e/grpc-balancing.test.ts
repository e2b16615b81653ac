/** gRPC over long-lived connections: per-request balancing, limits, connection age, keepalive, a killed server. */
import { afterEach, describe, expect, setDefaultTimeout, test } from 'bun:test';
import { cleanUp, waitFor } from '@sluice/testkit';
import {
  outcomeOf,
  runGrpcClient,
  startGrpcClient,
  startGrpcProxy,
  startGrpcServer,
  type GrpcServer,
  patience,
} from './grpc-fixture.ts';
import { admin } from './proxy-fixture.ts';

afterEach(cleanUp, 30_000);
setDefaultTimeout(60_000);

const startServers = (names: readonly string[], channel: object = {}): Promise<GrpcServer[]> =>
  Promise.all(names.map((name) => startGrpcServer(name, { channel })));

const portsOf = (servers: readonly GrpcServer[]): number[] => servers.map(({ port }) => port);

async function stat(proxy: Parameters<typeof admin>[0], name: string): Promise<number> {
  const text = await (await admin(proxy, '/stats')).text();
  const line = text.split('\n').find((each) => each.startsWith(`${name}: `));
  return Number(line?.split(' ')[1] ?? 0);
}

describe('balancing', () => {
  test('each call of one client connection goes to the next endpoint', async () => {
    const servers = await startServers(['a', 'b', 'c']);
    const proxy = await startGrpcProxy(portsOf(servers));
    const { servers: counts, failed } = await runGrpcClient(proxy.port, 'spread', { count: 300, width: 5 });
    expect(failed).toBe(0);
    expect(counts).toEqual({ a: 100, b: 100, c: 100 });
    expect(await stat(proxy, 'http.grpc.downstream_cx_total')).toBe(1);
  });
});

describe('limits on streams', () => {
  test('more calls than a server takes on a connection go over further ones', async () => {
    const [server] = await startServers(['a'], { 'grpc.max_concurrent_streams': 7 });
    const proxy = await startGrpcProxy([server!.port]);
    expect(await runGrpcClient(proxy.port, 'concurrent', { count: 40 })).toEqual({ open: 40, failed: 0 });
    expect(await stat(proxy, 'cluster.echo.upstream_cx_total')).toBeGreaterThanOrEqual(6);
  });

  test('a client keeps to the limit of the listener, and waits', async () => {
    const servers = await startServers(['a']);
    const proxy = await startGrpcProxy(portsOf(servers), {
      manager: { http2_protocol_options: { max_concurrent_streams: 3 } },
    });
    const { failed } = await runGrpcClient(proxy.port, 'spread', { count: 200, width: 50 });
    expect(failed).toBe(0);
  });
});

describe('age of connections', () => {
  test("a client's connection is replaced without a failed call", async () => {
    const servers = await startServers(['a', 'b']);
    const proxy = await startGrpcProxy(portsOf(servers), {
      manager: {
        common_http_protocol_options: { max_connection_duration: '0.3s' },
        drain_timeout: '0.1s',
      },
    });
    const { codes } = await runGrpcClient(proxy.port, 'load', { ms: 2000, width: 8 });
    expect(Object.keys(codes as object)).toEqual(['0']);
    expect(await stat(proxy, 'http.grpc.downstream_cx_total')).toBeGreaterThan(1);
  });

  test('a server that ends its connections by age costs no call', async () => {
    const servers = await startServers(['a', 'b'], {
      'grpc.max_connection_age_ms': 300,
      'grpc.max_connection_age_grace_ms': 2000,
    });
    const proxy = await startGrpcProxy(portsOf(servers));
    const { codes } = await runGrpcClient(proxy.port, 'load', { ms: 2000, width: 8 });
    expect(Object.keys(codes as object)).toEqual(['0']);
    expect(await stat(proxy, 'cluster.echo.upstream_cx_total')).toBeGreaterThan(2);
  });

  test('connections to servers are replaced by age without a failed call', async () => {
    const servers = await startServers(['a']);
    const proxy = await startGrpcProxy(portsOf(servers), {
      protocol: { common_http_protocol_options: { max_connection_duration: '0.3s' } },
    });
    const { codes } = await runGrpcClient(proxy.port, 'load', { ms: 2000, width: 8 });
    expect(Object.keys(codes as object)).toEqual(['0']);
    expect(await stat(proxy, 'cluster.echo.upstream_cx_total')).toBeGreaterThan(1);
  });
});

test('keepalive pings of a client are answered, idle or not', async () => {
  const servers = await startServers(['a']);
  const proxy = await startGrpcProxy(portsOf(servers));
  const channel = {
    'grpc.keepalive_time_ms': 100,
    'grpc.keepalive_timeout_ms': 1000,
    'grpc.keepalive_permit_without_calls': 1,
  };
  const { codes, states } = await runGrpcClient(proxy.port, 'keepalive', {
    idleMs: 2000,
    callMs: 1000,
    channel,
  });
  expect(codes).toEqual([0, 0]);
  expect(states).toEqual([]);
  expect(await stat(proxy, 'http.grpc.downstream_cx_total')).toBe(1);
});

test('a stream whose server dies ends UNAVAILABLE, and says why', async () => {
  const servers = await startServers(['a']);
  const proxy = await startGrpcProxy(portsOf(servers));
  const client = startGrpcClient(proxy.port, 'hold');
  await client.waitForLine(/^holding$/, patience);
  process.kill(servers[0]!.process.pid, 'SIGKILL');
  const outcome = await outcomeOf(client);
  expect(outcome).toMatchObject({ code: 14, messages: 1, reason: 'upstream-reset' });
});

test('a server that is killed takes with it only the calls that it held', async () => {
  const servers = await startServers(['a', 'b', 'c']);
  const proxy = await startGrpcProxy(portsOf(servers));
  const width = 6;
  const client = startGrpcClient(proxy.port, 'load', { ms: 2500, width });
  await client.waitForLine(/^loading$/, patience);
  await waitFor(async () => (await stat(proxy, 'cluster.echo.upstream_rq_total')) > 50, { what: 'load' });
  process.kill(servers[1]!.process.pid, 'SIGKILL');
  const { codes, details } = await outcomeOf(client);
  const { '0': succeeded = 0, '14': unavailable = 0, ...others } = codes as Record<string, number>;
  expect(others).toEqual({});
  expect(unavailable, JSON.stringify(details)).toBeLessThanOrEqual(width);
  expect(succeeded).toBeGreaterThan(50);
});
