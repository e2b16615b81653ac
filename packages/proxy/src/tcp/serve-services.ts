/** What serving connections needs beyond exchanges: bound once per data loop. */
import type { ConnectionFacts } from '../listener/connection-facts.ts';
import type { FilterChain, ListenerRuntime } from '../listener/listener.ts';
import type { ExchangeServices } from '../http/exchange-services.ts';
import type { H2CodecStats } from '../http/h2-codec-stats.ts';
import type { UpstreamHttpFilter } from '../filter/filter.ts';
import type { SocketProvider } from '../io/connection.ts';
import type { ConnectionMetrics } from '../telemetry/metrics/istio-tcp.ts';
import type { ListenerStats, ManagerStats, TcpStats } from '../telemetry/metrics/connection-stats.ts';
import type { RequestMetrics } from '../telemetry/record.ts';
import type { ConnectionLimits } from './connection-limits.ts';
import type { OnProtocolFallback } from './protocol-fallback.ts';
import type { OnConnectionRefused } from './refused-connections.ts';
import type { OnUnmatchedConnection } from './unmatched-connections.ts';

export interface ServeServices extends ExchangeServices {
  readonly sockets: SocketProvider;
  /** Sends what connections have written in the running turn of the event loop. */
  readonly flush: () => void;
  readonly connectionLimits: ConnectionLimits;
  /** A connection was closed at once because a limit is reached. */
  readonly connectionRefused: OnConnectionRefused;
  listenerStats(listener: ListenerRuntime): ListenerStats;
  managerStats(chain: FilterChain): ManagerStats;
  tcpStats(chain: FilterChain): TcpStats;
  readonly http2Stats: H2CodecStats;
  requestMetrics(listener: ListenerRuntime, chain: FilterChain): RequestMetrics;
  connectionMetrics(listener: ListenerRuntime, chain: FilterChain): ConnectionMetrics;
  /** A connection was taken as opaque TCP because its first bytes did not come in time. */
  readonly protocolFallback: OnProtocolFallback;
  /** A connection was closed because no filter chain takes it. */
  readonly unmatchedConnection: OnUnmatchedConnection;
  upstreamFilters(chain: FilterChain): readonly UpstreamHttpFilter[];
  /** Writes a connection that never reached a chain to the listener's access log. */
  logRefusedConnection(
    listener: ListenerRuntime,
    facts: ConnectionFacts,
    flag: string,
    details: string,
  ): void;
}
