/**
 * The TCP proxy, terminal network filter: opaque bytes between a client and an endpoint.
 *
 *   connecting ──► piping ──half-close either way──► piping ──both──► over
 *       └──refused: next endpoint, up to max_connect_attempts──► over (UF, UH, UO, URX)
 *
 * With `tunneling_config` the endpoint is an HTTP proxy, and the upstream side a tunnel through it (http-tunnel.ts).
 *
 * The client is not read while there is nowhere to send to; after that each side is paused while the other
 * has too much waiting. The FIN of one side is passed on, the other direction lives on.
 */
import type { Cluster, Endpoint, PickContext } from '../cluster/cluster.ts';
import { Deadline } from '../http/deadline.ts';
import type { Served } from '../io/accept.ts';
import type { UpstreamReset } from '../http/streams.ts';
import type { CloseCause, ConnectFailure, ConnectHandler, Connection } from '../io/connection.ts';
import type { ConnectionFacts } from '../listener/connection-facts.ts';
import type { FilterChain, ListenerRuntime, TcpProxyConfig, TunnelConfig } from '../listener/listener.ts';
import type { ConnectionMetrics } from '../telemetry/metrics/istio-tcp.ts';
import type { TcpStats } from '../telemetry/metrics/connection-stats.ts';
import type { RequestRecord } from '../telemetry/record.ts';
import { FLAG } from '../telemetry/response-flags.ts';
import { ByteReport } from './byte-report.ts';
import { HttpTunnel } from './http-tunnel.ts';
import type { ServeServices } from './serve-services.ts';
import { connectionAccount, tunnelAccount } from './tcp-upstream.ts';
import type { TcpSide, TunnelOwner, UpstreamAccount } from './tcp-upstream.ts';

/** How often the bytes of a living connection reach the counters: Istio's default. */
const REPORT_INTERVAL_MS = 5_000;
const overflowDetails = 'upstream_reset_before_response_started{overflow}';

export class TcpProxy implements ConnectHandler, TunnelOwner, Served {
  readonly #client: Connection;
  readonly #config: TcpProxyConfig;
  readonly #services: ServeServices;
  readonly #onGone: () => void;
  readonly #record: RequestRecord;
  readonly #stats: TcpStats;
  readonly #metrics: ConnectionMetrics;
  readonly #idle: Deadline;
  readonly #duration: Deadline;
  readonly #report: Deadline;
  readonly #logging: Deadline;
  readonly #bytes: ByteReport;
  readonly #pick: PickContext;
  readonly #facts: ConnectionFacts;
  readonly #account: UpstreamAccount;
  #cluster: Cluster | null = null;
  #endpoint: Endpoint | null = null;
  #server: TcpSide | null = null;
  #isConnected = false;
  #attempts = 0;
  #early: Uint8Array[] = [];
  #hasClientEnded = false;
  #hasCountedOpened = false;
  /** At the last idle timeout. */
  #writtenBefore = -1;
  #isOver = false;

