/**
 * Connections to one endpoint: a stack of those that can take a stream (the most recently used is the least
 * likely to have been closed by its peer), those being opened, and the requests that wait.
 *
 * A request that finds none ready starts one, unless those being opened will have room for it, and waits
 * for whichever comes first. HTTP/1 and HTTP/2 differ in how many streams a connection takes, and nothing
 * else; with `auto` each connection is what its TLS handshake agreed on.
 */
import type { Cluster, Endpoint, PriorityLimits } from '../cluster/cluster.ts';
import type { ResponseSink, UpstreamReset } from '../http/streams.ts';
import type { ConnectFailure, Connection } from '../io/connection.ts';
import type { TlsClientContext } from '../io/tls-context.ts';
import { DerivedTls } from '../tls/derived-tls.ts';
import type { UpstreamTransport } from '../tls/transport.ts';
import { isOwnFailure, resetOf } from './connect-reset.ts';
import { H1UpstreamConnection } from './h1-connection.ts';
import { H2UpstreamConnection } from './h2-connection.ts';
import { OpeningConnection, type OpeningOwner } from './opening-connection.ts';
import type { PoolServices } from './pool-services.ts';
import type { ConnectionOwner, PooledConnection } from './pooled-connection.ts';

/** How long an endpoint that refused is passed over while others remain; discovery is told of its death meanwhile. */
const AVOID_REFUSED_MS = 5000;
/** Idle connections kept per endpoint and data loop. */
const MAX_IDLE = 1024;
/** A connection that names its client is of no use to others: it waits only for that one's next request. */
const ONE_CLIENT_IDLE_MS = 5000;
/** Streams that an HTTP/2 peer is expected to allow until it says so (RFC 9113 §6.5.2). */
const EXPECTED_STREAMS = 100;

export type PoolProtocol = 'h1' | 'h2' | 'auto';

/** Offered where the transport offers nothing: what the pool's connections will speak. */
const fallbackAlpn = { h1: ['http/1.1'], h2: ['h2'], auto: ['h2', 'http/1.1'] } as const;

/** Whoever holds this pool and others beside it, which share the cluster's limits. */
export interface PoolOwner {
  /** True: an idle connection beside this pool is being closed, and `onRoom` follows. */
  makeRoom(pool: ConnectionPool, limits: PriorityLimits): boolean;
  /** The endpoint has a connection, open or opening, in whatever pool. */
  readonly isConnected: boolean;
  /** A connection of this pool has gone, or did not come about. */
  onRoom(pool: ConnectionPool): void;
}

interface Waiter {
  readonly sink: ResponseSink;
  readonly limits: PriorityLimits;
  readonly mayReuse: boolean;
}

export class ConnectionPool implements ConnectionOwner, OpeningOwner {
  readonly endpoint: Endpoint;
  readonly protocol: PoolProtocol;
  readonly transport: UpstreamTransport;
  readonly #tls: TlsClientContext | null;
  readonly #services: PoolServices;
  readonly #owner: PoolOwner;
  #cluster: Cluster;
  readonly #ready: PooledConnection[] = [];
  readonly #open = new Set<PooledConnection>();
  readonly #opening = new Set<OpeningConnection>();
  readonly #waiting: Waiter[] = [];
  #openingCapacity = 0;
  /** Of the next connection, by what the last one turned out to be. */
  expectedStreams: number;
  isDraining = false;

  constructor(
    cluster: Cluster,
    endpoint: Endpoint,
    protocol: PoolProtocol,
    transport: UpstreamTransport,
    services: PoolServices,
    owner: PoolOwner,
    serverName = '',
  ) {
    this.#owner = owner;
    this.#cluster = cluster;
    this.endpoint = endpoint;
    this.protocol = protocol;
    this.transport = transport;
    this.#tls =
      transport.tls === null
        ? null
        : new DerivedTls(transport.tls, {
            alpn: fallbackAlpn[protocol],
            serverName,
            demandsName: serverName !== '' && cluster.tlsNames !== null && cluster.tlsNames.demandsName,
          });
    this.#services = services;
    this.expectedStreams =
      protocol === 'h1' ? 1 : Math.min(EXPECTED_STREAMS, cluster.http2.maxConcurrentStreams);
  }

