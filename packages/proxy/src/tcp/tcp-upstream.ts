/**
 * The upstream side of a TCP proxy: a connection of its own, or a tunnel through an HTTP proxy on one of the cluster's
 * pooled connections. Both are written, paused and ended alike; what they take from circuit breakers and statistics
 * differs, because a pool counts its connections itself.
 */
import type { Cluster, Endpoint } from '../cluster/cluster.ts';
import type { UpstreamReset } from '../http/streams.ts';
import type { CloseCause, Connection, ConnectFailure } from '../io/connection.ts';

/** What the proxy needs of either side. */
export type TcpSide = Pick<
  Connection,
  | 'write'
  | 'end'
  | 'close'
  | 'terminate'
  | 'pause'
  | 'resume'
  | 'isPaused'
  | 'isWritable'
  | 'bufferedBytes'
  | 'bytesWritten'
  | 'localAddress'
  | 'localPort'
  | 'tls'
>;

/** Hears of a tunnel what a connection's handler hears of a connection. */
export interface TunnelOwner {
  onConnect(): void;
  /** Nothing was sent through it. */
  onTunnelFailed(reset: UpstreamReset, detail: string): void;
  onData(side: TcpSide, data: Uint8Array): void;
  onEnd(side: TcpSide): void;
  onDrain(side: TcpSide): void;
  onClose(side: TcpSide, cause: CloseCause): void;
}

/** What an attempt takes and gives back, exactly once, and what it counts. */
export interface UpstreamAccount {
  /** False: a circuit breaker has nothing left, which was counted. */
  tryAcquire(cluster: Cluster, endpoint: Endpoint): boolean;
  connected(cluster: Cluster, endpoint: Endpoint): void;
  failed(cluster: Cluster, endpoint: Endpoint, failure: ConnectFailure | null): void;
  /** Before it was connected or had failed. */
  cancelled(cluster: Cluster, endpoint: Endpoint): void;
  closed(cluster: Cluster, endpoint: Endpoint, cause: CloseCause): void;
}

export const connectionAccount: UpstreamAccount = {
  tryAcquire(cluster) {
    if (cluster.limits.connections.tryAcquire()) return true;
    cluster.stats.connectionOverflow();
    return false;
  },
  connected(cluster, endpoint) {
    endpoint.stats.connections++;
    endpoint.stats.activeConnections++;
    endpoint.avoidUntilMs = 0;
    cluster.stats.connectionOpened();
  },
  failed(cluster, endpoint, failure) {
    cluster.limits.connections.release();
    endpoint.stats.connections++;
    endpoint.stats.connectFailures++;
    cluster.stats.connectFailed();
    if (failure === 'timeout') cluster.stats.connectTimeout();
  },
  cancelled(cluster) {
    cluster.limits.connections.release();
  },
  closed(cluster, endpoint, cause) {
    endpoint.stats.activeConnections--;
    cluster.limits.connections.release();
    cluster.stats.connectionClosed(cause !== 'local');
  },
};

/** A tunnel is a request: the pool counts the connection that carries it. */
export const tunnelAccount: UpstreamAccount = {
  tryAcquire(cluster, endpoint) {
    if (!cluster.limits.requests.tryAcquire()) {
      cluster.stats.pendingOverflow();
      return false;
    }
    endpoint.activeRequests++;
    return true;
  },
  connected() {},
  failed: giveBack,
  cancelled: giveBack,
  closed: giveBack,
};

function giveBack(cluster: Cluster, endpoint: Endpoint): void {
  endpoint.activeRequests--;
  cluster.limits.requests.release();
}
