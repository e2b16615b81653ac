/**
 * `server.*` and `listener_manager.*`-like facts of the process, read when somebody asks.
 */
import type { FamilySnapshot, MetricType, MetricsSource } from '@sluice/runtime';

/** Envoy's numbers for `server.state`. */
export const SERVER_STATES = { LIVE: 0, DRAINING: 1, PRE_INITIALIZING: 2, INITIALIZING: 3 } as const;
export type ServerState = keyof typeof SERVER_STATES;

export interface ServerFacts {
  readonly state: ServerState;
  readonly uptimeSeconds: number;
  readonly concurrency: number;
  readonly memoryBytes: number;
  readonly heapBytes: number;
  readonly connections: number;
  /** Null while no certificate is in use. */
  readonly daysUntilFirstExpiry: number | null;
}

/** Metrics of the process beside those of a source (a registry, or the aggregate of the loops). */
export function withServerStats(source: MetricsSource, facts: () => ServerFacts): MetricsSource {
  return {
    collect: () => [...source.collect(), ...serverFamilies(facts())],
  };
}

function serverFamilies(facts: ServerFacts): FamilySnapshot[] {
  return [
    family(
      'envoy_server_live',
      'gauge',
      '1 while the server is not draining.',
      facts.state === 'LIVE' ? 1 : 0,
    ),
    family(
      'envoy_server_state',
      'gauge',
      '0 live, 1 draining, 2 pre-initializing, 3 initializing.',
      SERVER_STATES[facts.state],
    ),
    family('envoy_server_uptime', 'gauge', 'Seconds since the start.', facts.uptimeSeconds),
    family('envoy_server_concurrency', 'gauge', 'Data loops.', facts.concurrency),
    family('envoy_server_memory_allocated', 'gauge', 'Bytes of live heap.', facts.heapBytes),
    family('envoy_server_memory_physical_size', 'gauge', 'Bytes of resident memory.', facts.memoryBytes),
    family('envoy_server_total_connections', 'gauge', 'Open downstream connections.', facts.connections),
    ...(facts.daysUntilFirstExpiry === null
      ? []
      : [
          family(
            'envoy_server_days_until_first_cert_expiring',
            'gauge',
            'Whole days until the first certificate in use ends.',
            facts.daysUntilFirstExpiry,
          ),
        ]),
  ];
}

function family(name: string, type: MetricType, help: string, value: number): FamilySnapshot {
  return {
    name,
    type,
    help,
    unit: undefined,
    boundaries: undefined,
    series: [{ labels: {}, values: [value] }],
  };
}
