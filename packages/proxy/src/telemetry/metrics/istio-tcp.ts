/**
 * Istio's TCP metrics for one filter chain. Opened is counted when the upstream is known, bytes from time to
 * time (a connection may live for days) and at the end, closed at the end.
 */
import type { Counter, MetricsRegistry } from '@sluice/runtime';
import type { RequestRecord } from '../record.ts';
import { responseFlagsShort } from '../response-flags.ts';
import { istioTcpFamilies, peerLabelValues, type IstioTcpFamilies } from './istio-families.ts';
import { PeerCache, type PeerOptions, type PeerPair } from './istio-peers.ts';
import { perRegistry } from './stat-set.ts';

interface Bound {
  readonly sent: Counter;
  readonly received: Counter;
  readonly opened: Counter;
  readonly closed: Counter;
}

/** Bound per TCP filter chain. */
export interface ConnectionMetrics {
  /** Once the endpoint is chosen, or the connection has failed to get one. */
  onConnectionOpened(record: RequestRecord): void;
  /** What moved since the last time. */
  onBytes(record: RequestRecord, sentBytes: number, receivedBytes: number): void;
  onConnectionClosed(record: RequestRecord): void;
}

/** The same object for the same options, so that asking once per connection is cheap. */
export function createConnectionMetrics(registry: MetricsRegistry, options: PeerOptions): ConnectionMetrics {
  const made = madeFor(registry);
  const known = made.find((each) => isSame(each.options, options));
  if (known !== undefined) return known.metrics;
  const metrics = bindConnectionMetrics(registry, options);
  if (made.length >= MAX_KEPT) made.length = 0;
  made.push({ options, metrics });
  return metrics;
}

/** A proxy has two sets of options, one per direction; the bound is a safeguard. */
const MAX_KEPT = 64;
const madeFor = perRegistry((): { options: PeerOptions; metrics: ConnectionMetrics }[] => []);

function isSame(a: PeerOptions, b: PeerOptions): boolean {
  return (
    a.reporter === b.reporter &&
    a.own === b.own &&
    a.downstreamPeer === b.downstreamPeer &&
    a.service === b.service
  );
}

function bindConnectionMetrics(registry: MetricsRegistry, options: PeerOptions): ConnectionMetrics {
  const families = istioTcpFamilies(registry);
  const peers = new PeerCache(options, (pair) => new FlagSeries(families, options.reporter, pair));
  return {
    onConnectionOpened(record) {
      // Flags are not final yet: an opened connection is counted under none.
      peers.get(record).of(0).opened.inc();
    },
    onBytes(record, sentBytes, receivedBytes) {
      const bound = peers.get(record).of(record.flags);
      if (sentBytes > 0) bound.sent.inc(sentBytes);
      if (receivedBytes > 0) bound.received.inc(receivedBytes);
    },
    onConnectionClosed(record) {
      peers.get(record).of(record.flags).closed.inc();
    },
  };
}

class FlagSeries {
  readonly #byFlags = new Map<number, Bound>();
  readonly #bind: (flags: number) => Bound;

  constructor(families: IstioTcpFamilies, reporter: 'source' | 'destination', pair: PeerPair) {
    const peers = peerLabelValues({ ...pair, reporter, protocol: 'tcp' });
    this.#bind = (flags) => {
      const labels = [...peers, responseFlagsShort(flags), pair.securityPolicy];
      return {
        sent: families.sent.labels(labels),
        received: families.received.labels(labels),
        opened: families.opened.labels(labels),
        closed: families.closed.labels(labels),
      };
    };
  }

  of(flags: number): Bound {
    let bound = this.#byFlags.get(flags);
    if (bound === undefined) {
      bound = this.#bind(flags);
      this.#byFlags.set(flags, bound);
    }
    return bound;
  }
}
