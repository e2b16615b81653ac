import { expect, test } from 'bun:test';
import { createLogger } from '@sluice/runtime';
import { fakeTime } from '@sluice/testkit';
import type { ListenerRuntime } from '../listener/listener.ts';
import { createRefusedConnections, type ConnectionLimit } from './refused-connections.ts';

function world() {
  const time = fakeTime();
  const lines: string[] = [];
  const logger = createLogger({ component: 'tcp', write: (line) => void lines.push(line) });
  const refused = createRefusedConnections(time.wheel, logger, { connections: 448, descriptorLimit: 1024 });
  return {
    time,
    lines,
    refuse(name: string, limit: ConnectionLimit, times = 1): void {
      const listener = { name, maxConnections: 7 } as ListenerRuntime;
      for (let i = 0; i < times; i += 1) refused(listener, limit);
    },
  };
}

test('the first refusal is told at once, the rest of a burst a minute later, and quiet is not told', () => {
  const { time, lines, refuse } = world();
  refuse('in', 'process', 500);
  expect(lines).toHaveLength(1);
  expect(lines[0]).toContain('connections were refused: a limit is reached');
  expect(lines[0]).toContain('listener=in refused=1 limit=RLIMIT_NOFILE rlimitNofile=1024 connectionCap=448');
  expect(lines[0]).toContain('LimitNOFILE=');
  time.advance(59_999);
  expect(lines).toHaveLength(1);
  time.advance(1);
  expect(lines).toHaveLength(2);
  expect(lines[1]).toContain('refused=499 ');
  time.advance(600_000);
  expect(lines).toHaveLength(2);
  refuse('in', 'process');
  expect(lines).toHaveLength(3);
  expect(lines[2]).toContain('refused=1 ');
});

test('one that is refused within a minute of a line waits for its turn', () => {
  const { time, lines, refuse } = world();
  refuse('in', 'process');
  time.advance(30_000);
  refuse('in', 'process');
  expect(lines).toHaveLength(1);
  time.advance(30_000);
  expect(lines).toHaveLength(2);
  time.advance(59_999);
  refuse('in', 'process', 2);
  expect(lines).toHaveLength(2);
  time.advance(1);
  expect(lines[2]).toContain('refused=2 ');
});

test('listeners are told by themselves, and a limit of their own is named', () => {
  const { lines, refuse } = world();
  refuse('in', 'process');
  refuse('out', 'listener');
  expect(lines).toHaveLength(2);
  expect(lines[1]).toContain('listener=out refused=1 limit=listener listenerCap=7');
  expect(lines[1]).toContain('envoy.resource_limits.listener.out.connection_limit');
  expect(lines[1]).not.toContain('RLIMIT_NOFILE');
});

test('both limits within a minute are one line', () => {
  const { time, lines, refuse } = world();
  refuse('in', 'listener');
  refuse('in', 'listener', 2);
  refuse('in', 'process', 3);
  time.advance(60_000);
  expect(lines).toHaveLength(2);
  expect(lines[1]).toContain('refused=5 limit=RLIMIT_NOFILE');
  expect(lines[1]).toContain('andLimit=listener listenerCap=7');
});
