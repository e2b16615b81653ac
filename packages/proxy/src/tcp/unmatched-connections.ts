/**
 * Connections that no filter chain takes. Most often that is plaintext at a port that takes mutual TLS only
 * (STRICT), or TLS that is not the mesh's own; to the client it is a reset without a word. So they are counted by
 * destination port and transport, and the log says what came and what the listener would have taken.
 */
import type { Clock, Counter, Family, Logger, MetricsRegistry } from '@sluice/runtime';
import type { ConnectionFacts } from '../listener/connection-facts.ts';
import type { ListenerRuntime } from '../listener/listener.ts';
import { SparseReports } from './sparse-reports.ts';

/** Series beyond this share one. */
const MAX_SERIES = 256;
/** What a client sent is cut to this in the log. */
const MAX_SHOWN_CHARS = 100;

export type OnUnmatchedConnection = (listener: ListenerRuntime, facts: ConnectionFacts) => void;

export function createUnmatchedConnections(
  metrics: MetricsRegistry,
  clock: Clock,
  logger: Logger,
): OnUnmatchedConnection {
  let family: Family<Counter> | null = null;
  const reports = new SparseReports(clock);
  return (listener, facts) => {
    const { destinationPort: port, transportProtocol, serverName, applicationProtocols } = facts;
    family ??= metrics.family(
      'counter',
      'sluice_unmatched_connections_total',
      'Connections that were closed because no filter chain of the listener takes them.',
      ['listener', 'destination_port', 'transport'],
      { maxSeries: MAX_SERIES },
    );
    family.labels([listener.name, String(port), transportProtocol]).inc();
    if (!reports.isDue(`${listener.name} ${port} ${transportProtocol}`)) return;
    const isPlain = transportProtocol === 'raw_buffer';
    logger.warning(
      isPlain
        ? 'a plaintext connection was closed: no filter chain takes it'
        : 'a TLS connection was closed: no filter chain takes it',
      {
        listener: listener.name,
        port,
        client: facts.remoteAddress,
        ...(serverName === '' ? {} : { serverName: serverName.slice(0, MAX_SHOWN_CHARS) }),
        ...(applicationProtocols.length === 0
          ? {}
          : { protocols: applicationProtocols.join(',').slice(0, MAX_SHOWN_CHARS) }),
        remedy: isPlain
          ? 'let the client use mutual TLS (its own sidecar does), or make the port PERMISSIVE'
          : 'see the server names and protocols of the listener’s chains (/config_dump)',
      },
    );
  };
}