  constructor(
    client: Connection,
    facts: ConnectionFacts,
    listener: ListenerRuntime,
    chain: FilterChain,
    config: TcpProxyConfig,
    services: ServeServices,
    onGone: () => void,
  ) {
    const { timers, draw } = services;
    this.#client = client;
    this.#config = config;
    this.#account = config.tunnel === null ? connectionAccount : tunnelAccount;
    this.#services = services;
    this.#onGone = onGone;
    this.#stats = services.tcpStats(chain);
    this.#metrics = services.connectionMetrics(listener, chain);
    this.#bytes = new ByteReport(this.#stats, this.#metrics);
    this.#idle = new Deadline(timers, this, onIdle);
    this.#duration = new Deadline(timers, this, onMaxDuration);
    this.#report = new Deadline(timers, this, onReport);
    this.#logging = new Deadline(timers, this, onLogging);
    this.#facts = facts;
    this.#pick = {
      tried: [],
      avoidTried: true,
      selectionAttempts: 1,
      headers: null,
      hash: 0,
      originalAddress: facts.destinationAddress,
      originalPort: facts.destinationPort,
      random: draw,
    };
    this.#record = this.#newRecord(facts, listener);
  }

  /** Opens the upstream connection. The client's first bytes may come before or after. */
  start(): void {
    const { clock, findCluster, draw } = this.#services;
    this.#stats.connectionOpened();
    const nowMs = clock.nowMs();
    this.#touch();
    if (this.#config.maxDownstreamConnectionDurationMs > 0)
      this.#duration.setIn(this.#config.maxDownstreamConnectionDurationMs, nowMs);
    if (this.#config.accessLogFlushIntervalMs > 0)
      this.#logging.setIn(this.#config.accessLogFlushIntervalMs, nowMs);
    const name = clusterNameOf(this.#config, draw);
    this.#record.clusterName = name;
    this.#cluster = findCluster(name);
    this.#record.cluster = this.#cluster;
    if (this.#cluster === null) {
      this.#stats.noRoute();
      this.#fail(FLAG.NC, 'cluster_not_found');
    } else {
      this.#connect();
    }
  }

  drain(): void {
    // Opaque bytes know no message to wait for: the connection lives until its ends or the drain's close it.
  }

  // --- client and server side: one handler for both, told apart by identity ---

  onData(connection: TcpSide, data: Uint8Array): void {
    const nowMs = this.#services.clock.nowMs();
    if (this.#config.idleTimeoutMs > 0) this.#idle.setIn(this.#config.idleTimeoutMs, nowMs);
    if (!this.#report.isSet) this.#report.setIn(REPORT_INTERVAL_MS, nowMs);
    const isClient = connection === this.#client;
    const other = isClient ? this.#server : this.#client;
    if (other === null || !this.#isConnected) {
      // Counted when it goes on: what nobody took was not received, as Envoy sees it.
      this.#early.push(data);
      connection.pause();
      return;
    }
    const record = this.#record;
    if (isClient) {
      record.bytesReceived += data.length;
      record.upstreamBytesSent += data.length;
    } else {
      record.bytesSent += data.length;
      record.upstreamBytesReceived += data.length;
    }
    other.write(data, 0, data.length);
    if (other.isWritable || connection.isPaused) return;
    connection.pause();
    if (isClient) this.#stats.readingPaused();
  }

  onDrain(connection: TcpSide): void {
    if (connection === this.#client) {
      this.#server?.resume();
      return;
    }
    if (!this.#isConnected || !this.#client.isPaused) return;
    this.#client.resume();
    this.#stats.readingResumed();
  }

  onEnd(connection: TcpSide): void {
    this.#touch();
    if (connection !== this.#client) this.#client.end();
    else if (this.#isConnected) this.#server?.end();
    else this.#hasClientEnded = true;
  }

  onClose(connection: TcpSide, cause: CloseCause): void {
    const other = connection === this.#client ? this.#server : this.#client;
    // What was aborted on one side must not look complete on the other.
    const isAbort = cause === 'reset' || !this.#isConnected;
    if (connection !== this.#client) this.#serverClosed(cause);
    else if (cause === 'reset') this.#record.flags |= FLAG.DC;
    if (isAbort) other?.terminate();
    else other?.close();
    if (connection === this.#client) this.#finish();
  }

  onConnect(): void {
    this.#isConnected = true;
    this.#account.connected(this.#cluster!, this.#endpoint!);
    this.#record.upstreamTls = this.#server!.tls;
    this.#record.upstreamLocalAddress = `${this.#server!.localAddress}:${this.#server!.localPort}`;
    this.#countOpened();
    if (this.#config.logsOnConnected) this.#log();
    for (const data of this.#early.splice(0)) {
      this.#record.bytesReceived += data.length;
      this.#record.upstreamBytesSent += data.length;
      this.#server!.write(data, 0, data.length);
    }
    this.#client.resume();
    if (this.#hasClientEnded) this.#server!.end();
  }

  onConnectError(connection: Connection, failure: ConnectFailure): void {
    this.#account.failed(this.#cluster!, this.#endpoint!, failure);
    this.#notConnected(failure, failureText(connection, failure));
  }

  onTunnelFailed(reset: UpstreamReset, detail: string): void {
    this.#account.failed(this.#cluster!, this.#endpoint!, null);
    if (reset !== 'overflow') return this.#notConnected(reset, detail);
    this.#server = null;
    if (!this.#isOver) this.#fail(FLAG.UO, overflowDetails);
  }

  /** Another endpoint is tried, up to the limit. */
  #notConnected(why: ConnectFailure | UpstreamReset, detail: string): void {
    this.#server = null;
    this.#record.upstreamTransportFailure = detail;
    if (this.#isOver) return;
    if (this.#attempts >= Math.max(1, this.#config.maxConnectAttempts)) {
      // Envoy sets both, one attempt being a limit like any other.
      this.#fail(FLAG.UF | FLAG.URX, `upstream_reset_before_response_started{${why}}`);
      return;
    }
    this.#pick.tried.push(this.#endpoint!);
    this.#connect();
  }

  onIdleTimeout(): void {
    if (this.#isStillTaken()) {
      this.#touch();
      return;
    }
    this.#stats.idleTimeout();
    this.#record.responseCodeDetails = 'tcp_session_idle_timeout';
    // What nobody has taken for so long nobody will.
    for (const connection of [this.#client, this.#server])
      if ((connection?.bufferedBytes ?? 0) > 0) connection?.terminate();
      else connection?.close();
  }

  /** Nothing has come, but a slow reader is at what came before. */
  #isStillTaken(): boolean {
    const isWaiting = this.#client.bufferedBytes + (this.#server?.bufferedBytes ?? 0) > 0;
    const written = this.#client.bytesWritten + (this.#server?.bytesWritten ?? 0);
    const hasMoved = written !== this.#writtenBefore;
    this.#writtenBefore = written;
    return isWaiting && hasMoved;
  }

  onMaxDuration(): void {
    this.#stats.maxDurationReached();
    this.#record.flags |= FLAG.DT;
    this.#record.responseCodeDetails = 'max_connection_duration_reached';
    this.#client.close();
    this.#server?.close();
  }

  onLoggingDue(): void {
    this.#log();
    this.#logging.setIn(this.#config.accessLogFlushIntervalMs, this.#services.clock.nowMs());
  }

  reportBytes(): void {
    this.#bytes.report(this.#record, this.#cluster);
  }

  #connect(): void {
    const cluster = this.#cluster!;
    const endpoint = cluster.pick(this.#pick);
    if (endpoint === null) {
      cluster.stats.noHealthyEndpoint();
      this.#fail(FLAG.UH, 'no_healthy_upstream');
      return;
    }
    if (!this.#account.tryAcquire(cluster, endpoint)) {
      this.#fail(FLAG.UO, overflowDetails);
      return;
    }
    this.#attempts++;
    this.#record.attempts = this.#attempts;
    this.#endpoint = endpoint;
    this.#record.endpoint = endpoint;
    const { tunnel } = this.#config;
    if (tunnel === null) this.#server = this.#dial(cluster, endpoint);
    else this.#openTunnel(tunnel, cluster, endpoint);
  }

  #openTunnel(config: TunnelConfig, cluster: Cluster, endpoint: Endpoint): void {
    const { upstream } = this.#services;
    const tunnel = new HttpTunnel(config, upstream, { cluster, endpoint }, this, this.#record);
    // Known before it opens: it may fail at once, and another take its place.
    this.#server = tunnel;
    tunnel.open();
  }

  #dial(cluster: Cluster, endpoint: Endpoint): Connection {
    const transport = cluster.transportFor(endpoint);
    return this.#services.sockets.connect(
      {
        address: endpoint.address,
        port: endpoint.port,
        sourceAddress: cluster.sourceAddress,
        clientSource: this.#facts.clientSource ?? null,
        keepalive: cluster.keepalive,
        connectTimeoutMs: cluster.connectTimeoutMs,
        tls: transport.tls,
        preface: transport.proxyHeader?.bytes(this.#facts) ?? null,
        highWaterBytes: cluster.bufferLimitBytes,
      },
      this,
    );
  }

  #serverClosed(cause: CloseCause): void {
    this.#account.closed(this.#cluster!, this.#endpoint!, cause);
    if (cause === 'reset') this.#record.flags |= FLAG.UC;
    this.#isConnected = false;
    this.#server = null;
  }

  #fail(flags: number, details: string): void {
    this.#record.flags |= flags;
    this.#record.responseCodeDetails = details;
    // Not from within the accept: the connection must be handed over first.
    queueMicrotask(() => this.#client.close());
  }

  #touch(): void {
    if (this.#config.idleTimeoutMs > 0)
      this.#idle.setIn(this.#config.idleTimeoutMs, this.#services.clock.nowMs());
  }

  #finish(): void {
    if (this.#isOver) return;
    this.#isOver = true;
    const { clock } = this.#services;
    const record = this.#record;
    this.#idle.dispose();
    this.#duration.dispose();
    this.#report.dispose();
    this.#logging.dispose();
    this.#early = [];
    if (this.#server !== null && !this.#isConnected) {
      // A connection attempt that is cancelled reports nothing more.
      this.#account.cancelled(this.#cluster!, this.#endpoint!);
      this.#server = null;
    }
    record.responseEndMs = clock.nowMs();
    this.#countOpened();
    this.reportBytes();
    this.#stats.connectionClosed(record.responseEndMs - record.startMs);
    this.#metrics.onConnectionClosed(record);
    this.#log();
    this.#onGone();
  }

  /** Also connections that found no endpoint, once they have failed. */
  #countOpened(): void {
    if (this.#hasCountedOpened) return;
    this.#hasCountedOpened = true;
    this.#metrics.onConnectionOpened(this.#record);
  }

  #log(): void {
    for (const logger of this.#config.accessLoggers) logger.log(this.#record);
  }

  #newRecord(facts: ConnectionFacts, listener: ListenerRuntime): RequestRecord {
    const record = this.#services.newRecord();
    const { clock } = this.#services;
    record.kind = 'tcp';
    record.protocol = '-';
    record.startMs = clock.nowMs();
    record.startWallMs = clock.wallMs();
    record.listenerName = listener.name;
    record.trafficDirection = listener.trafficDirection;
    record.statPrefix = this.#config.statPrefix;
    record.connection = facts;
    return record;
  }
}

function clusterNameOf(config: TcpProxyConfig, draw: () => number): string {
  if (config.weighted === null) return config.cluster;
  const at = draw() * config.weighted.total;
  return config.weighted.entries.find((entry) => at < entry.bound)?.cluster ?? config.cluster;
}

function failureText(connection: Connection, failure: ConnectFailure): string {
  return connection.failureDetail === '' ? `connection ${failure}` : connection.failureDetail;
}

function onIdle(owner: unknown): void {
  (owner as TcpProxy).onIdleTimeout();
}

function onMaxDuration(owner: unknown): void {
  (owner as TcpProxy).onMaxDuration();
}

function onReport(owner: unknown): void {
  (owner as TcpProxy).reportBytes();
}

function onLogging(owner: unknown): void {
  (owner as TcpProxy).onLoggingDue();
}
