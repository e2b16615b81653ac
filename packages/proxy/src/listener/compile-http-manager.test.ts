import { expect, test } from 'bun:test';
import { HttpConnectionManagerTable, ListenerTable, parseJsonMessage } from '@sluice/xds';
import { newProblems } from '../config/problems.ts';
import { contexts } from '../route/route-requests.test-double.ts';
import { compileHttpManager } from './compile-http-manager.ts';

function streamsOf(manager: object, listener: object = {}): number {
  const message = parseJsonMessage(HttpConnectionManagerTable, {
    stat_prefix: 'x',
    route_config: { name: 'x' },
    http_filters: [],
    ...manager,
  });
  const scope = newProblems();
  const compiled = compileHttpManager(
    message,
    parseJsonMessage(ListenerTable, { name: 'l', ...listener }),
    contexts.listeners,
    scope,
  );
  return compiled.http2.maxConcurrentStreams;
}

test('strangers get 100 streams a connection, the mesh 1024, and either what is written', () => {
  const edge = { metadata: { filter_metadata: { 'sluice.dev': { edge: true } } } };
  expect(streamsOf({})).toBe(1024);
  expect(streamsOf({ use_remote_address: true })).toBe(100);
  expect(streamsOf({}, edge)).toBe(100);
  expect(streamsOf({ http2_protocol_options: { max_concurrent_streams: 7 } }, edge)).toBe(7);
});
