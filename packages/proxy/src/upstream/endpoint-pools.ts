/**
 * The pools of one endpoint: almost always one. A second lives beside it while the cluster speaks what its
 * clients speak (HTTP/1.1 and HTTP/2 apart), or drains because what its connections were made with (the
 * transport socket, a credential's generation, the source address, HTTP/2 options) has changed. Where a
 * connection says something of its request (SNI taken from the host) or of its client (a PROXY header, its
 * address), there is a pool for each.
 *
 * Key (design §6): endpoint × protocol × transport socket × SNI/ALPN × source address × generation.
 */
import { canonicalJson } from '@sluice/runtime';
import type { Cluster, Endpoint, EndpointPool, PriorityLimits } from '../cluster/cluster.ts';
import type { ResponseSink, StreamWish } from '../http/streams.ts';
import type { UpstreamTransport } from '../tls/transport.ts';
import { ConnectionPool, type PoolOwner, type PoolProtocol } from './connection-pool.ts';
import type { PoolServices } from './pool-services.ts';

/** Pools of names and clients; beyond, the one made first ends with what it carries. */
const MAX_VARIANTS = 256;

export class EndpointPools implements EndpointPool, PoolOwner {
  readonly #endpoint: Endpoint;
  readonly #services: PoolServices;
  /** The settings that the pools were made with. */
  #cluster: Cluster | null = null;
  #current: ConnectionPool | null = null;
  /** Of the other protocol, where the cluster speaks what its clients speak. */
  #beside: ConnectionPool | null = null;
  /** Those that drain. */
  #others: ConnectionPool[] = [];
  readonly #variants = new Map<string, ConnectionPool>();
  #variantsOf = '';

  constructor(endpoint: Endpoint, services: PoolServices) {
    this.#endpoint = endpoint;
    this.#services = services;
  }

  /** Those that are used and those that drain. */
  get all(): readonly ConnectionPool[] {
    const used = [this.#current, this.#beside].filter((pool) => pool !== null);
    return [...used, ...this.#others, ...this.#variants.values()];
  }

  poolFor(cluster: Cluster, wish: StreamWish): ConnectionPool {
    if (cluster !== this.#cluster) this.#adopt(cluster);
    const protocol = protocolOf(cluster, wish.isH2);
    const transport = cluster.transportFor(this.#endpoint);
    const isNamed = wish.serverName !== '' && transport.tls !== null;
    const isOfClient =
      (transport.proxyHeader ?? null) !== null || (wish.downstream?.clientSource ?? null) !== null;
    if (isNamed || isOfClient) return this.#variantFor(cluster, protocol, transport, wish);
    const current = this.#current;
    if (current !== null && current.protocol === protocol && current.transport.key === transport.key)
      return current;
    const beside = this.#beside;
    if (beside !== null && beside.protocol === protocol && beside.transport.key === transport.key)
      return beside;
    return this.#exchange(cluster, protocol, transport);
  }

  cancel(sink: ResponseSink): void {
    for (const pool of this.all) if (pool.cancel(sink)) return;
  }

  drain(): void {
    for (const pool of this.all) pool.drain();
  }

  retireOutdated(): void {
    if (this.#cluster === null) return;
    const { key } = this.#cluster.transportFor(this.#endpoint);
    for (const pool of [this.#current, this.#beside]) {
      if (pool === null || pool.transport.key === key) continue;
      this.#letGo(pool);
      this.#retire(pool);
    }
    for (const pool of this.#others) if (pool.transport.key !== key) this.#retire(pool);
    if (this.#variantsOf !== key) this.#dropVariants(key);
  }

  get isConnected(): boolean {
    return this.all.some((pool) => pool.connectionCount > 0);
  }

  makeRoom(pool: ConnectionPool, limits: PriorityLimits): boolean {
    for (const other of this.all) if (other !== pool && other.closeIdle(limits)) return true;
    return false;
  }

  onRoom(pool: ConnectionPool): void {
    if (this.#others.length > 0) this.#others = this.#others.filter((other) => !other.isEmpty);
    for (const other of this.all) if (other !== pool) other.openForWaiting();
  }

  /** A pool in the place of the one of its protocol, whose connections are made another way. */
  #exchange(cluster: Cluster, protocol: PoolProtocol, transport: UpstreamTransport): ConnectionPool {
    const old = [this.#current, this.#beside].find((pool) => pool?.protocol === protocol);
    if (old) {
      this.#letGo(old);
      this.#retire(old);
    }
    const pool = new ConnectionPool(cluster, this.#endpoint, protocol, transport, this.#services, this);
    if (this.#current === null) this.#current = pool;
    else this.#beside = pool;
    return pool;
  }

  #letGo(pool: ConnectionPool): void {
    if (this.#beside === pool) this.#beside = null;
    else this.#current = null;
  }

  #variantFor(
    cluster: Cluster,
    protocol: PoolProtocol,
    base: UpstreamTransport,
    wish: StreamWish,
  ): ConnectionPool {
    if (this.#variantsOf !== base.key) this.#dropVariants(base.key);
    const serverName = base.tls === null ? '' : wish.serverName;
    const preface = base.proxyHeader?.bytes(wish.downstream) ?? null;
    const suffix = preface === null ? '' : Buffer.from(preface).toString('base64');
    const clientSource = wish.downstream?.clientSource ?? null;
    const from = clientSource === null ? '' : `${clientSource.address} ${clientSource.mark}`;
    const key = `${protocol} ${serverName} ${suffix} ${from}`;
    let pool = this.#variants.get(key);
    if (pool === undefined) {
      const transport = preface === null && clientSource === null ? base : { ...base, preface, clientSource };
      pool = new ConnectionPool(
        cluster,
        this.#endpoint,
        protocol,
        transport,
        this.#services,
        this,
        serverName,
      );
      if (this.#variants.size >= MAX_VARIANTS) this.#dropOldestVariant();
      this.#variants.set(key, pool);
    }
    return pool;
  }

  #dropVariants(nextKey: string): void {
    const dropped = [...this.#variants.values()];
    this.#variants.clear();
    this.#variantsOf = nextKey;
    for (const pool of dropped) this.#retire(pool);
  }

  #dropOldestVariant(): void {
    for (const [key, pool] of this.#variants) {
      this.#variants.delete(key);
      this.#retire(pool);
      return;
    }
  }

  /** An updated cluster goes on with the connections that it would make the same way. */
  #adopt(cluster: Cluster): void {
    const old = this.#cluster;
    this.#cluster = cluster;
    if (old === null || connectsAlike(old, cluster)) return;
    const all = this.all;
    this.#current = null;
    this.#beside = null;
    this.#variants.clear();
    for (const pool of all) this.#retire(pool);
  }

  #retire(pool: ConnectionPool): void {
    pool.drain();
    if (!pool.isEmpty && !this.#others.includes(pool)) this.#others.push(pool);
  }
}

function connectsAlike(one: Cluster, other: Cluster): boolean {
  if (one.protocol !== other.protocol || one.sourceAddress !== other.sourceAddress) return false;
  if (one.tlsNames?.demandsName !== other.tlsNames?.demandsName) return false;
  return one.http2 === other.http2 || canonicalJson(one.http2) === canonicalJson(other.http2);
}

function protocolOf(cluster: Cluster, isH2: boolean): PoolProtocol {
  const { protocol } = cluster;
  if (protocol === 'downstream') return isH2 ? 'h2' : 'h1';
  return protocol;
}
