/**
 * The two ends of a request or connection, resolved once per pair and kept: the steady state finds a
 * pair by object identity and builds no strings.
 *
 *   OUTBOUND listener → reporter "source": we are the source, the endpoint's metadata is the destination
 *   INBOUND listener  → reporter "destination": we are the destination, the peer is the source
 */
import type { Cluster, Endpoint } from '../../cluster/cluster.ts';
import type { ServiceIdentity } from '../../cluster/service-identity.ts';
import type { RequestRecord } from '../record.ts';
import {
  serviceFromCluster,
  UNKNOWN,
  UNKNOWN_WORKLOAD,
  workloadFromEndpoint,
  type WorkloadIdentity,
} from './workload-identity.ts';

export interface PeerResolver {
  /** The workload behind an inbound connection, by what it told (peer metadata); null = unknown. */
  readonly downstreamPeer?: (record: RequestRecord) => WorkloadIdentity | null;
  /** The service behind a cluster when its name does not say; null = by the name. */
  readonly service?: (cluster: Cluster) => ServiceIdentity | null;
}

export interface PeerOptions extends PeerResolver {
  readonly reporter: 'source' | 'destination';
  readonly own: WorkloadIdentity;
}

/** Everything but protocol, response and flags. */
export interface PeerPair {
  readonly source: WorkloadIdentity;
  readonly sourcePrincipal: string;
  readonly destination: WorkloadIdentity;
  readonly destinationPrincipal: string;
  readonly service: ServiceIdentity;
  /** Istio: only the destination can say; a source cannot know. */
  readonly securityPolicy: 'mutual_tls' | 'none' | 'unknown';
}

/** Pairs per listener chain that are kept; a peer that invents identities makes the rest slower, not larger. */
const MAX_PAIRS = 4_096;

interface EndpointPair<T> {
  readonly cluster: Cluster | null;
  readonly sourcePrincipal: string;
  readonly destinationPrincipal: string;
  readonly value: T;
}

/** Holds one `T` per pair of peers. */
export class PeerCache<T> {
  readonly #options: PeerOptions;
  readonly #make: (pair: PeerPair) => T;
  readonly #byEndpoint = new WeakMap<Endpoint, EndpointPair<T>>();
  readonly #byCluster = new Map<string, T>();
  /** By peer, then principal, then cluster: one listener serves several ports and so several services. */
  readonly #byPeer = new Map<WorkloadIdentity, Map<string, Map<string, T>>>();
  #peers = 0;

  constructor(options: PeerOptions, make: (pair: PeerPair) => T) {
    this.#options = options;
    this.#make = make;
  }

  get(record: RequestRecord): T {
    return this.#options.reporter === 'source' ? this.#bySource(record) : this.#byDestination(record);
  }

  #bySource(record: RequestRecord): T {
    const { endpoint, cluster } = record;
    if (endpoint === null) return this.#withoutEndpoint(record);
    const known = this.#byEndpoint.get(endpoint);
    const sourcePrincipal = record.upstreamTls?.local?.uriSans[0] ?? UNKNOWN;
    const destinationPrincipal = record.upstreamTls?.peer?.uriSans[0] ?? UNKNOWN;
    if (
      known !== undefined &&
      known.cluster === cluster &&
      known.sourcePrincipal === sourcePrincipal &&
      known.destinationPrincipal === destinationPrincipal
    )
      return known.value;
    const value = this.#make({
      source: this.#options.own,
      sourcePrincipal,
      destination: workloadFromEndpoint(endpoint),
      destinationPrincipal,
      service: this.#serviceOf(record),
      securityPolicy: 'unknown',
    });
    this.#byEndpoint.set(endpoint, { cluster, sourcePrincipal, destinationPrincipal, value });
    return value;
  }

  /** No endpoint was chosen: no route, no healthy host, an answer of our own. */
  #withoutEndpoint(record: RequestRecord): T {
    const name = record.cluster?.name ?? record.clusterName;
    const known = this.#byCluster.get(name);
    if (known !== undefined) return known;
    const value = this.#make({
      source: this.#options.own,
      sourcePrincipal: UNKNOWN,
      destination: UNKNOWN_WORKLOAD,
      destinationPrincipal: UNKNOWN,
      service: this.#serviceOf(record),
      securityPolicy: 'unknown',
    });
    if (this.#byCluster.size >= MAX_PAIRS) this.#byCluster.clear();
    this.#byCluster.set(name, value);
    return value;
  }

  #byDestination(record: RequestRecord): T {
    const peer = this.#options.downstreamPeer?.(record) ?? UNKNOWN_WORKLOAD;
    const { peerIdentity, isMutualTls } = record.connection;
    const key = peerIdentity === null ? (isMutualTls ? 'm' : '') : peerIdentity;
    const clusterName = record.cluster?.name ?? record.clusterName;
    const known = this.#byPeer.get(peer)?.get(key)?.get(clusterName);
    if (known !== undefined) return known;
    const value = this.#make({
      source: peer,
      sourcePrincipal: peerIdentity ?? UNKNOWN,
      destination: this.#options.own,
      destinationPrincipal: (isMutualTls ? record.connection.tls?.local?.uriSans[0] : undefined) ?? UNKNOWN,
      service: this.#serviceOf(record),
      securityPolicy: isMutualTls ? 'mutual_tls' : 'none',
    });
    this.#keepPeer(peer, key, clusterName, value);
    return value;
  }

  #keepPeer(peer: WorkloadIdentity, key: string, clusterName: string, value: T): void {
    if (this.#peers >= MAX_PAIRS) {
      this.#byPeer.clear();
      this.#peers = 0;
    }
    let byKey = this.#byPeer.get(peer);
    if (byKey === undefined) this.#byPeer.set(peer, (byKey = new Map()));
    let byCluster = byKey.get(key);
    if (byCluster === undefined) byKey.set(key, (byCluster = new Map()));
    byCluster.set(clusterName, value);
    this.#peers += 1;
  }

  #serviceOf(record: RequestRecord): ServiceIdentity {
    const given = record.cluster === null ? null : (this.#options.service?.(record.cluster) ?? null);
    return given ?? serviceFromCluster(record.cluster, record.clusterName);
  }
}
