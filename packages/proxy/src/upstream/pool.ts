/**
 * Connections to one endpoint: a stack of idle ones (the most recently used is the least likely to have
 * been closed by its peer), those being opened, and the requests that wait.
 *
 * A request that finds no idle connection starts one and waits for whichever comes first, the new one or
 * one that falls idle. What the waiting leaves over goes to the stack.
 * Key (design §6): endpoint × protocol × transport socket × source address. One pool per endpoint object
 * exists at a time; when a cluster's update changes the key, the old pool drains.
 */
import type { Clock, TimerWheel } from '@sluice/runtime';
import type { Cluster, Endpoint, EndpointPool, PriorityLimits } from '../cluster/cluster.ts';
import type { ResponseSink, UpstreamReset } from '../http/streams.ts';
import type { ConnectFailure, SocketProvider } from '../io/connection.ts';
import { H1UpstreamConnection, type H1ConnectionOwner } from './h1-connection.ts';

/** How long an endpoint that refused is passed over while others remain; discovery is told of its death meanwhile. */
const AVOID_REFUSED_MS = 5000;
/** Idle connections kept per endpoint and data loop. */
const MAX_IDLE = 1024;

interface Waiter {
  readonly sink: ResponseSink;
  readonly limits: PriorityLimits;
  readonly mayReuse: boolean;
}

export interface PoolServices {
  readonly sockets: SocketProvider;
  readonly timers: TimerWheel;
  readonly clock: Clock;
}

export function poolKey(cluster: Cluster, endpoint: Endpoint): string {
  return `${cluster.protocol} ${cluster.transportFor(endpoint).key} ${cluster.sourceAddress ?? ''}`;
}

export class H1Pool implements EndpointPool, H1ConnectionOwner {
  readonly endpoint: Endpoint;
  readonly key: string;
  readonly #services: PoolServices;
  #cluster: Cluster;
  readonly #idle: H1UpstreamConnection[] = [];
  readonly #waiting: Waiter[] = [];
  readonly #connectionLimits = new Map<H1UpstreamConnection, PriorityLimits>();
  #connectingCount = 0;
  #isDraining = false;

  constructor(cluster: Cluster, endpoint: Endpoint, services: PoolServices) {
    this.#cluster = cluster;
    this.endpoint = endpoint;
    this.key = poolKey(cluster, endpoint);
    this.#services = services;
  }

  isOf(cluster: Cluster): boolean {
    return this.#cluster === cluster;
  }

  get connectionCount(): number {
    return this.#connectionLimits.size;
  }
  get idleCount(): number {
    return this.#idle.length;
  }

