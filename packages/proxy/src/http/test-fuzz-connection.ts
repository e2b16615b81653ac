/**
 * One client's HTTP connection without sockets, for fuzz targets: downstream codec, exchange, filters and
 * router over a scripted upstream. The first octet of an input says how the rest is split.
 */
import { createRandom, FakeClock, TimerWheel } from '@sluice/runtime';
import { httpChainOf } from '../filter/http-chain.ts';
import { MemoryConnection } from '../io/test-connection.ts';
import type { HttpManagerConfig, ListenerRuntime } from '../listener/listener.ts';
import { createIdSource } from '../telemetry/request-id.ts';
import { createRequestRecord, NO_CONNECTION } from '../telemetry/request-record.ts';
import type { ExchangeServices, HttpBinding } from './exchange-services.ts';
import { HttpConnection } from './http-connection.ts';
import { createHttpDate } from './http-date.ts';
import type { ResponseSink, UpstreamConnector, UpstreamStream } from './streams.ts';
import {
  forwardTo,
  noEndStats,
  noManagerStats,
  testCluster,
  testEndpoint,
  testManager,
  testRoute,
} from './test-doubles.ts';

/**
 * Feeds the input, ends the connection and lets an hour pass. Throws when something outlives it. What was
 * sent to the client comes back.
 */
export function fuzzConnection(
  input: Uint8Array,
  newStream: (sink: ResponseSink) => UpstreamStream,
  more: Partial<HttpManagerConfig> = {},
): MemoryConnection {
  const clock = new FakeClock();
  const timers = new TimerWheel(clock);
  clock.attach(timers);
  const random = createRandom('fuzz');
  const cluster = testCluster('a', [testEndpoint(1)]);
  const upstream: UpstreamConnector = {
    open: (_cluster, _limits, _endpoint, sink) => sink.onUpstreamReady(newStream(sink)),
    cancel() {},
  };
  const services: ExchangeServices = {
    timers,
    clock,
    random,
    draw: () => random.next(),
    upstream,
    ids: createIdSource(random),
    date: createHttpDate(clock),
    newRecord: () => createRequestRecord(),
    findCluster: () => cluster,
    reportError: (error) => {
      throw error;
    },
  };
  const config = testManager(
    (request) => (request.path === '/none' ? null : testRoute(forwardTo('a'))),
    more,
  );
  const binding: HttpBinding = {
    config,
    listener: { name: 'fuzz', trafficDirection: 'UNSPECIFIED' } as ListenerRuntime,
    chain: httpChainOf(config.filters),
    upstreamFilters: [],
    metrics: { onRequestStart() {}, onRequestEnd() {} },
    connectionStats: noEndStats,
    http2Stats: { count() {}, streamOpened() {}, streamClosed() {} },
    isDraining: () => false,
  };
  const connection = new MemoryConnection();
  let isGone = false;
  connection.handler = new HttpConnection(
    connection,
    { ...NO_CONNECTION },
    binding,
    noManagerStats,
    services,
    () => {
      isGone = true;
    },
  );
  const step = (input[0] ?? 0) % 64 === 0 ? input.length : (input[0]! % 64) + 1;
  for (let at = 1; at < input.length; at += step) connection.receive(Buffer.from(input.slice(at, at + step)));
  clock.advance(60_000);
  connection.closeBy('reset');
  if (!isGone) throw new Error('the connection outlived its socket');
  if (cluster.limits.requests.current !== 0) throw new Error('a request limit was not given back');
  clock.advance(3_700_000);
  if (timers.size !== 0) throw new Error(`${timers.size} timers outlived the connection`);
  return connection;
}
