/** Counters of HTTP/2 codecs: `http2.*` of all listeners of a loop together, `cluster.<name>.http2.*` upstream. */
import type { Counter, Gauge, MetricsRegistry } from '@sluice/runtime';
import type { H2CodecStat, H2CodecStats } from '../../http/h2-codec-stats.ts';
import { perRegistry } from './stat-set.ts';

const help: Readonly<Record<H2CodecStat, string>> = {
  header_overflow: 'Header lists larger than allowed.',
  inbound_empty_frames_flood: 'Connections ended for too many empty frames.',
  inbound_priority_frames_flood: 'Connections ended for too many PRIORITY frames.',
  inbound_window_update_frames_flood: 'Connections ended for too many WINDOW_UPDATE frames.',
  streams_refused: 'Streams refused: more at a time than their peer was allowed.',
  inbound_reset_flood: 'Connections ended for too many early resets, or too many provoked ones.',
  inbound_continuation_flood: 'Connections ended for too many CONTINUATION frames.',
  inbound_control_flood:
    'Connections ended for too many PING, SETTINGS or meaningless frames, refused streams among them.',
  outbound_control_flood: 'Connections ended because their peer reads no control frames.',
  outbound_flood: 'Connections ended because their peer reads no frames.',
  keepalive_timeout: 'Connections ended because a PING was not answered.',
  rx_messaging_error: 'Malformed messages received.',
  rx_reset: 'RST_STREAM received.',
  tx_reset: 'RST_STREAM sent.',
  tx_flush_timeout: 'Streams reset because their peer gave no window for their last octets.',
  goaway_sent: 'GOAWAY sent.',
};

/** Of everything that clients open. */
export const downstreamHttp2Stats = perRegistry(
  (registry): H2CodecStats => new BoundHttp2Stats(registry, 'envoy_http2_', [], []),
);

export function clusterHttp2Stats(registry: MetricsRegistry, label: string): H2CodecStats {
  return new BoundHttp2Stats(registry, 'envoy_cluster_http2_', ['envoy_cluster_name'], [label]);
}

class BoundHttp2Stats implements H2CodecStats {
  readonly #registry: MetricsRegistry;
  readonly #prefix: string;
  readonly #names: readonly string[];
  readonly #values: readonly string[];
  readonly #counters = new Map<H2CodecStat, Counter>();
  #active: Gauge | null = null;

  constructor(
    registry: MetricsRegistry,
    prefix: string,
    names: readonly string[],
    values: readonly string[],
  ) {
    this.#registry = registry;
    this.#prefix = prefix;
    this.#names = names;
    this.#values = values;
  }

  count(stat: H2CodecStat, n: number): void {
    if (n === 0) return;
    let counter = this.#counters.get(stat);
    if (counter === undefined) {
      counter = this.#registry
        .family('counter', `${this.#prefix}${stat}`, help[stat], this.#names)
        .labels(this.#values);
      this.#counters.set(stat, counter);
    }
    counter.inc(n);
  }

  streamOpened(): void {
    this.#streams().add(1);
  }

  streamClosed(): void {
    this.#streams().add(-1);
  }

  #streams(): Gauge {
    return (this.#active ??= this.#registry
      .family('gauge', `${this.#prefix}streams_active`, 'Open streams.', this.#names)
      .labels(this.#values));
  }
}
