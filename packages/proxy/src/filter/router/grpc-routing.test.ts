/** gRPC in the router: deadlines, retries by status, what counts as a failed call. */
import { describe, expect, test } from 'bun:test';
import { turns } from '@sluice/testkit';
import { grpcStatusOfHttp } from '@sluice/wire';
import { proxyErrors } from '../../errors.ts';
import { forwardTo, retryOn, testRoute } from '../../http/test-doubles.ts';
import { freshWorlds } from '../../http/test-fresh-world.ts';
import { answering, World, type UpstreamScript } from '../../http/test-world.ts';
import type { ForwardAction, GrpcTimeoutRule } from '../../route/route.ts';

let world: World;
freshWorlds(() => (world = new World()));

const trailersOnly = (status: number): string =>
  `HTTP/1.1 200 OK\r\nContent-Type: application/grpc\r\nGrpc-Status: ${status}\r\nContent-Length: 0\r\n\r\n`;
const withTrailers = (status: number): string =>
  'HTTP/1.1 200 OK\r\nContent-Type: application/grpc\r\nTransfer-Encoding: chunked\r\n\r\n' +
  `5\r\n\0\0\0\0\0\r\n0\r\ngrpc-status: ${status}\r\n\r\n`;

function call(...fields: string[]): string {
  const more = fields.map((field) => `${field}\r\n`).join('');
  return `POST /s.S/M HTTP/1.1\r\nHost: a\r\nContent-Type: application/grpc\r\nTE: trailers\r\n${more}Content-Length: 0\r\n\r\n`;
}

/** A proxy before upstreams of these scripts; the one cluster is `a`. */
function proxyTo(scripts: UpstreamScript[], action: Partial<ForwardAction> = {}) {
  const upstreams = scripts.map((script) => world.upstream(script));
  const cluster = world.cluster(
    'a',
    upstreams.map((upstream) => upstream.port),
  );
  const port = world.listen(() => testRoute(forwardTo('a', action)));
  return { upstreams, cluster, port };
}

async function send(port: number, request: string) {
  const client = await world.client(port);
  client.send(request);
  return client;
}

