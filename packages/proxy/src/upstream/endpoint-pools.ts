/**
 * The pools of one endpoint: almost always one. A second lives beside it while the cluster speaks what its
 * clients speak (HTTP/1.1 and HTTP/2 apart), or drains because what its connections were made with (the
 * transport socket, a credential's generation, the source address, HTTP/2 options) has changed.
 *
 * Key (design §6): endpoint × protocol × transport socket × source address.
 */
import { canonicalJson } from '@sluice/runtime';
import type { Cluster, Endpoint, EndpointPool } from '../cluster/cluster.ts';
import type { ResponseSink } from '../http/streams.ts';
import { ConnectionPool, type PoolProtocol, type PoolServices } from './connection-pool.ts';

export class EndpointPools implements EndpointPool {
  readonly #endpoint: Endpoint;
  readonly #services: PoolServices;
  /** The settings that the pools were made with. */
  #cluster: Cluster | null = null;
  #current: ConnectionPool | null = null;
  #others: ConnectionPool[] = [];

  constructor(endpoint: Endpoint, services: PoolServices) {
    this.#endpoint = endpoint;
    this.#services = services;
  }

  /** Those that are used and those that drain. */
  get all(): readonly ConnectionPool[] {
    return this.#current === null ? this.#others : [this.#current, ...this.#others];
  }

  poolFor(cluster: Cluster, isH2: boolean): ConnectionPool {
    if (cluster !== this.#cluster) this.#adopt(cluster);
    const protocol = protocolOf(cluster, isH2);
    const transport = cluster.transportFor(this.#endpoint);
    const current = this.#current;
    if (current !== null && current.protocol === protocol && current.transport.key === transport.key)
      return current;
    const at = this.#others.findIndex((pool) => !pool.isDraining && pool.protocol === protocol);
    let pool = at < 0 ? null : this.#others.splice(at, 1)[0]!;
    if (pool !== null && pool.transport.key !== transport.key) {
      this.#retire(pool);
      pool = null;
    }
    if (current !== null) {
      if (current.protocol === protocol) this.#retire(current);
      else this.#others.push(current);
    }
    this.#others = this.#others.filter((other) => !other.isDraining || !other.isEmpty);
    return (this.#current =
      pool ?? new ConnectionPool(cluster, this.#endpoint, protocol, transport, this.#services));
  }

  cancel(sink: ResponseSink): void {
    if (this.#current?.cancel(sink) === true) return;
    for (const pool of this.#others) if (pool.cancel(sink)) return;
  }

  drain(): void {
    for (const pool of this.all) pool.drain();
  }

  /** An updated cluster goes on with the connections that it would make the same way. */
  #adopt(cluster: Cluster): void {
    const old = this.#cluster;
    this.#cluster = cluster;
    if (old === null || connectsAlike(old, cluster)) return;
    for (const pool of this.all) this.#retire(pool);
    this.#current = null;
  }

  #retire(pool: ConnectionPool): void {
    pool.drain();
    if (!pool.isEmpty && !this.#others.includes(pool)) this.#others.push(pool);
  }
}

function connectsAlike(one: Cluster, other: Cluster): boolean {
  if (one.sourceAddress !== other.sourceAddress) return false;
  return one.http2 === other.http2 || canonicalJson(one.http2) === canonicalJson(other.http2);
}

function protocolOf(cluster: Cluster, isH2: boolean): PoolProtocol {
  const { protocol } = cluster;
  if (protocol === 'downstream') return isH2 ? 'h2' : 'h1';
  return protocol;
}
