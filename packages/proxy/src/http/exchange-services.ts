/** What exchanges are given: once per data loop, and once per filter chain. */
import type { HttpManagerConfig, ListenerRuntime } from '../listener/listener.ts';
import type { RouterServices } from '../filter/router/router-host.ts';
import type { HttpChain } from '../filter/http-chain.ts';
import type { UpstreamHttpFilter } from '../filter/filter.ts';
import type { IdSource } from '../telemetry/request-id.ts';
import type { ManagerStats } from '../telemetry/metrics/connection-stats.ts';
import type { RequestMetrics, RequestRecord } from '../telemetry/record.ts';
import type { H2CodecStats } from './h2-codec-stats.ts';
import type { HttpDate } from './http-date.ts';

export interface ExchangeServices extends RouterServices {
  readonly ids: IdSource;
  readonly date: HttpDate;
  newRecord(): RequestRecord;
  /** A filter, logger or the exchange itself threw: always a bug. */
  reportError(error: unknown): void;
}

/** Why connections of a manager ended, where it was not their peers' wish; and which became tunnels. */
export type ConnectionEndStats = Pick<
  ManagerStats,
  'idleTimeout' | 'maxDurationReached' | 'protocolError' | 'upgradeOpened' | 'upgradeClosed'
>;

/** One per HTTP filter chain of a listener; connections and exchanges pin it. */
export interface HttpBinding {
  readonly config: HttpManagerConfig;
  readonly listener: ListenerRuntime;
  readonly chain: HttpChain;
  readonly upstreamFilters: readonly UpstreamHttpFilter[];
  readonly metrics: RequestMetrics;
  readonly connectionStats: ConnectionEndStats;
  /** True while the listener or the process drains: connections are told to close. */
  readonly isDraining: () => boolean;
  readonly http2Stats: H2CodecStats;
}