describe('deadlines', () => {
  const bounds = (rule: Partial<GrpcTimeoutRule>): GrpcTimeoutRule => ({
    bounds: 'stream',
    maxMs: 0,
    offsetMs: 0,
    ...rule,
  });

  /** What the upstream is told, and after how many milliseconds a call that is not answered ends. */
  async function deadlineOf(action: Partial<ForwardAction>, ...fields: string[]) {
    const { upstreams, port } = proxyTo([() => {}], { timeoutMs: 0, ...action });
    const client = await send(port, call(...fields));
    const upstream = upstreams[0]!;
    await upstream.until(() => upstream.texts[0]?.includes('\r\n\r\n') === true);
    const told = /grpc-timeout: (\S+)/i.exec(upstream.texts[0]!)?.[1] ?? 'nothing';
    let afterMs = 0;
    // The record is written in the tick in which the time is up.
    for (; afterMs < 20_000 && world.log.lines.length === 0; afterMs += 100) world.clock.advance(100);
    return { told, afterMs: world.log.lines.length === 0 ? 'never' : afterMs, client };
  }

  test("the client's deadline ends the stream, with DEADLINE_EXCEEDED", async () => {
    const { told, afterMs, client } = await deadlineOf(
      { maxStreamDurationMs: 9000, grpcTimeout: bounds({}) },
      'grpc-timeout: 500m',
    );
    expect({ told, afterMs }).toEqual({ told: '500m', afterMs: 500 });
    const { status, head } = await client.response();
    expect(status).toBe(200);
    expect(head).toContain('grpc-status: 4');
    expect(head).toContain('x-sluice-reason: max-stream-duration');
  });

  const cases: [string, Partial<ForwardAction>, string[], string, number | 'never'][] = [
    [
      'capped by the route',
      { maxStreamDurationMs: 0, grpcTimeout: bounds({ maxMs: 1000 }) },
      ['5S'],
      '1000m',
      1000,
    ],
    ['less the offset', { grpcTimeout: bounds({ offsetMs: 200 }) }, ['1S'], '800m', 800],
    [
      'none: the duration of the route',
      { maxStreamDurationMs: 700, grpcTimeout: bounds({}) },
      [],
      '700m',
      700,
    ],
    [
      'malformed: the duration of the route',
      { maxStreamDurationMs: 700, grpcTimeout: bounds({}) },
      ['1Y'],
      '700m',
      700,
    ],
    ['not read without a rule', { timeoutMs: 300 }, ['100m'], '100m', 300],
    ['route bound: as the client says', { grpcTimeout: bounds({ bounds: 'route' }) }, ['400m'], '400m', 400],
    [
      'route bound: none is without end',
      { timeoutMs: 300, grpcTimeout: bounds({ bounds: 'route' }) },
      [],
      'nothing',
      'never',
    ],
    [
      'route bound: the maximum bounds that',
      { grpcTimeout: bounds({ bounds: 'route', maxMs: 600 }) },
      [],
      '600m',
      600,
    ],
    [
      'route bound: an offset never reaches zero',
      { grpcTimeout: bounds({ bounds: 'route', offsetMs: 500 }) },
      ['400m'],
      '400m',
      400,
    ],
    [
      'route bound: what a try may take is told',
      { grpcTimeout: bounds({ bounds: 'route' }), retry: retryOn({}, { perTryTimeoutMs: 200 }) },
      ['1S'],
      '200m',
      200,
    ],
  ];
  for (const [name, action, values, told, afterMs] of cases)
    test(name, async () => {
      const fields = values.map((value) => `grpc-timeout: ${value}`);
      const seen = await deadlineOf(action, ...fields);
      expect([seen.told, seen.afterMs]).toEqual([told, afterMs]);
    });

  test('a request that is not gRPC has the route timeout', async () => {
    const { upstreams, port } = proxyTo([() => {}], {
      timeoutMs: 300,
      grpcTimeout: bounds({ bounds: 'route', maxMs: 5000 }),
    });
    const client = await send(port, 'GET / HTTP/1.1\r\nHost: a\r\ngrpc-timeout: 1m\r\n\r\n');
    await upstreams[0]!.until(() => upstreams[0]!.texts[0]?.includes('\r\n\r\n') === true);
    world.clock.advance(400);
    expect((await client.response()).status).toBe(504);
  });

  test('a further attempt is told what is left', async () => {
    const failing: UpstreamScript = (peer, text) => {
      if (text.includes('\r\n\r\n')) {
        world.clock.advance(300);
        peer.send(trailersOnly(14));
      }
    };
    const { upstreams, port } = proxyTo([failing, answering(trailersOnly(0))], {
      timeoutMs: 0,
      grpcTimeout: bounds({ bounds: 'route' }),
      retry: retryOn({ grpcUnavailable: true }, { backoffBaseMs: 1, backoffMaxMs: 1 }),
    });
    const client = await send(port, call('grpc-timeout: 1S'));
    await upstreams[0]!.until(() => upstreams[0]!.receivedBytes > 0);
    while (upstreams[1]!.receivedBytes === 0) {
      world.clock.advance(1);
      await turns();
    }
    await client.response();
    expect(upstreams[0]!.texts[0]).toContain('grpc-timeout: 1000m');
    const left = Number(/grpc-timeout: (\d+)m/.exec(upstreams[1]!.texts[0]!)?.[1]);
    expect(left).toBeGreaterThan(600);
    expect(left).toBeLessThanOrEqual(700);
  });
});

