/**
 * `http.<stat_prefix>.downstream_rq_*`: what a connection manager counts about requests.
 */
import type { Counter, Gauge, Histogram, MetricsRegistry } from '@sluice/runtime';
import type { RequestRecord } from '../record.ts';
import { FLAG } from '../response-flags.ts';
import {
  CodeCounters,
  codeFamilies,
  perRegistry,
  StatFamilies,
  statLabel,
  type StatDefinition,
} from './stat-set.ts';

const counter = (name: string, help: string): StatDefinition => ({ name, type: 'counter', help });

const DEFINITIONS = {
  total: counter('downstream_rq_total', 'Requests.'),
  active: { name: 'downstream_rq_active', type: 'gauge', help: 'Requests in progress.' },
  completed: counter('downstream_rq_completed', 'Requests that got a response.'),
  http1: counter('downstream_rq_http1_total', 'Requests over HTTP/1.'),
  http2: counter('downstream_rq_http2_total', 'Requests over HTTP/2.'),
  time: {
    name: 'downstream_rq_time',
    type: 'histogram',
    help: 'Milliseconds from the first byte to the end of the response.',
  },
  reset: counter('downstream_rq_rx_reset', 'Requests whose client went away.'),
  timeout: counter('downstream_rq_timeout', 'Requests that exceeded the time for a whole request.'),
  idleTimeout: counter('downstream_rq_idle_timeout', 'Requests that stood still for too long.'),
  tooLarge: counter('downstream_rq_too_large', 'Requests whose body was too large.'),
  noRoute: counter('no_route', 'Requests without a route.'),
  noCluster: counter('no_cluster', 'Requests whose route names an unknown cluster.'),
  redirect: counter('rq_redirect', 'Requests answered by a redirect route.'),
  direct: counter('rq_direct_response', 'Requests answered by a direct response route.'),
} as const satisfies Record<string, StatDefinition>;

type Name = keyof typeof DEFINITIONS;

const LABEL = 'envoy_http_conn_manager_prefix';
const familiesOf = perRegistry((registry) => ({
  stats: new StatFamilies<Name>(registry, 'envoy_http_', LABEL, DEFINITIONS),
  codes: codeFamilies(registry, 'envoy_http_downstream_rq', LABEL, false),
}));

export class ManagerRequestStats {
  readonly #families: StatFamilies<Name>;
  readonly #label: string;
  readonly #codes: CodeCounters;
  readonly #total: Counter;
  readonly #active: Gauge;
  readonly #completed: Counter;
  readonly #time: Histogram;
  #http1: Counter | null = null;
  #http2: Counter | null = null;
  readonly #rare = new Map<Name, Counter>();

  constructor(registry: MetricsRegistry, statPrefix: string) {
    const { stats, codes } = familiesOf(registry);
    const label = statLabel(statPrefix);
    this.#families = stats;
    this.#label = label;
    this.#codes = new CodeCounters(codes, label);
    this.#total = stats.counter('total', label);
    this.#active = stats.gauge('active', label);
    this.#completed = stats.counter('completed', label);
    this.#time = stats.histogram('time', label);
  }

  started(record: RequestRecord): void {
    this.#total.inc();
    this.#active.add(1);
    if (record.protocol === 'HTTP/2') (this.#http2 ??= this.#families.counter('http2', this.#label)).inc();
    else (this.#http1 ??= this.#families.counter('http1', this.#label)).inc();
  }

  ended(record: RequestRecord, durationMs: number): void {
    this.#active.add(-1);
    if (record.status > 0) {
      this.#completed.inc();
      this.#codes.count(record.status);
    }
    this.#time.observe(durationMs);
    if (record.flags !== 0) this.#countFlags(record.flags);
    if (record.status === 413) this.#count('tooLarge');
    const action = record.route?.action.kind;
    if (action === 'redirect') this.#count('redirect');
    else if (action === 'direct') this.#count('direct');
  }

  #countFlags(flags: number): void {
    if ((flags & (FLAG.DC | FLAG.DR)) !== 0) this.#count('reset');
    if ((flags & FLAG.SI) !== 0) this.#count('idleTimeout');
    if ((flags & FLAG.DT) !== 0) this.#count('timeout');
    if ((flags & FLAG.NR) !== 0) this.#count('noRoute');
    if ((flags & FLAG.NC) !== 0) this.#count('noCluster');
  }

  #count(name: Name): void {
    let bound = this.#rare.get(name);
    if (bound === undefined) {
      bound = this.#families.counter(name, this.#label);
      this.#rare.set(name, bound);
    }
    bound.inc();
  }
}
