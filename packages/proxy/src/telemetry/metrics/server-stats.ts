/** `server.*`: facts of the process, read when somebody asks. */
import type { FamilySnapshot, MetricsRegistry } from '@sluice/runtime';
import { readFamily } from './read-families.ts';
import { DURATION_BOUNDS_MS } from './stat-set.ts';

/** Envoy's numbers for `server.state`. */
export const SERVER_STATES = { LIVE: 0, DRAINING: 1, PRE_INITIALIZING: 2, INITIALIZING: 3 } as const;
export type ServerState = keyof typeof SERVER_STATES;

export interface ServerFacts {
  readonly state: ServerState;
  readonly uptimeSeconds: number;
  readonly concurrency: number;
  readonly hotRestartEpoch: number;
  readonly memoryBytes: number;
  readonly heapBytes: number;
  readonly connections: number;
  /** Null while no certificate is in use. */
  readonly daysUntilFirstExpiry: number | null;
}

/** Once, when the initial configuration serves. */
export function recordInitialization(metrics: MetricsRegistry, durationMs: number): void {
  const name = 'envoy_server_initialization_time_ms';
  const help = 'Milliseconds from the start to the initial configuration serving.';
  metrics.histogram(name, help, DURATION_BOUNDS_MS).observe(durationMs);
}

export function serverFamilies(facts: ServerFacts): FamilySnapshot[] {
  const gauges: readonly (readonly [string, string, number | null])[] = [
    ['live', '1 while the server is not draining.', facts.state === 'LIVE' ? 1 : 0],
    ['state', '0 live, 1 draining, 2 pre-initializing, 3 initializing.', SERVER_STATES[facts.state]],
    ['uptime', 'Seconds since the start.', facts.uptimeSeconds],
    ['concurrency', 'Data loops.', facts.concurrency],
    [
      'hot_restart_epoch',
      'How many processes have handed over to the next before this one.',
      facts.hotRestartEpoch,
    ],
    ['memory_allocated', 'Bytes of live heap.', facts.heapBytes],
    ['memory_physical_size', 'Bytes of resident memory.', facts.memoryBytes],
    ['total_connections', 'Open downstream connections.', facts.connections],
    [
      'days_until_first_cert_expiring',
      'Whole days until the first certificate in use ends.',
      facts.daysUntilFirstExpiry,
    ],
  ];
  return gauges.flatMap(([part, help, value]) =>
    value === null ? [] : [readFamily(`envoy_server_${part}`, 'gauge', help, value)],
  );
}
