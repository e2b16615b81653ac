/**
 * What listeners, connection managers and TCP proxies count about downstream connections, under
 * Envoy's names `listener.<address>.*`, `http.<stat_prefix>.*` and `tcp.<stat_prefix>.*`.
 */
import type { Counter, Gauge, Histogram, MetricsRegistry } from '@sluice/runtime';
import type { ProxyHeaderOutcome } from '../../filter/filter.ts';
import { perRegistry, StatFamilies, statLabel, type StatDefinition } from './stat-set.ts';

const counter = (name: string, help: string): StatDefinition => ({ name, type: 'counter', help });

const CONNECTION = {
  opened: counter('downstream_cx_total', 'Connections accepted.'),
  active: { name: 'downstream_cx_active', type: 'gauge', help: 'Open connections.' },
  closed: counter('downstream_cx_destroy', 'Connections closed.'),
  lengthMs: {
    name: 'downstream_cx_length_ms',
    type: 'histogram',
    help: 'Milliseconds that connections lived.',
  },
} as const satisfies Record<string, StatDefinition>;

const LISTENER = {
  ...CONNECTION,
  overflow: counter('downstream_cx_overflow', 'Connections refused because the listener was full.'),
  noFilterChain: counter('no_filter_chain_match', 'Connections that matched no filter chain.'),
  inspectTimeout: counter(
    'downstream_pre_cx_timeout',
    'Connections that told too little before the inspection timeout.',
  ),
  proxyV1: counter('proxy_proto_v1_found', 'PROXY headers of version 1.'),
  proxyV2: counter('proxy_proto_v2_found', 'PROXY headers of version 2.'),
  proxyAbsent: counter('proxy_proto_not_found_allowed', 'Connections without a PROXY header, let in.'),
  proxyMissing: counter('proxy_proto_not_found_disallowed', 'Connections without a PROXY header, closed.'),
  proxyDisallowed: counter('proxy_proto_disallowed', 'PROXY headers of a version that is not taken.'),
  proxyInvalid: counter('downstream_cx_proxy_proto_error', 'PROXY headers that were malformed.'),
} as const satisfies Record<string, StatDefinition>;

const MANAGER = {
  ...CONNECTION,
  closedByRemote: counter('downstream_cx_destroy_remote', 'Connections closed by the client.'),
  closedLocally: counter('downstream_cx_destroy_local', 'Connections closed by the proxy.'),
  received: counter('downstream_cx_rx_bytes_total', 'Bytes received from clients.'),
  sent: counter('downstream_cx_tx_bytes_total', 'Bytes sent to clients.'),
  idleTimeout: counter('downstream_cx_idle_timeout', 'Connections closed because they were idle.'),
  maxDuration: counter('downstream_cx_max_duration_reached', 'Connections closed because of their age.'),
  http1: counter('downstream_cx_http1_total', 'Connections that speak HTTP/1.'),
  http2: counter('downstream_cx_http2_total', 'Connections that speak HTTP/2.'),
  drainClose: counter('downstream_cx_drain_close', 'Connections closed by draining.'),
  protocolError: counter('downstream_cx_protocol_error', 'Connections that broke the protocol.'),
  upgrades: counter('downstream_cx_upgrades_total', 'Requests that became tunnels (WebSocket, CONNECT).'),
  activeUpgrades: { name: 'downstream_cx_upgrades_active', type: 'gauge', help: 'Tunnels that are open.' },
} as const satisfies Record<string, StatDefinition>;

const TCP = {
  ...CONNECTION,
  noRoute: counter('downstream_cx_no_route', 'Connections without a cluster.'),
  received: counter('downstream_cx_rx_bytes_total', 'Bytes received from clients.'),
  sent: counter('downstream_cx_tx_bytes_total', 'Bytes sent to clients.'),
  idleTimeout: counter('idle_timeout', 'Connections closed because they were idle.'),
  maxDuration: counter('max_downstream_connection_duration', 'Connections closed because of their age.'),
  paused: counter(
    'downstream_flow_control_paused_reading_total',
    'Times that a client was not read because its upstream was slow.',
  ),
  resumed: counter('downstream_flow_control_resumed_reading_total', 'Times that reading it went on.'),
} as const satisfies Record<string, StatDefinition>;

export interface ListenerStats {
  connectionOpened(): void;
  connectionClosed(durationMs: number): void;
  connectionOverflow(): void;
  noFilterChainMatch(): void;
  inspectionTimeout(): void;
  proxyHeader(outcome: ProxyHeaderOutcome): void;
}

export interface ManagerStats {
  connectionOpened(): void;
  connectionClosed(byRemote: boolean, durationMs: number): void;
  bytesReceived(count: number): void;
  bytesSent(count: number): void;
  idleTimeout(): void;
  maxDurationReached(): void;
  drainClose(): void;
  /** Once it is known which HTTP a connection speaks. */
  speaks(protocol: 'h1' | 'h2'): void;
  protocolError(): void;
  upgradeOpened(): void;
  upgradeClosed(): void;
}

export interface TcpStats {
  connectionOpened(): void;
  connectionClosed(durationMs: number): void;
  bytesReceived(count: number): void;
  bytesSent(count: number): void;
  idleTimeout(): void;
  maxDurationReached(): void;
  readingPaused(): void;
  readingResumed(): void;
  noRoute(): void;
}

/** `address`: `0.0.0.0:15006`, or the listener's `stat_prefix`. One object per address, whoever asks. */
export function createListenerStats(registry: MetricsRegistry, address: string): ListenerStats {
  return listeners(registry)(statLabel(address));
}

