/** Python's grpcio at either end and at both: another implementation of gRPC and HTTP/2 than grpc-js. */
import { afterAll, beforeAll, describe, expect, setDefaultTimeout, test } from 'bun:test';
import { cleanUp } from '@sluice/testkit';
import { runGrpcClient, startGrpcProxy, startGrpcServer, type GrpcServer, patience } from './grpc-fixture.ts';

setDefaultTimeout(60_000);
afterAll(cleanUp, 60_000);

const hasGrpcio = Bun.spawnSync(['python3', '-c', 'import grpc'], { stderr: 'ignore' }).exitCode === 0;
if (!hasGrpcio) console.warn('SKIPPED: no grpcio for python3 on this machine (`pip install grpcio`)');

const pairs = [
  ['python', 'python'],
  ['python', 'node'],
  ['node', 'python'],
] as const;

for (const [client, language] of pairs) {
  describe.skipIf(!hasGrpcio)(`a ${client} client and a ${language} server`, () => {
    let server: GrpcServer;
    let port = 0;
    beforeAll(async () => {
      server = await startGrpcServer('only', { language });
      port = (await startGrpcProxy([server.port])).port;
    });
    const run = (scenario: string, settings: object = {}) => runGrpcClient(port, scenario, settings, client);

    test('calls of every kind', async () => {
      expect(await run('unary', { count: 100 })).toMatchObject({ count: 100, wrong: 0 });
      expect(await run('collect', { count: 1000, size: 1000 })).toEqual({ messages: 1000, bytes: 1_000_000 });
      expect(await run('stream', { count: 1000, size: 1000 })).toMatchObject({ code: 0, messages: 1000 });
      expect(await run('pingPong', { count: 1000 })).toMatchObject({ code: 0, messages: 1000, wrong: 0 });
    });

    test('20 MB there and back', async () => {
      expect(await run('large', { bytes: 20_000_000 })).toMatchObject({ code: 0, isSame: true });
    });

    test('many streams at once', async () => {
      // A Python server has as many threads.
      const count = language === 'python' ? 20 : 200;
      expect(await run('concurrent', { count })).toEqual({ open: count, failed: 0 });
    });

    test('metadata, errors, deadlines and cancellation', async () => {
      const all = Array.from({ length: 256 }, (_, i) => i.toString(16).padStart(2, '0')).join('');
      const fields = { text: 'one, two, three', data: [all, '00'] };
      expect(await run('metadata')).toEqual({ code: 0, initial: fields, trailer: fields });
      expect(await run('fail', { code: 5 })).toEqual({ code: 5, details: 'nö: 100%', server: 'only' });
      expect(await run('failLate')).toMatchObject({ code: 10, details: 'enough', messages: 3 });
      expect(await run('deadline', { ms: 2000 })).toMatchObject({ code: 4, messages: 1 });
      await server.process.waitForLine(/"cancelled": ?"deadline"/, patience);
      expect(await run('cancel')).toMatchObject({ code: 1, messages: 1 });
      await server.process.waitForLine(/"cancelled": ?"cancel me"/, patience);
    });
  });
}

describe.skipIf(!hasGrpcio)('balancing', () => {
  test('each call of a Python client goes to the next endpoint', async () => {
    const servers = await Promise.all(['a', 'b'].map((name) => startGrpcServer(name)));
    const proxy = await startGrpcProxy(servers.map(({ port }) => port));
    const outcome = await runGrpcClient(proxy.port, 'spread', { count: 60 }, 'python');
    expect(outcome).toEqual({ servers: { a: 30, b: 30 }, failed: 0 });
  });
});
