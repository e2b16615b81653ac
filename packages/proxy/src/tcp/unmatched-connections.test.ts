import { expect, test } from 'bun:test';
import { createLogger, MetricsRegistry } from '@sluice/runtime';
import { fakeTime } from '@sluice/testkit';
import type { ConnectionFacts } from '../listener/connection-facts.ts';
import type { ListenerRuntime } from '../listener/listener.ts';
import { NO_CONNECTION } from '../telemetry/request-record.ts';
import { createUnmatchedConnections } from './unmatched-connections.ts';

const listener = { name: 'in' } as ListenerRuntime;
const facts = (more: Partial<ConnectionFacts>): ConnectionFacts => ({
  ...NO_CONNECTION,
  localAddress: '127.0.0.1',
  localPort: 15006,
  remoteAddress: '10.0.0.9',
  remotePort: 4711,
  destinationAddress: '127.0.0.1',
  destinationPort: 8080,
  isDestinationRestored: true,
  proxied: null,
  ...more,
});

test('connections that no chain takes are counted, and told once a minute for each port and transport', () => {
  const time = fakeTime();
  const metrics = new MetricsRegistry();
  const lines: string[] = [];
  const logger = createLogger({ component: 'tcp', write: (line) => void lines.push(line) });
  const tell = createUnmatchedConnections(metrics, time.clock, logger);
  tell(listener, facts({}));
  tell(listener, facts({}));
  tell(listener, facts({ transportProtocol: 'tls', serverName: 'a\u001bb', applicationProtocols: ['h2'] }));
  expect(lines).toHaveLength(2);
  expect(lines[0]).toContain('a plaintext connection was closed: no filter chain takes it');
  expect(lines[0]).toContain('port=8080 client=10.0.0.9 remedy=');
  expect(lines[0]).toContain('PERMISSIVE');
  expect(lines[1]).toContain('protocols=h2');
  expect(lines[1]).not.toContain('\u001b');
  time.advance(60_000);
  tell(listener, facts({}));
  expect(lines).toHaveLength(3);
  const counts = metrics
    .collect()
    .flatMap(({ series }) => series.map(({ labels, values }) => [Object.values(labels).join(), values[0]]));
  expect(counts).toEqual([
    ['in,8080,raw_buffer', 3],
    ['in,8080,tls', 1],
  ]);
});
