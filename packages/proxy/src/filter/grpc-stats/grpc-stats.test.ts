import { describe, expect, test } from 'bun:test';
import { forwardTo, routerBinding, testRoute } from '../../http/test-doubles.ts';
import { freshWorlds } from '../../http/test-fresh-world.ts';
import { World, type UpstreamScript } from '../../http/test-world.ts';
import type { GrpcStats } from '@sluice/xds';
import type { ConfigProblem } from '../filter.ts';
import { grpcStatsFactory } from './grpc-stats-factory.ts';
import { compileGrpcStats } from './stats-config.ts';

let world: World;
freshWorlds(() => (world = new World()));

type Fields = Partial<GrpcStats>;

const nothingAsked: GrpcStats = {
  emitFilterState: false,
  enableUpstreamStats: false,
  replaceDotsInGrpcServiceName: false,
};

function configOf(fields: Fields) {
  const problems: ConfigProblem[] = [];
  const config = compileGrpcStats({ ...nothingAsked, ...fields }, problems);
  return { config, problems: problems.map(({ path, message }) => `${path}: ${message}`) };
}

const message = (size: number): Buffer => {
  const framed = Buffer.alloc(5 + size);
  framed.writeUInt32BE(size, 1);
  return framed;
};

const reply =
  (status: number, ...sizes: number[]): UpstreamScript =>
  (peer, text) => {
    if (!text.endsWith('0\r\n\r\n')) return;
    peer.clear();
    peer.send('HTTP/1.1 200 OK\r\nContent-Type: application/grpc\r\nTransfer-Encoding: chunked\r\n\r\n');
    for (const size of sizes) {
      peer.send(`${(5 + size).toString(16)}\r\n`);
      peer.send(message(size));
      peer.send('\r\n');
    }
    peer.send(`0\r\ngrpc-status: ${status}\r\n\r\n`);
  };

/** Sends one call and returns what was counted at the cluster and in the record. */
async function countsOf(
  fields: Fields,
  script: UpstreamScript,
  path = '/shop.Cart/Add',
  type = 'application/grpc',
) {
  const upstream = world.upstream(script);
  const cluster = world.cluster('a', [upstream.port]);
  const messages: number[] = [];
  const logger = {
    log: (record: { requestMessages: number; responseMessages: number }) =>
      void messages.push(record.requestMessages, record.responseMessages),
  };
  const stats = {
    name: grpcStatsFactory.name,
    factory: grpcStatsFactory,
    config: configOf(fields).config,
    isDisabledByDefault: false,
  };
  const port = world.listen(() => testRoute(forwardTo('a')), {
    filters: [stats, routerBinding],
    accessLoggers: [logger, world.log],
  });
  const client = await world.client(port);
  client.send(
    `POST ${path} HTTP/1.1\r\nHost: a\r\nContent-Type: ${type}\r\nTE: trailers\r\nTransfer-Encoding: chunked\r\n\r\n`,
  );
  for (const data of [message(3), message(70_000)]) {
    client.send(`${data.length.toString(16)}\r\n`);
    client.send(data);
    client.send('\r\n');
  }
  client.send('0\r\n\r\n');
  await world.log.until(1);
  const names = Object.entries(cluster.stats.counts).filter(([name]) =>
    /Messages|status|upstreamTime/.test(name),
  );
  return { counts: Object.fromEntries(names), messages };
}

describe('calls', () => {
  test('are counted together unless told apart', async () => {
    const { counts, messages } = await countsOf({ emitFilterState: true }, reply(0, 10, 0, 100_000));
    expect(counts).toEqual({ 'status 0': 1, requestMessages: 2, responseMessages: 3 });
    expect(messages).toEqual([2, 3]);
  });

  test('the record is told only where the configuration says so', async () => {
    expect((await countsOf({}, reply(0, 1))).messages).toEqual([0, 0]);
  });

  test('by method: all, with dots replaced', async () => {
    const { counts } = await countsOf(
      { statsForAllMethods: true, replaceDotsInGrpcServiceName: true },
      reply(5, 1),
    );
    expect(counts).toEqual({
      'shop_Cart.Add.status 5': 1,
      'shop_Cart.Add.requestMessages': 2,
      'shop_Cart.Add.responseMessages': 1,
    });
  });

  test('by method: the named ones', async () => {
    const individualMethodStatsAllowlist = { services: [{ name: 'shop.Cart', methodNames: ['Add'] }] };
    const add = await countsOf({ individualMethodStatsAllowlist }, reply(0, 1));
    expect(Object.keys(add.counts)).toContain('shop.Cart.Add.status 0');
    world.log.lines.length = 0;
    const other = await countsOf({ individualMethodStatsAllowlist }, reply(0, 1), '/shop.Cart/Remove');
    expect(Object.keys(other.counts)).toContain('status 0');
  });

  test('a path that names no method is not counted by method', async () => {
    const { counts } = await countsOf({ statsForAllMethods: true }, reply(0, 1), '/a/b/c');
    expect(counts).toEqual({});
  });

  test('upstream time is measured where asked', async () => {
    const { counts } = await countsOf({ enableUpstreamStats: true }, reply(0, 1));
    expect(counts).toMatchObject({ upstreamTime: 1 });
  });

  test('a reply of trailers only counts its status once', async () => {
    const script: UpstreamScript = (peer, text) => {
      if (!text.endsWith('0\r\n\r\n')) return;
      peer.send(
        'HTTP/1.1 200 OK\r\nContent-Type: application/grpc\r\nGrpc-Status: 7\r\nContent-Length: 0\r\n\r\n',
      );
    };
    expect((await countsOf({}, script)).counts).toEqual({ 'status 7': 1, requestMessages: 2 });
  });

  test('other requests are not counted', async () => {
    const { counts, messages } = await countsOf({ emitFilterState: true }, reply(0, 1), '/', 'text/plain');
    expect(counts).toEqual({});
    expect(messages).toEqual([0, 0]);
  });
});

test('names that are missing are told with their paths', () => {
  const services = [{ name: '', methodNames: [] }];
  expect(configOf({ individualMethodStatsAllowlist: { services } }).problems).toEqual([
    'individual_method_stats_allowlist.services[0].name: must not be empty',
    'individual_method_stats_allowlist.services[0].method_names: must name at least one method',
  ]);
});
