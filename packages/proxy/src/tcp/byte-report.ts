/**
 * Brings the bytes of one TCP connection to the counters: from time to time, as a connection may live for
 * days, and at its end. The record holds the totals; here stands what the counters know of them.
 */
import type { Cluster } from '../cluster/cluster.ts';
import type { TcpStats } from '../telemetry/metrics/connection-stats.ts';
import type { ConnectionMetrics } from '../telemetry/metrics/istio-tcp.ts';
import type { RequestRecord } from '../telemetry/record.ts';

export class ByteReport {
  readonly #stats: TcpStats;
  readonly #metrics: ConnectionMetrics;
  #sent = 0;
  #received = 0;
  #upstreamSent = 0;
  #upstreamReceived = 0;

  constructor(stats: TcpStats, metrics: ConnectionMetrics) {
    this.#stats = stats;
    this.#metrics = metrics;
  }

  report(record: RequestRecord, cluster: Cluster | null): void {
    const sent = record.bytesSent - this.#sent;
    const received = record.bytesReceived - this.#received;
    this.#sent = record.bytesSent;
    this.#received = record.bytesReceived;
    if (sent > 0) this.#stats.bytesSent(sent);
    if (received > 0) this.#stats.bytesReceived(received);
    if (sent > 0 || received > 0) this.#metrics.onBytes(record, sent, received);
    const upstreamSent = record.upstreamBytesSent - this.#upstreamSent;
    const upstreamReceived = record.upstreamBytesReceived - this.#upstreamReceived;
    this.#upstreamSent = record.upstreamBytesSent;
    this.#upstreamReceived = record.upstreamBytesReceived;
    if (upstreamSent > 0) cluster?.stats.bytesSent(upstreamSent);
    if (upstreamReceived > 0) cluster?.stats.bytesReceived(upstreamReceived);
  }
}
