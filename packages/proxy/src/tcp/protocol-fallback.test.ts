import { expect, test } from 'bun:test';
import { createLogger, MetricsRegistry } from '@sluice/runtime';
import { fakeTime } from '@sluice/testkit';
import type { ConnectionFacts } from '../listener/connection-facts.ts';
import type { ListenerRuntime } from '../listener/listener.ts';
import { createProtocolFallback } from './protocol-fallback.ts';

test('connections that became TCP for want of bytes are counted by port, and told once a minute with the remedy', () => {
  const time = fakeTime();
  const metrics = new MetricsRegistry();
  const lines: string[] = [];
  const logger = createLogger({ component: 'tcp', write: (line) => void lines.push(line) });
  const tell = createProtocolFallback(metrics, time.clock, logger);
  const listener = { name: 'out', listenerFiltersTimeoutMs: 50 } as ListenerRuntime;
  const at = (destinationPort: number): ConnectionFacts => ({ destinationPort }) as ConnectionFacts;
  expect(metrics.collect()).toEqual([]);
  for (const port of [9000, 9000, 9001]) tell(listener, at(port));
  expect(lines).toHaveLength(2);
  expect(lines[0]).toContain('listener=out port=9000 waitedMs=50');
  expect(lines[0]).toContain('appProtocol: tcp');
  time.advance(59_999);
  tell(listener, at(9000));
  expect(lines).toHaveLength(2);
  time.advance(1);
  tell(listener, at(9000));
  expect(lines).toHaveLength(3);
  const [family] = metrics.collect();
  expect(family?.name).toBe('sluice_protocol_fallback_total');
  expect(family?.series.map(({ labels, values }) => [labels, values[0]])).toEqual([
    [{ listener: 'out', destination_port: '9000' }, 4],
    [{ listener: 'out', destination_port: '9001' }, 1],
  ]);
});
