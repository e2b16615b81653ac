/**
 * What HTTP/2 connections count, under the names of Envoy's codec (`http2.*` and `cluster.<name>.http2.*`).
 *
 * The session counts by itself; what became more since the last look is reported once per received chunk,
 * and nothing is when nothing rare happened.
 */
import type { H2Stats } from '@sluice/wire';

/** Named as Envoy names them. */
export type H2CodecStat =
  | 'header_overflow'
  | 'inbound_empty_frames_flood'
  | 'inbound_priority_frames_flood'
  | 'inbound_window_update_frames_flood'
  | 'outbound_control_flood'
  | 'outbound_flood'
  | 'keepalive_timeout'
  | 'rx_messaging_error'
  | 'rx_reset'
  | 'tx_reset'
  | 'tx_flush_timeout'
  | 'goaway_sent'
  /** Without a twin in Envoy: streams beyond the limit, floods of resets, CONTINUATION, PING, SETTINGS and the rest. */
  | 'streams_refused'
  | 'inbound_reset_flood'
  | 'inbound_continuation_flood'
  | 'inbound_control_flood';

export interface H2CodecStats {
  count(stat: H2CodecStat, n: number): void;
  streamOpened(): void;
  streamClosed(): void;
}

export class H2StatsReporter {
  readonly #stats: H2CodecStats;
  #received = 0;
  #sent = 0;
  #errors = 0;
  #overflows = 0;
  #refused = 0;

  constructor(stats: H2CodecStats) {
    this.#stats = stats;
  }

  /** Resets, malformed messages, too large heads and refused streams since the last call. */
  report(now: H2Stats): void {
    if (now.resetsReceived !== this.#received) {
      this.#stats.count('rx_reset', now.resetsReceived - this.#received);
      this.#received = now.resetsReceived;
    }
    if (now.resetsSent !== this.#sent) {
      this.#stats.count('tx_reset', now.resetsSent - this.#sent);
      this.#sent = now.resetsSent;
    }
    if (now.streamErrors !== this.#errors) {
      this.#stats.count('rx_messaging_error', now.streamErrors - this.#errors);
      this.#errors = now.streamErrors;
    }
    if (now.headerListsTooLarge !== this.#overflows) {
      this.#stats.count('header_overflow', now.headerListsTooLarge - this.#overflows);
      this.#overflows = now.headerListsTooLarge;
    }
    if (now.refusedStreams !== this.#refused) {
      this.#stats.count('streams_refused', now.refusedStreams - this.#refused);
      this.#refused = now.refusedStreams;
    }
  }

  /** Once, when the session failed: which of the bounds it was. */
  reportFlood(now: H2Stats): void {
    const stats = this.#stats;
    stats.count('inbound_empty_frames_flood', now.emptyFrameFlood);
    stats.count('inbound_priority_frames_flood', now.priorityFlood);
    stats.count('inbound_window_update_frames_flood', now.windowUpdateFlood);
    stats.count('outbound_flood', now.outboundFlood);
    stats.count('outbound_control_flood', now.outboundControlFlood);
    stats.count('inbound_reset_flood', now.prematureResetFlood + now.provokedResetFlood);
    stats.count('inbound_continuation_flood', now.continuationFlood);
    stats.count('inbound_control_flood', now.pingFlood + now.settingsFlood + now.ignoredFrameFlood);
  }
}