/** One object per prefix, so that asking once per connection is cheap. */
export function createManagerStats(registry: MetricsRegistry, statPrefix: string): ManagerStats {
  return managers(registry)(statLabel(statPrefix));
}

export function createTcpStats(registry: MetricsRegistry, statPrefix: string): TcpStats {
  return tcpProxies(registry)(statLabel(statPrefix));
}

const proxyStats = {
  v1: 'proxyV1',
  v2: 'proxyV2',
  absent: 'proxyAbsent',
  missing: 'proxyMissing',
  disallowed: 'proxyDisallowed',
  invalid: 'proxyInvalid',
} as const satisfies Record<ProxyHeaderOutcome, keyof typeof LISTENER>;

const listeners = perRegistry((registry) => {
  const families = new StatFamilies(registry, 'envoy_listener_', 'envoy_listener_address', LISTENER);
  return perLabel((label): ListenerStats => {
    const stats = new Bound(families, label);
    return {
      connectionOpened: () => stats.opened(),
      connectionClosed: (durationMs) => stats.closed(durationMs),
      connectionOverflow: () => stats.count('overflow', 1),
      noFilterChainMatch: () => stats.count('noFilterChain', 1),
      inspectionTimeout: () => stats.count('inspectTimeout', 1),
      proxyHeader: (outcome) => stats.count(proxyStats[outcome], 1),
    };
  });
});

const managers = perRegistry((registry) => {
  const families = new StatFamilies(registry, 'envoy_http_', 'envoy_http_conn_manager_prefix', MANAGER);
  return perLabel((label): ManagerStats => {
    const stats = new Bound(families, label);
    return {
      connectionOpened: () => stats.opened(),
      connectionClosed(byRemote, durationMs) {
        stats.closed(durationMs);
        stats.count(byRemote ? 'closedByRemote' : 'closedLocally', 1);
      },
      bytesReceived: (count) => stats.count('received', count),
      bytesSent: (count) => stats.count('sent', count),
      idleTimeout: () => stats.count('idleTimeout', 1),
      maxDurationReached: () => stats.count('maxDuration', 1),
      drainClose: () => stats.count('drainClose', 1),
      speaks: (protocol) => stats.count(protocol === 'h2' ? 'http2' : 'http1', 1),
      protocolError: () => stats.count('protocolError', 1),
      upgradeOpened() {
        stats.count('upgrades', 1);
        stats.adjust('activeUpgrades', 1);
      },
      upgradeClosed: () => stats.adjust('activeUpgrades', -1),
    };
  });
});

const tcpProxies = perRegistry((registry) => {
  const families = new StatFamilies(registry, 'envoy_tcp_', 'envoy_tcp_prefix', TCP);
  return perLabel((label): TcpStats => {
    const stats = new Bound(families, label);
    return {
      connectionOpened: () => stats.opened(),
      connectionClosed: (durationMs) => stats.closed(durationMs),
      bytesReceived: (count) => stats.count('received', count),
      bytesSent: (count) => stats.count('sent', count),
      idleTimeout: () => stats.count('idleTimeout', 1),
      maxDurationReached: () => stats.count('maxDuration', 1),
      readingPaused: () => stats.count('paused', 1),
      readingResumed: () => stats.count('resumed', 1),
      noRoute: () => stats.count('noRoute', 1),
    };
  });
});

/** Names come and go with configuration; beyond this many the map starts anew (series are the registry's). */
const MAX_KEPT_LABELS = 10_000;

function perLabel<T>(make: (label: string) => T): (label: string) => T {
  const made = new Map<string, T>();
  return (label) => {
    let value = made.get(label);
    if (value !== undefined) return value;
    if (made.size >= MAX_KEPT_LABELS) made.clear();
    value = make(label);
    made.set(label, value);
    return value;
  };
}

/** The counters of one object, bound on first use. */
class Bound<Name extends string> {
  readonly #families: StatFamilies<Name | keyof typeof CONNECTION>;
  readonly #label: string;
  readonly #counters = new Map<Name, Counter>();
  readonly #gauges = new Map<Name, Gauge>();
  #opened: Counter | null = null;
  #active: Gauge | null = null;
  #closed: Counter | null = null;
  #lengthMs: Histogram | null = null;

  constructor(families: StatFamilies<Name | keyof typeof CONNECTION>, label: string) {
    this.#families = families;
    this.#label = label;
  }

  opened(): void {
    (this.#opened ??= this.#families.counter('opened', this.#label)).inc();
    (this.#active ??= this.#families.gauge('active', this.#label)).add(1);
  }

  closed(durationMs: number): void {
    (this.#active ??= this.#families.gauge('active', this.#label)).add(-1);
    (this.#closed ??= this.#families.counter('closed', this.#label)).inc();
    (this.#lengthMs ??= this.#families.histogram('lengthMs', this.#label)).observe(durationMs);
  }

  adjust(name: Name, by: number): void {
    let bound = this.#gauges.get(name);
    if (bound === undefined) {
      bound = this.#families.gauge(name, this.#label);
      this.#gauges.set(name, bound);
    }
    bound.add(by);
  }

  count(name: Name, n: number): void {
    let bound = this.#counters.get(name);
    if (bound === undefined) {
      bound = this.#families.counter(name, this.#label);
      this.#counters.set(name, bound);
    }
    bound.inc(n);
  }
}