  /** Open and opening. */
  get connectionCount(): number {
    return this.#open.size + this.#opening.size;
  }
  get idleCount(): number {
    let count = 0;
    for (const connection of this.#open) if (connection.isIdle) count++;
    return count;
  }
  /** Nothing is open, opens or waits. */
  get isEmpty(): boolean {
    return this.connectionCount === 0 && this.#waiting.length === 0;
  }

  /** Without `mayReuse` only a connection that has carried nothing will do. */
  open(cluster: Cluster, limits: PriorityLimits, sink: ResponseSink, mayReuse: boolean): void {
    this.#cluster = cluster;
    if (mayReuse) {
      const connection = this.#takeReady();
      if (connection !== null) {
        this.#assign(connection, sink);
        return;
      }
    }
    if (!limits.pendingRequests.tryAcquire()) {
      cluster.stats.pendingOverflow();
      sink.onUpstreamReset('overflow', 'pending request limit');
      return;
    }
    this.#waiting.push({ sink, limits, mayReuse });
    if (this.#openingCapacity < this.#waiting.length) this.#connect(limits);
  }

  /** True when the sink waited here. */
  cancel(sink: ResponseSink): boolean {
    const at = this.#waiting.findIndex((waiter) => waiter.sink === sink);
    if (at < 0) return false;
    const [waiter] = this.#waiting.splice(at, 1);
    waiter?.limits.pendingRequests.release();
    return true;
  }

  /** Connections end with what they carry; those who wait are still served. */
  drain(): void {
    this.isDraining = true;
    for (const connection of this.#ready.splice(0)) connection.isReady = false;
    for (const connection of this.#open) connection.retire();
  }

  /** False: none is idle. One that is closing already counts. */
  closeIdle(limits: PriorityLimits): boolean {
    for (const connection of this.#open) {
      if (!connection.isIdle || connection.limits !== limits) continue;
      this.#unready(connection);
      connection.retire();
      return true;
    }
    return false;
  }

  /** There may be room for what could not be opened before. */
  openForWaiting(): void {
    while (this.#openingCapacity < this.#waiting.length && this.#connect(this.#waiting[0]!.limits));
  }

  onOpened(opening: OpeningConnection, socket: Connection): void {
    this.#forgetOpening(opening);
    const isH2 = this.protocol === 'h2' || (this.protocol === 'auto' && socket.tls?.alpn === 'h2');
    const { stats } = this.endpoint;
    stats.connections++;
    stats.activeConnections++;
    this.endpoint.avoidUntilMs = 0;
    this.#cluster.stats.connectionOpened();
    this.#cluster.stats.connectionSpeaks(isH2 ? 'h2' : 'h1');
    const connection = isH2
      ? new H2UpstreamConnection(this, socket, this.endpoint, this.#cluster, opening.limits, this.#services)
      : new H1UpstreamConnection(this, socket, this.endpoint, opening.limits, this.#services);
    this.#open.add(connection);
    socket.handler = connection;
    this.expectedStreams = Math.max(1, connection.freeStreams);
    this.#serve(connection, true);
    // Fewer streams than were expected of it: those who still wait need more connections.
    this.openForWaiting();
  }

  onOpenFailed(opening: OpeningConnection, failure: ConnectFailure, detail: string): void {
    this.#forgetOpening(opening);
    opening.limits.connections.release();
    this.endpoint.stats.connections++;
    this.endpoint.stats.connectFailures++;
    const { stats } = this.#cluster;
    stats.connectFailed();
    if (failure === 'timeout') stats.connectTimeout();
    if (!isOwnFailure(failure)) this.endpoint.avoidUntilMs = this.#services.clock.nowMs() + AVOID_REFUSED_MS;
    // Whoever waits would only meet the same refusal later.
    this.#failWaiting(resetOf(failure), detail);
    this.#owner.onRoom(this);
  }

  onStreamLimit(streams: number): void {
    this.expectedStreams = Math.max(1, streams);
  }

  onFree(connection: PooledConnection): void {
    if (this.isDraining || this.#isTooOld(connection)) connection.retire();
    else this.#serve(connection, false);
  }

  onClosed(connection: PooledConnection, byRemote: boolean): void {
    this.#unready(connection);
    this.#open.delete(connection);
    connection.limits.connections.release();
    this.endpoint.stats.activeConnections--;
    this.#cluster.stats.connectionClosed(byRemote);
    // A request may wait for exactly this connection when the limit forbade a new one.
    const next = this.#waiting[0];
    if (next !== undefined && this.#openingCapacity === 0) this.#connect(next.limits);
    this.#owner.onRoom(this);
  }

  onBytes(sent: number, received: number): void {
    if (sent > 0) this.#cluster.stats.bytesSent(sent);
    if (received > 0) this.#cluster.stats.bytesReceived(received);
  }

  #takeReady(): PooledConnection | null {
    const ready = this.#ready;
    for (let at = ready.length - 1; at >= 0; at--) {
      const connection = ready[at]!;
      if (this.#isTooOld(connection)) connection.retire();
      const free = connection.isOpen ? connection.freeStreams : 0;
      if (free <= 1) {
        ready.pop();
        connection.isReady = false;
      }
      if (free > 0) return connection;
    }
    return null;
  }

  #isTooOld(connection: PooledConnection): boolean {
    const { maxConnectionDurationMs } = this.#cluster;
    if (maxConnectionDurationMs === 0) return false;
    return this.#services.clock.nowMs() - connection.openedMs >= maxConnectionDurationMs;
  }

  #assign(connection: PooledConnection, sink: ResponseSink): void {
    connection.assign(sink);
    const { maxRequestsPerConnection } = this.#cluster;
    if (maxRequestsPerConnection > 0 && connection.requestCount >= maxRequestsPerConnection)
      connection.retire();
  }

  /** Gives it to those who wait; what room is left goes to the stack. */
  #serve(connection: PooledConnection, isFresh: boolean): void {
    while (this.#waiting.length > 0 && connection.isOpen && connection.freeStreams > 0) {
      const at = isFresh ? 0 : this.#waiting.findIndex((waiter) => waiter.mayReuse);
      if (at < 0) break;
      const [waiter] = this.#waiting.splice(at, 1);
      waiter!.limits.pendingRequests.release();
      this.#assign(connection, waiter!.sink);
    }
    if (!connection.isOpen || connection.freeStreams === 0) return;
    if (this.isDraining || (!connection.isReady && this.#ready.length >= MAX_IDLE)) {
      connection.retire();
      return;
    }
    if (!connection.isReady) {
      connection.isReady = true;
      this.#ready.push(connection);
    }
    if (!connection.isIdle) return;
    connection.rest(this.#restMs(connection));
    this.openForWaiting();
  }

  #restMs(connection: PooledConnection): number {
    const { maxConnectionDurationMs } = this.#cluster;
    let { poolIdleTimeoutMs } = this.#cluster;
    if ((this.transport.preface ?? null) !== null || (this.transport.clientSource ?? null) !== null)
      poolIdleTimeoutMs = Math.min(poolIdleTimeoutMs || ONE_CLIENT_IDLE_MS, ONE_CLIENT_IDLE_MS);
    if (maxConnectionDurationMs === 0) return poolIdleTimeoutMs;
    const leftMs = Math.max(1, connection.openedMs + maxConnectionDurationMs - this.#services.clock.nowMs());
    return poolIdleTimeoutMs === 0 ? leftMs : Math.min(leftMs, poolIdleTimeoutMs);
  }

  #connect(limits: PriorityLimits): boolean {
    const cluster = this.#cluster;
    if (!limits.connections.tryAcquire()) {
      cluster.stats.connectionOverflow();
      if (!this.#mayExceed(limits)) return false;
      limits.connections.acquire();
    }
    const opening = new OpeningConnection(this, limits, this.expectedStreams);
    this.#opening.add(opening);
    this.#openingCapacity += opening.capacity;
    const { address, port } = this.endpoint;
    this.#services.sockets.connect(
      {
        address,
        port,
        sourceAddress: cluster.sourceAddress,
        clientSource: this.transport.clientSource ?? null,
        keepalive: cluster.keepalive,
        connectTimeoutMs: cluster.connectTimeoutMs,
        highWaterBytes: cluster.bufferLimitBytes,
        tls: this.#tls,
        preface: this.transport.preface ?? null,
      },
      opening,
    );
    return true;
  }

  /**
   * The limit is the cluster's, and what other endpoints hold must not keep this one from being asked at all: it may
   * have one connection, as in Envoy. With one of its own, those who wait wait for that, or are refused.
   */
  #mayExceed(limits: PriorityLimits): boolean {
    // An idle one here is of no use to those who wait, or they had it: it gives way to one that has carried nothing.
    if (this.#ready.length > 0 && this.closeIdle(limits)) return false;
    if (this.connectionCount > 0 || this.#owner.makeRoom(this, limits)) return false;
    if (!this.#owner.isConnected) return true;
    this.#failWaiting('overflow', 'connection limit');
    return false;
  }

  #failWaiting(reset: UpstreamReset, detail: string): void {
    for (const waiter of this.#waiting.splice(0)) {
      waiter.limits.pendingRequests.release();
      waiter.sink.onUpstreamReset(reset, detail);
    }
  }

  #forgetOpening(opening: OpeningConnection): void {
    this.#opening.delete(opening);
    this.#openingCapacity -= opening.capacity;
  }

  #unready(connection: PooledConnection): void {
    if (!connection.isReady) return;
    connection.isReady = false;
    const at = this.#ready.lastIndexOf(connection);
    if (at >= 0) this.#ready.splice(at, 1);
  }
}
