/**
 * One HTTP/2 connection to an endpoint and the streams on it.
 *
 *   open ──GOAWAY, age, number of requests──► retired ──last stream over──► closed
 *     └──────────── failure, silence, FIN ──────────────────────────────────► closed
 *
 * What the peer provably did not process (REFUSED_STREAM, ids above GOAWAY's last) is told apart from what
 * it may have: only the former is repeated whatever the method.
 * Invariant: a stream's sink hears exactly one end, and nothing after it.
 */
import { H2ErrorCode, H2Session } from '@sluice/wire';
import type { H2SessionOptions } from '@sluice/wire';
import type { Cluster, Endpoint, PriorityLimits } from '../cluster/cluster.ts';
import { Deadline } from '../http/deadline.ts';
import { H2StatsReporter, type H2CodecStats } from '../http/h2-codec-stats.ts';
import { clientSessionOptions, type H2Settings } from '../http/h2-settings.ts';
import { H2Watch, type H2WatchOwner } from '../http/h2-watch.ts';
import type { ResponseSink } from '../http/streams.ts';
import type { CloseCause, Connection, ConnectionHandler } from '../io/connection.ts';
import type { TlsFacts } from '../io/tls-facts.ts';
import type { PoolServices } from './pool-services.ts';
import { H2ClientSink, type H2ClientOwner } from './h2-client-sink.ts';
import { H2UpstreamStream, type H2StreamHost } from './h2-stream.ts';
import type { ConnectionOwner, PooledConnection } from './pooled-connection.ts';

/** Stream objects kept for the next requests of a connection. */
const MAX_SPARE_STREAMS = 128;

