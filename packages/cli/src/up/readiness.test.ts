/** Readiness as probes see it, and what a probe sees. */
import { describe, expect, test } from 'bun:test';
import { createServer, type ServerHttp2Stream } from 'node:http2';
import type { AddressInfo } from 'node:net';
import type { WorkloadReadiness } from '@sluice/api';
import { freePort } from '@sluice/testkit';
import type { Timers } from '../process/supervisor.ts';
import { runProbe } from './probe.ts';
import { ReadinessWatch } from './readiness.ts';

const settings: WorkloadReadiness = {
  check: { type: 'tcp', port: undefined },
  initialDelayMs: 0,
  periodMs: 2000,
  timeoutMs: 1000,
  successThreshold: 2,
  failureThreshold: 3,
};

/** A watch whose probes and timers the test moves: each round answers once. */
function setUp(more: Partial<WorkloadReadiness> = {}) {
  const changes: string[] = [];
  const delays: number[] = [];
  let pending: (() => void) | undefined;
  let isReady = true;
  const timers: Timers = {
    nowMs: () => 0,
    after: (delayMs, callback) => {
      delays.push(delayMs);
      pending = callback;
      return () => {
        if (pending === callback) pending = undefined;
      };
    },
  };
  const watch = new ReadinessWatch({
    settings: { ...settings, ...more },
    timers,
    probe: () => Promise.resolve({ isReady, reason: isReady ? 'yes' : 'no' }),
    onChange: (ready, reason) => changes.push(`${ready ? 'ready' : 'not ready'}: ${reason}`),
  });
  const look = async (answer: boolean): Promise<void> => {
    isReady = answer;
    const callback = pending;
    pending = undefined;
    callback?.();
    for (let turn = 0; turn < 4; turn++) await Promise.resolve();
  };
  return { watch, changes, delays, look, isWaiting: () => pending !== undefined };
}

describe('thresholds', () => {
  test('so many successes in a row make it ready, so many failures unready', async () => {
    const { watch, changes, look } = setUp();
    watch.start();
    for (const answer of [true, false, true, true]) await look(answer);
    expect(changes).toEqual(['ready: yes']);
    for (const answer of [false, false, true, false, false]) await look(answer);
    expect(watch.isReady).toBe(true);
    await look(false);
    expect(changes).toEqual(['ready: yes', 'not ready: no']);
  });

  test('it looks often until the first success, then as the period says', async () => {
    const { watch, delays, look } = setUp({ initialDelayMs: 70 });
    watch.start();
    for (const answer of [false, true, true, true]) await look(answer);
    expect(delays).toEqual([70, 150, 150, 2000, 2000]);
  });

  test('an application that ends is not ready at once, and a new one begins anew', async () => {
    const { watch, changes, look, isWaiting } = setUp({ successThreshold: 1 });
    watch.start();
    await look(true);
    watch.stop('it exited with 1');
    expect(changes).toEqual(['ready: yes', 'not ready: it exited with 1']);
    expect(isWaiting()).toBe(false);
    watch.start();
    expect(watch.isReady).toBe(false);
    await look(true);
    expect(changes).toHaveLength(3);
  });

  test('an answer that comes after the end counts no more', async () => {
    const { watch, changes, look } = setUp({ successThreshold: 1 });
    watch.start();
    const looking = look(true);
    watch.stop('gone');
    await looking;
    expect(changes).toEqual([]);
  });
});

