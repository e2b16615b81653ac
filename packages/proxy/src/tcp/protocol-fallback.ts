/**
 * Connections whose first bytes did not come in time and that went on as opaque TCP. Each costs its client
 * the inspection timeout, every time, so it is counted by destination port and reported: a port whose server
 * speaks first wants to be declared (a port name or `appProtocol` of `tcp`), which ends the wait.
 */
import type { Clock, Counter, Family, Logger, MetricsRegistry } from '@sluice/runtime';
import type { ConnectionFacts } from '../listener/connection-facts.ts';
import type { ListenerRuntime } from '../listener/listener.ts';
import { SparseReports } from './sparse-reports.ts';

/** Series beyond this share one. */
const MAX_SERIES = 256;

export type OnProtocolFallback = (listener: ListenerRuntime, facts: ConnectionFacts) => void;

export function createProtocolFallback(
  metrics: MetricsRegistry,
  clock: Clock,
  logger: Logger,
): OnProtocolFallback {
  let family: Family<Counter> | null = null;
  const reports = new SparseReports(clock);
  return (listener, facts) => {
    const port = facts.destinationPort;
    family ??= metrics.family(
      'counter',
      'sluice_protocol_fallback_total',
      'Connections taken as opaque TCP because their first bytes did not come in time.',
      ['listener', 'destination_port'],
      { maxSeries: MAX_SERIES },
    );
    family.labels([listener.name, String(port)]).inc();
    if (!reports.isDue(String(port))) return;
    logger.warning('no bytes came in time to tell the protocol; taken as TCP', {
      listener: listener.name,
      port,
      waitedMs: listener.listenerFiltersTimeoutMs,
      remedy: 'name the port tcp-…, or set appProtocol: tcp, if its server speaks first',
    });
  };
}