  open(cluster: Cluster, limits: PriorityLimits, sink: ResponseSink, mayReuse: boolean): void {
    this.#cluster = cluster;
    if (mayReuse) {
      for (let idle = this.#idle.pop(); idle !== undefined; idle = this.#idle.pop()) {
        if (idle.isOpen) {
          idle.assign(sink);
          return;
        }
      }
    }
    if (!limits.pendingRequests.tryAcquire()) {
      cluster.stats.pendingOverflow();
      sink.onUpstreamReset('overflow', 'pending request limit');
      return;
    }
    this.#waiting.push({ sink, limits, mayReuse });
    if (this.#connectingCount < this.#waiting.length) this.#connect(limits);
  }

  cancel(sink: ResponseSink): void {
    const at = this.#waiting.findIndex((waiter) => waiter.sink === sink);
    if (at < 0) return;
    const [waiter] = this.#waiting.splice(at, 1);
    waiter?.limits.pendingRequests.release();
  }

  drain(): void {
    this.#isDraining = true;
    for (const idle of this.#idle.splice(0)) idle.close();
  }

  onConnected(connection: H1UpstreamConnection): void {
    this.#connectingCount--;
    const { stats } = this.endpoint;
    stats.connections++;
    stats.activeConnections++;
    this.endpoint.avoidUntilMs = 0;
    this.#cluster.stats.connectionOpened();
    this.#useOrRest(connection, true);
  }

  onConnectFailed(connection: H1UpstreamConnection, failure: ConnectFailure): void {
    this.#connectingCount--;
    this.#releaseConnection(connection);
    this.endpoint.stats.connectFailures++;
    const { stats } = this.#cluster;
    stats.connectFailed();
    if (failure === 'timeout') stats.connectTimeout();
    if (failure !== 'no-descriptor')
      this.endpoint.avoidUntilMs = this.#services.clock.nowMs() + AVOID_REFUSED_MS;
    // Whoever waits would only meet the same refusal later.
    this.#failWaiting(resetOf(failure), `connection ${failure}`);
  }

  onIdle(connection: H1UpstreamConnection): void {
    const { maxRequestsPerConnection, maxConnectionDurationMs } = this.#cluster;
    const isOld =
      maxConnectionDurationMs > 0 &&
      this.#services.clock.nowMs() - connection.openedMs >= maxConnectionDurationMs;
    const isUsedUp = maxRequestsPerConnection > 0 && connection.requestCount >= maxRequestsPerConnection;
    if (this.#isDraining || isOld || isUsedUp) connection.close();
    else this.#useOrRest(connection, false);
  }

  onClosed(connection: H1UpstreamConnection, byRemote: boolean): void {
    if (connection.isIdle) {
      connection.isIdle = false;
      const at = this.#idle.lastIndexOf(connection);
      if (at >= 0) this.#idle.splice(at, 1);
    }
    this.#releaseConnection(connection);
    this.endpoint.stats.activeConnections--;
    this.#cluster.stats.connectionClosed(byRemote);
    // A request may wait for exactly this connection when the limit forbade a new one.
    const next = this.#waiting[0];
    if (next !== undefined && this.#connectingCount === 0) this.#connect(next.limits);
  }

  onBytes(sent: number, received: number): void {
    if (sent > 0) this.#cluster.stats.bytesSent(sent);
    if (received > 0) this.#cluster.stats.bytesReceived(received);
  }

  #useOrRest(connection: H1UpstreamConnection, isFresh: boolean): void {
    const at = isFresh ? 0 : this.#waiting.findIndex((waiter) => waiter.mayReuse);
    const waiter = at < 0 ? undefined : this.#waiting[at];
    if (waiter !== undefined) {
      this.#waiting.splice(at, 1);
      waiter.limits.pendingRequests.release();
      connection.assign(waiter.sink);
    } else if (this.#isDraining || this.#idle.length >= MAX_IDLE) {
      connection.close();
    } else {
      this.#idle.push(connection);
      connection.rest(this.#cluster.poolIdleTimeoutMs);
    }
  }

  #connect(limits: PriorityLimits): void {
    const cluster = this.#cluster;
    if (!limits.connections.tryAcquire()) {
      cluster.stats.connectionOverflow();
      // With a connection of this pool to wait for, waiting makes sense.
      if (this.connectionCount === 0) this.#failWaiting('overflow', 'connection limit');
      return;
    }
    this.#connectingCount++;
    const connection = new H1UpstreamConnection(this, this.#services.timers, this.#services.clock);
    this.#connectionLimits.set(connection, limits);
    const { address, port } = this.endpoint;
    const socket = this.#services.sockets.connect(
      {
        address,
        port,
        sourceAddress: cluster.sourceAddress,
        keepalive: cluster.keepalive,
        connectTimeoutMs: cluster.connectTimeoutMs,
        tls: cluster.transportFor(this.endpoint).tls,
        highWaterBytes: cluster.bufferLimitBytes,
      },
      connection,
    );
    connection.attach(socket);
  }

  #failWaiting(reset: UpstreamReset, detail: string): void {
    for (const waiter of this.#waiting.splice(0)) {
      waiter.limits.pendingRequests.release();
      waiter.sink.onUpstreamReset(reset, detail);
    }
  }

  #releaseConnection(connection: H1UpstreamConnection): void {
    this.#connectionLimits.get(connection)?.connections.release();
    this.#connectionLimits.delete(connection);
  }
}

function resetOf(failure: ConnectFailure): UpstreamReset {
  if (failure === 'timeout') return 'connect-timeout';
  return failure === 'no-descriptor' ? 'no-descriptor' : 'connect-failed';
}