describe('retries', () => {
  const quick = { backoffBaseMs: 1, backoffMaxMs: 1, maxRetries: 1 };

  async function attemptsOf(reply: string, on: Parameters<typeof retryOn>[0] | null, ...fields: string[]) {
    const retry = on === null ? null : retryOn(on, quick);
    const { upstreams, port } = proxyTo([answering(reply)], { retry });
    const client = await send(port, call(...fields));
    const upstream = upstreams[0]!;
    while (world.log.lines.length === 0) {
      world.clock.advance(10);
      await turns();
    }
    const [head] = upstream.texts;
    client.stop();
    return { attempts: world.log.lines[0]!.attempts, head: head! };
  }

  for (const [field, status] of [
    ['grpcCancelled', 1],
    ['grpcDeadlineExceeded', 4],
    ['grpcResourceExhausted', 8],
    ['grpcInternal', 13],
    ['grpcUnavailable', 14],
  ] as const) {
    test(`${field} repeats a reply of trailers only with status ${status}, and no other`, async () => {
      expect((await attemptsOf(trailersOnly(status), { [field]: true })).attempts).toBe(2);
      world.log.lines.length = 0;
      expect((await attemptsOf(trailersOnly(2), { [field]: true })).attempts).toBe(1);
    });
  }

  test('a status in the trailers comes too late', async () => {
    expect((await attemptsOf(withTrailers(14), { grpcUnavailable: true })).attempts).toBe(1);
  });

  test('x-envoy-retry-grpc-on asks for them where the route has no policy, and goes no further', async () => {
    const { attempts, head } = await attemptsOf(
      trailersOnly(14),
      null,
      'x-envoy-retry-grpc-on: cancelled, unavailable,nonsense',
    );
    expect(attempts).toBe(2);
    expect(head).not.toContain('x-envoy-retry');
  });

  test('x-envoy-retry-on and x-envoy-retry-grpc-on add to the policy of the route', async () => {
    expect(
      (await attemptsOf(trailersOnly(8), { reset: true }, 'x-envoy-retry-grpc-on: resource-exhausted'))
        .attempts,
    ).toBe(2);
    world.log.lines.length = 0;
    const unavailable = 'HTTP/1.1 503 No\r\nContent-Length: 0\r\n\r\n';
    expect((await attemptsOf(unavailable, { reset: true }, 'x-envoy-retry-on: gateway-error')).attempts).toBe(
      2,
    );
  });
});

describe('an endpoint counts', () => {
  async function outcomeOf(reply: string) {
    const { cluster, port } = proxyTo([answering(reply)]);
    await send(port, call());
    await world.log.until(1);
    const { successes, errors } = cluster.endpoints[0]!.stats;
    return { successes, errors };
  }
  const success = { successes: 1, errors: 0 };
  const failure = { successes: 0, errors: 1 };

  test('a call by its status, in the head or in the trailers', async () => {
    expect(await outcomeOf(trailersOnly(14))).toEqual(failure);
    world.log.lines.length = 0;
    expect(await outcomeOf(trailersOnly(5))).toEqual(success);
    world.log.lines.length = 0;
    expect(await outcomeOf(withTrailers(0))).toEqual(success);
    world.log.lines.length = 0;
    expect(await outcomeOf(withTrailers(13))).toEqual(failure);
  });

  test('a call without a status as failed', async () => {
    expect(
      await outcomeOf('HTTP/1.1 200 OK\r\nContent-Type: application/grpc\r\nContent-Length: 1\r\n\r\nx'),
    ).toEqual(failure);
  });
});

describe("the proxy's own replies", () => {
  test('a direct response is told by the status that stands for its own, with its content as message', async () => {
    const body = new TextEncoder().encode('go away: 100%');
    const port = world.listen(() => testRoute({ kind: 'direct', status: 403, body }));
    const { status, head } = await (await send(port, call())).response();
    expect(status).toBe(200);
    expect(head).toContain('grpc-status: 7');
    expect(head).toContain('grpc-message: go away: 100%25');
  });

  test('a deadline that has passed sends nothing', async () => {
    const rule = { bounds: 'stream', maxMs: 0, offsetMs: 50 } as const;
    const { upstreams, port } = proxyTo([() => {}], { grpcTimeout: rule });
    const { head } = await (await send(port, call('grpc-timeout: 20m'))).response();
    expect(head).toContain('grpc-status: 4');
    expect(upstreams[0]!.connectionCount).toBe(0);
  });

  test('every error of the proxy has a gRPC status, or takes that of its HTTP status', () => {
    for (const { code, grpcStatus, httpStatus } of proxyErrors.entries) {
      const status = grpcStatus ?? grpcStatusOfHttp(httpStatus ?? 500);
      expect([code, status > 0 && status <= 16]).toEqual([code, true]);
    }
  });
});