export class H2UpstreamConnection
  implements ConnectionHandler, PooledConnection, H2ClientOwner, H2StreamHost, H2WatchOwner
{
  readonly endpoint: Endpoint;
  readonly limits: PriorityLimits;
  readonly openedMs: number;
  requestCount = 0;
  isReady = false;
  hasPeerSettings = false;
  readonly session: H2Session;
  readonly #owner: ConnectionOwner;
  readonly #services: PoolServices;
  readonly #connection: Connection;
  readonly #maxStreams: number;
  readonly #watch: H2Watch;
  readonly #stats: H2CodecStats;
  readonly #reporter: H2StatsReporter;
  readonly #idleDeadline: Deadline;
  readonly #spare: H2UpstreamStream[] = [];
  /** Over, but perhaps still read by whoever handles their end: free once the callback has returned. */
  readonly #ended: H2UpstreamStream[] = [];
  /** Upgrades that wait for the peer's SETTINGS. */
  #held: H2UpstreamStream[] = [];
  #localAddress: string | null = null;
  #isRetired = false;
  #isReading = false;
  #hasEnded = false;
  /** Why streams end when the connection does, for the log; empty while it lives. */
  #lostDetail = '';
  #reportedSent = 0;
  #reportedReceived = 0;

  constructor(
    owner: ConnectionOwner,
    connection: Connection,
    endpoint: Endpoint,
    cluster: Cluster,
    limits: PriorityLimits,
    services: PoolServices,
  ) {
    this.#owner = owner;
    this.#connection = connection;
    this.endpoint = endpoint;
    this.limits = limits;
    this.#services = services;
    this.openedMs = services.clock.nowMs();
    this.#maxStreams = cluster.http2.maxConcurrentStreams;
    this.#stats = cluster.stats.http2;
    this.#reporter = new H2StatsReporter(this.#stats);
    this.#idleDeadline = new Deadline(services.timers, this, onIdleTooLong);
    this.session = new H2Session(optionsOf(cluster.http2), connection, new H2ClientSink(this), this.openedMs);
    this.session.start();
    this.#watch = new H2Watch(this, services, this.session, cluster.http2.keepalive);
  }

  get lostDetail(): string {
    return this.#lostDetail;
  }
  get tls(): TlsFacts | null {
    return this.#connection.tls;
  }
  get localAddress(): string {
    const connection = this.#connection;
    return (this.#localAddress ??= `${connection.localAddress}:${connection.localPort}`);
  }
  get isOpen(): boolean {
    return this.#connection.isOpen && !this.#isRetired;
  }
  get isIdle(): boolean {
    return this.session.openStreamCount === 0;
  }
  get freeStreams(): number {
    const { session } = this;
    if (this.#isRetired || session.isDead || session.isDraining || !this.#connection.isOpen) return 0;
    const peer = session.peerMaxConcurrentStreams;
    const limit = this.hasPeerSettings ? peer : Math.min(peer, this.#owner.expectedStreams);
    return Math.max(0, Math.min(this.#maxStreams, limit) - session.openStreamCount);
  }

  assign(sink: ResponseSink): void {
    const nowMs = this.#services.clock.nowMs();
    this.#idleDeadline.clear();
    this.#watch.beforeStream(nowMs);
    const stream = this.#spare.pop() ?? new H2UpstreamStream(this);
    const opened = this.session.open(stream);
    if (opened === null) {
      this.#spare.push(stream);
      sink.onUpstreamReset('refused-stream', 'the connection takes no more streams');
      return;
    }
    this.requestCount++;
    this.#stats.streamOpened();
    stream.begin(opened, sink, this.requestCount > 1);
    sink.onUpstreamReady(stream);
  }

  rest(timeoutMs: number): void {
    if (timeoutMs > 0) this.#idleDeadline.setIn(timeoutMs, this.#services.clock.nowMs());
  }

  retire(): void {
    if (this.#isRetired) return;
    this.#isRetired = true;
    if (this.isIdle) this.#end();
  }

  // --- from streams ---

  hold(stream: H2UpstreamStream): void {
    this.#held.push(stream);
  }

  streamEnded(stream: H2UpstreamStream): void {
    this.#stats.streamClosed();
    this.#ended.push(stream);
    if (this.#isReading) return;
    this.#settle();
  }

  // --- the socket ---

  onData(_connection: Connection, data: Uint8Array): void {
    const nowMs = this.#services.clock.nowMs();
    this.#isReading = true;
    this.#watch.heard(nowMs);
    this.session.receive(data, 0, data.length, nowMs);
    this.#isReading = false;
    this.#reporter.report(this.session.stats);
    this.#settle();
  }

  onEnd(connection: Connection): void {
    // No more frames will come: answers neither.
    this.#isRetired = true;
    this.#lostDetail = 'connection closed by peer';
    this.session.onTransportClosed();
    connection.close();
  }

  onDrain(): void {
    this.session.onOutputDrain();
    this.#settle();
  }

  onClose(_connection: Connection, cause: CloseCause): void {
    this.#isRetired = true;
    this.#idleDeadline.dispose();
    this.#watch.dispose();
    if (this.#lostDetail === '')
      this.#lostDetail = cause === 'reset' ? 'connection reset by peer' : 'connection closed by peer';
    this.session.onTransportClosed();
    this.#reporter.report(this.session.stats);
    this.#reportBytes();
    this.#recycle();
    this.#owner.onClosed(this, cause !== 'local');
  }

  // --- the session ---

  onSettings(): void {
    this.hasPeerSettings = true;
    this.#owner.onStreamLimit(Math.min(this.#maxStreams, this.session.peerMaxConcurrentStreams));
    for (const stream of this.#held.splice(0)) stream.sendHeld();
  }

  /** `code`: why the peer wants no more. What it did not process has been reset already. */
  onGoAway(): void {
    this.#isRetired = true;
  }

  onPong(): void {
    this.#watch.onPong();
  }

  /** Streams were reset already, as broken by the peer. */
  onFailure(): void {
    this.#reporter.reportFlood(this.session.stats);
    this.#isRetired = true;
    this.#connection.close();
  }

  onDrained(): void {
    this.#end();
  }

  onPeerSilent(what: 'settings' | 'ping'): void {
    if (what === 'ping') this.#stats.count('keepalive_timeout', 1);
    this.#lostDetail = what === 'ping' ? 'no answer to PING' : 'no answer to SETTINGS';
    this.#isRetired = true;
    // Nobody reads at the other end: waiting for an orderly close would take as long again.
    this.#connection.terminate();
  }

  onIdleTooLong(): void {
    if (this.isIdle) this.retire();
  }

  /** What has become free is offered to the pool, once a callback. */
  #settle(): void {
    this.#recycle();
    if (!this.#connection.isOpen) return;
    if (!this.#isRetired) {
      if (this.freeStreams > 0 && (!this.isReady || this.isIdle)) this.#owner.onFree(this);
    } else if (this.isIdle) this.#end();
  }

  #recycle(): void {
    const ended = this.#ended;
    for (let i = 0; i < ended.length; i++) {
      const stream = ended[i]!;
      stream.forget();
      if (this.#spare.length < MAX_SPARE_STREAMS) this.#spare.push(stream);
    }
    ended.length = 0;
    this.#reportBytes();
  }

  #end(): void {
    if (this.#hasEnded) return;
    this.#hasEnded = true;
    this.#isRetired = true;
    this.#lostDetail = 'connection closed';
    if (!this.session.isDead) this.session.goAway(H2ErrorCode.NO_ERROR);
    this.#connection.close();
  }

  #reportBytes(): void {
    const { bytesWritten, bytesRead } = this.#connection;
    this.#owner.onBytes(bytesWritten - this.#reportedSent, bytesRead - this.#reportedReceived);
    this.#reportedSent = bytesWritten;
    this.#reportedReceived = bytesRead;
  }
}

const options = new WeakMap<H2Settings, H2SessionOptions>();

function optionsOf(settings: H2Settings): H2SessionOptions {
  let known = options.get(settings);
  if (known === undefined) options.set(settings, (known = clientSessionOptions(settings)));
  return known;
}

function onIdleTooLong(owner: unknown): void {
  (owner as H2UpstreamConnection).onIdleTooLong();
}
