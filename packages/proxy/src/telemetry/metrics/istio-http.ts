/**
 * Istio's HTTP metrics for one listener chain: bound series per pair of peers and outcome, so that a
 * request in the steady state is four additions.
 */
import type { Counter, Histogram, MetricsRegistry } from '@sluice/runtime';
import type { RequestRecord } from '../record.ts';
import { responseFlagsShort } from '../response-flags.ts';
import { istioHttpFamilies, peerLabelValues, type IstioHttpFamilies } from './istio-families.ts';
import { PeerCache, type PeerOptions, type PeerPair } from './istio-peers.ts';

/** The series of one combination of labels. */
interface Bound {
  readonly status: number;
  readonly flags: number;
  readonly isGrpc: boolean;
  readonly grpcStatus: number;
  readonly requests: Counter;
  readonly durationMs: Histogram;
  readonly requestBytes: Histogram;
  readonly responseBytes: Histogram;
  /** Null unless the requests are gRPC. */
  readonly messages: { readonly request: Counter; readonly response: Counter } | null;
}

/** Outcomes kept per pair; a service has a handful. Beyond it, the registry's own look-up still bounds. */
const MAX_OUTCOMES = 256;

export class IstioHttpMetrics {
  readonly #peers: PeerCache<Outcomes>;

  constructor(registry: MetricsRegistry, options: PeerOptions) {
    const families = istioHttpFamilies(registry);
    this.#peers = new PeerCache(options, (pair) => new Outcomes(families, options.reporter, pair));
  }

  ended(record: RequestRecord, durationMs: number): void {
    const bound = this.#peers.get(record).of(record);
    bound.requests.inc();
    bound.durationMs.observe(durationMs);
    bound.requestBytes.observe(record.bytesReceived);
    bound.responseBytes.observe(record.bytesSent);
    if (bound.messages === null) return;
    bound.messages.request.inc(record.requestMessages);
    bound.messages.response.inc(record.responseMessages);
  }
}

class Outcomes {
  readonly #families: IstioHttpFamilies;
  readonly #reporter: 'source' | 'destination';
  readonly #pair: PeerPair;
  readonly #bound: Bound[] = [];
  #last: Bound | null = null;

  constructor(families: IstioHttpFamilies, reporter: 'source' | 'destination', pair: PeerPair) {
    this.#families = families;
    this.#reporter = reporter;
    this.#pair = pair;
  }

  of(record: RequestRecord): Bound {
    const last = this.#last;
    if (last !== null && isFor(last, record)) return last;
    for (const bound of this.#bound) {
      if (isFor(bound, record)) return (this.#last = bound);
    }
    return (this.#last = this.#bind(record));
  }

  #bind(record: RequestRecord): Bound {
    const { status, flags, isGrpc, grpcStatus } = record;
    const peers = peerLabelValues({
      ...this.#pair,
      reporter: this.#reporter,
      protocol: isGrpc ? 'grpc' : 'http',
    });
    const grpc = grpcStatus >= 0 ? `${grpcStatus}` : '';
    const labels = [...peers, `${status}`, grpc, responseFlagsShort(flags), this.#pair.securityPolicy];
    const families = this.#families;
    const bound: Bound = {
      status,
      flags,
      isGrpc,
      grpcStatus,
      requests: families.requests.labels(labels),
      durationMs: families.durationMs.labels(labels),
      requestBytes: families.requestBytes.labels(labels),
      responseBytes: families.responseBytes.labels(labels),
      messages: isGrpc
        ? {
            request: families.requestMessages.labels(labels),
            response: families.responseMessages.labels(labels),
          }
        : null,
    };
    if (this.#bound.length < MAX_OUTCOMES) this.#bound.push(bound);
    return bound;
  }
}

function isFor(bound: Bound, record: RequestRecord): boolean {
  return (
    bound.status === record.status &&
    bound.flags === record.flags &&
    bound.isGrpc === record.isGrpc &&
    bound.grpcStatus === record.grpcStatus
  );
}