describe('probes', () => {
  const base = { timeoutMs: 500, cwd: '/', env: { PATH: process.env['PATH'] ?? '' } };

  test('http takes 200 to 399, with its headers', async () => {
    const server = Bun.serve({
      hostname: '127.0.0.1',
      port: 0,
      fetch: (request) =>
        new Response('', {
          status: Number(request.headers.get('x-status')),
          headers: { location: 'http://127.0.0.1:1/' },
        }),
    });
    for (const [status, isReady] of [
      [200, true],
      [302, true],
      [404, false],
      [503, false],
    ] as const) {
      const result = await runProbe({
        ...base,
        port: server.port,
        check: { type: 'http', path: '/up', port: undefined, headers: { 'x-status': String(status) } },
      });
      expect(result).toEqual({ isReady, reason: `GET /up: ${status}` });
    }
    await server.stop(true);
  });

  test('http and tcp say when nobody answers', async () => {
    const port = freePort();
    expect(
      await runProbe({ ...base, port, check: { type: 'http', path: '/', port: undefined, headers: {} } }),
    ).toEqual({ isReady: false, reason: 'GET /: refused' });
    expect(await runProbe({ ...base, port, check: { type: 'tcp', port: undefined } })).toEqual({
      isReady: false,
      reason: `connect to ${port}: refused`,
    });
  });

  test('http gives up at its limit', async () => {
    const server = Bun.serve({
      hostname: '127.0.0.1',
      port: 0,
      fetch: () => new Promise<Response>(() => {}),
    });
    const result = await runProbe({
      ...base,
      timeoutMs: 30,
      port: server.port,
      check: { type: 'http', path: '/', port: undefined, headers: {} },
    });
    expect(result).toEqual({ isReady: false, reason: 'GET /: no answer in 30 ms' });
    await server.stop(true);
  });

  test('tcp is content with an open port, and without a port there is nothing to wait for', async () => {
    const listener = Bun.listen({ hostname: '127.0.0.1', port: 0, socket: { data: () => {} } });
    expect(
      await runProbe({ ...base, port: undefined, check: { type: 'tcp', port: listener.port } }),
    ).toMatchObject({ isReady: true });
    expect(
      await runProbe({ ...base, port: undefined, check: { type: 'tcp', port: undefined } }),
    ).toMatchObject({ isReady: true });
    listener.stop(true);
  });

  test('grpc asks the health service of the server', async () => {
    const asked: string[] = [];
    const statuses: Record<string, number[]> = { '': [8, 1], 'shop.Cart': [8, 2], unsure: [] };
    const server = createServer();
    server.on('stream', (stream: ServerHttp2Stream, headers) => {
      const chunks: Buffer[] = [];
      stream.on('data', (chunk: Buffer) => chunks.push(chunk));
      stream.on('end', () => {
        const service = Buffer.concat(chunks).subarray(7).toString();
        asked.push(`${headers[':path']} ${service}`);
        const status = statuses[service];
        const head = { ':status': 200, 'content-type': 'application/grpc' };
        if (status === undefined) {
          stream.respond({ ...head, 'grpc-status': '5' }, { endStream: true });
          return;
        }
        stream.on('wantTrailers', () => stream.sendTrailers({ 'grpc-status': '0' }));
        stream.respond(head, { waitForTrailers: true });
        stream.end(Buffer.from([0, 0, 0, 0, status.length, ...status]));
      });
    });
    const port = await new Promise<number>((done) => {
      server.listen(0, '127.0.0.1', () => done((server.address() as AddressInfo).port));
    });
    const probe = (service: string) =>
      runProbe({ ...base, port, check: { type: 'grpc', port: undefined, service } });
    expect(await probe('')).toEqual({ isReady: true, reason: 'grpc health of the server: SERVING' });
    expect(await probe('shop.Cart')).toEqual({
      isReady: false,
      reason: 'grpc health of shop.Cart: NOT_SERVING',
    });
    expect((await probe('unsure')).reason).toBe('grpc health of unsure: UNKNOWN');
    expect((await probe('nobody')).reason).toBe('grpc health of nobody: grpc-status 5');
    expect(asked[1]).toBe('/grpc.health.v1.Health/Check shop.Cart');
    await new Promise((done) => server.close(done));
    expect((await probe('')).reason).toBe('grpc health of the server: refused');
  });

  test('a command decides by its status', async () => {
    const probe = (...argv: string[]) =>
      runProbe({ ...base, port: undefined, check: { type: 'exec', argv } });
    expect(await probe('true')).toMatchObject({ isReady: true });
    expect(await probe('sh', '-c', 'exit 4')).toEqual({
      isReady: false,
      reason: 'sh -c exit 4: exited with 4',
    });
    expect(await probe('no-such-program-xyz')).toMatchObject({ isReady: false });
  });
});
