/**
 * A client's HTTP/2 connection: one session, an exchange per stream.
 *
 *   open ──drain, age, number of requests──► draining (GOAWAY) ──last stream over──► lingering ──► closed
 *     └──failure (GOAWAY), silence, FIN──────────────────────────────────────────────────────────► closed
 *
 * The socket is never paused: bodies are held back stream by stream, by the window that their readers have
 * not given back. Output waits in the streams while the client does not read.
 */
import { H2ErrorCode, H2Session } from '@sluice/wire';
import type { H2SessionOptions, H2Stream } from '@sluice/wire';
import type { Clock, TimerWheel } from '@sluice/runtime';
import type { Connection, ConnectionHandler } from '../io/connection.ts';
import type { ConnectionFacts } from '../listener/connection-facts.ts';
import { FLAG } from '../telemetry/response-flags.ts';
import { idleDelayMs } from './connection-age.ts';
import { Deadline } from './deadline.ts';
import type { Exchange } from './exchange.ts';
import { exchangePoolOf, type ExchangePool } from './exchange-pool.ts';
import type { ExchangeServices, HttpBinding } from './exchange-services.ts';
import { H2StatsReporter } from './h2-codec-stats.ts';
import { H2DownstreamStream, type H2StreamOwner } from './h2-downstream-stream.ts';
import { H2ServerSink, type H2ServerOwner } from './h2-server-sink.ts';
import { serverSessionOptions } from './h2-settings.ts';
import { logRequestWithoutHead } from './request-without-head.ts';
import { beginLinger, lingerEnded } from './linger.ts';
import { H2Watch, type H2WatchOwner } from './h2-watch.ts';
import type { CodecOwner, RequestMessage } from './streams.ts';

/** Stream objects kept for the next requests of a filter chain. */
const MAX_SPARE_STREAMS = 256;
/** Where the listener sets no stream idle timeout: an answered request may go on this long, octets unread as long. */
const DEFAULT_STALL_MS = 300_000;

export class H2DownstreamConnection implements ConnectionHandler, H2ServerOwner, H2StreamOwner, H2WatchOwner {
  readonly session: H2Session;
  readonly discardTimeoutMs: number;
  isLost = false;
  readonly #connection: Connection;
  readonly #facts: ConnectionFacts;
  readonly #binding: HttpBinding;
  readonly #services: ExchangeServices;
  readonly #owner: CodecOwner;
  readonly #exchanges: ExchangePool;
  readonly #spare: H2DownstreamStream[];
  readonly #watch: H2Watch;
  readonly #reporter: H2StatsReporter;
  /** Idle, draining, lingering. */
  readonly #phaseDeadline: Deadline;
  readonly #ageDeadline: Deadline | null;
  #stallDeadline: Deadline | null = null;
  /** Of a head that has begun. */
  #headDeadline: Deadline | null = null;
  readonly #openedMs: number;
  #requestCount = 0;
  #streamErrors = 0;
  #isDraining = false;
  #isLingering = false;

  constructor(
    connection: Connection,
    facts: ConnectionFacts,
    binding: HttpBinding,
    services: ExchangeServices,
    owner: CodecOwner,
  ) {
    const { config } = binding;
    this.#connection = connection;
    this.#facts = facts;
    this.#binding = binding;
    this.#services = services;
    this.#owner = owner;
    this.#exchanges = exchangePoolOf(services, binding);
    this.#spare = spareStreamsOf(binding);
    this.#reporter = new H2StatsReporter(binding.http2Stats);
    this.discardTimeoutMs = config.streamIdleTimeoutMs > 0 ? config.streamIdleTimeoutMs : DEFAULT_STALL_MS;
    this.#openedMs = services.clock.nowMs();
    this.#phaseDeadline = new Deadline(services.timers, this, onPhaseTimeout);
    this.#ageDeadline =
      config.maxConnectionDurationMs > 0 ? new Deadline(services.timers, this, onTooOld) : null;
    this.#ageDeadline?.setIn(config.maxConnectionDurationMs, this.#openedMs);
    this.session = new H2Session(optionsOf(binding), connection, new H2ServerSink(this), this.#openedMs);
    this.session.start();
    this.#watch = new H2Watch(this, services, this.session, config.http2.keepalive);
    this.#armIdle();
  }

  get timers(): TimerWheel {
    return this.#services.timers;
  }
  get clock(): Clock {
    return this.#services.clock;
  }

  /** After an Upgrade to h2c: stream 1 is the request that asked for it (RFC 7540 §3.2). */
  serveUpgraded(settingsPayload: Uint8Array, message: RequestMessage): void {
    const h2 = this.session.startUpgraded(settingsPayload);
    this.#requestCount++;
    this.#phaseDeadline.clear();
    this.#begin(h2).serveUpgraded(message);
  }

  /** GOAWAY, then what is in progress ends; what the client sent before it knew is still served. */
  drain(): void {
    if (this.#isDraining || this.#isLingering) return;
    this.#isDraining = true;
    this.#binding.http2Stats.count('goaway_sent', 1);
    this.session.beginDrain();
    const { drainTimeoutMs } = this.#binding.config;
    this.#phaseDeadline.setIn(Math.max(1, drainTimeoutMs), this.#services.clock.nowMs());
  }

  // --- the socket ---

  onData(_connection: Connection, data: Uint8Array): void {
    if (this.#isLingering) return;
    const nowMs = this.#services.clock.nowMs();
    this.#watch.heard(nowMs);
    this.session.receive(data, 0, data.length, nowMs);
    this.#judge();
  }

  onEnd(connection: Connection): void {
    this.#lose();
    connection.close();
  }

  onDrain(): void {
    this.session.onOutputDrain();
  }

  onClose(): void {
    this.#isLingering = true;
    this.#lose();
    this.#phaseDeadline.dispose();
    this.#ageDeadline?.dispose();
    this.#stallDeadline?.dispose();
    this.#headDeadline?.dispose();
    this.#watch.dispose();
    this.#reporter.report(this.session.stats);
    this.#owner.onCodecGone();
  }

  // --- the session ---

  onRequest(h2: H2Stream, isEnd: boolean): void {
    const { config } = this.#binding;
    this.#phaseDeadlineOff();
    this.#requestCount++;
    const stream = this.#begin(h2);
    if (config.maxRequestsPerConnection > 0 && this.#requestCount >= config.maxRequestsPerConnection)
      this.drain();
    stream.serve(isEnd, config.proxy100Continue, config.requestTimeoutMs);
  }

  onRequestTooLarge(h2: H2Stream): void {
    this.#phaseDeadlineOff();
    this.#begin(h2).refuse(
      431,
      'request-headers-too-large',
      'The header list is larger than the listener allows.',
    );
  }

  onRequestMalformed(isField: boolean): void {
    const details = isField ? 'http2.invalid.header.field' : 'http2.violation.of.messaging.rule';
    logRequestWithoutHead(details, FLAG.DPE, this.#facts, this.#binding, this.#services);
  }

  onPong(): void {
    this.#watch.onPong();
  }

  onFailure(_detail: string): void {
    this.#reporter.reportFlood(this.session.stats);
    this.#binding.connectionStats.protocolError();
    this.#linger();
  }

  onDrained(): void {
    this.#linger();
  }

  onPeerSilent(what: 'settings' | 'ping'): void {
    if (what === 'ping') this.#binding.http2Stats.count('keepalive_timeout', 1);
    this.#lose();
    this.#connection.terminate();
  }

  // --- streams ---

  takeExchange(stream: H2DownstreamStream, message: RequestMessage): Exchange {
    const exchange = this.#exchanges.take();
    exchange.attach(stream, message, this.#facts);
    return exchange;
  }

  giveExchange(exchange: Exchange): void {
    this.#exchanges.give(exchange);
  }

  streamOver(stream: H2DownstreamStream, h2: H2Stream): void {
    this.#binding.http2Stats.streamClosed();
    if (h2.queuedBytes > 0) this.#armStall();
    h2.release();
    if (this.#spare.length < MAX_SPARE_STREAMS) this.#spare.push(stream);
    if (this.session.openStreamCount === 0 && !this.#isDraining && !this.#isLingering) this.#armIdle();
  }

  onPhaseTimeout(): void {
    if (this.#isLingering) lingerEnded(this.#connection);
    else if (this.#isDraining) {
      // The client did not answer the PING of the drain: it has had its time to learn of it.
      this.session.goAway(H2ErrorCode.NO_ERROR);
      if (this.session.openStreamCount === 0) this.#linger();
    } else if (this.session.openStreamCount === 0) {
      this.#binding.connectionStats.idleTimeout();
      this.drain();
    }
  }

  /** What a client does not finish holds up every stream of its connection. */
  onHeadTooLate(): void {
    logRequestWithoutHead('request_header_timeout', FLAG.DT, this.#facts, this.#binding, this.#services);
    this.session.goAway(H2ErrorCode.ENHANCE_YOUR_CALM);
    this.#lose();
    this.#linger();
  }

  onTooOld(): void {
    this.#binding.connectionStats.maxDurationReached();
    this.drain();
  }

  /** Answers that a client does not read are dropped at last. */
  onStallDue(): void {
    const nowMs = this.#services.clock.nowMs();
    const count = this.session.resetStalled(nowMs, this.discardTimeoutMs);
    this.#binding.http2Stats.count('tx_flush_timeout', count);
    if (this.session.oldestStallMs(nowMs) >= 0) this.#armStall();
  }

  #begin(h2: H2Stream): H2DownstreamStream {
    const stream = this.#spare.pop() ?? new H2DownstreamStream();
    this.#binding.http2Stats.streamOpened();
    stream.begin(this, h2);
    return stream;
  }

  /** After each chunk: what was counted, and whether the connection may go on. */
  #judge(): void {
    const { stats, isInsideHead } = this.session;
    this.#reporter.report(stats);
    if (isInsideHead) this.#armHead();
    else this.#headDeadline?.clear();
    if (stats.streamErrors !== this.#streamErrors) {
      this.#streamErrors = stats.streamErrors;
      this.#binding.connectionStats.protocolError();
      if (this.#binding.config.http2.closesOnMalformed && !this.#isLingering) {
        this.session.goAway(H2ErrorCode.PROTOCOL_ERROR);
        this.#isDraining = true;
        if (this.session.openStreamCount === 0) this.#linger();
      }
    }
    if (!this.#isDraining && this.#binding.isDraining()) this.drain();
  }

  #lose(): void {
    if (this.isLost) return;
    this.isLost = true;
    this.session.onTransportClosed();
  }

  #linger(): void {
    if (this.#isLingering) return;
    this.#isLingering = true;
    // Nothing is heard from now on, no answer to a PING either.
    this.#watch.dispose();
    const { delayedCloseTimeoutMs } = this.#binding.config;
    const nowMs = this.#services.clock.nowMs();
    beginLinger(this.#connection, delayedCloseTimeoutMs, this.#phaseDeadline, nowMs);
  }

  #phaseDeadlineOff(): void {
    if (!this.#isDraining) this.#phaseDeadline.clear();
  }

  #armIdle(): void {
    const nowMs = this.#services.clock.nowMs();
    const { connectionIdleTimeoutMs } = this.#binding.config;
    const delayMs = idleDelayMs({ connectionIdleTimeoutMs, maxConnectionDurationMs: 0 }, nowMs, nowMs);
    if (delayMs !== Infinity) this.#phaseDeadline.setIn(delayMs, nowMs);
  }

  #armHead(): void {
    const { requestHeadersTimeoutMs } = this.#binding.config;
    if (requestHeadersTimeoutMs <= 0 || this.#headDeadline?.isSet === true) return;
    this.#headDeadline ??= new Deadline(this.#services.timers, this, onHeadTooLate);
    this.#headDeadline.setIn(requestHeadersTimeoutMs, this.#services.clock.nowMs());
  }

  #armStall(): void {
    const nowMs = this.#services.clock.nowMs();
    this.session.oldestStallMs(nowMs);
    this.#stallDeadline ??= new Deadline(this.#services.timers, this, onStallDue);
    if (!this.#stallDeadline.isSet) this.#stallDeadline.setIn(this.discardTimeoutMs, nowMs);
  }
}

const spares = new WeakMap<HttpBinding, H2DownstreamStream[]>();

function spareStreamsOf(binding: HttpBinding): H2DownstreamStream[] {
  let spare = spares.get(binding);
  if (spare === undefined) spares.set(binding, (spare = []));
  return spare;
}

const options = new WeakMap<HttpBinding, H2SessionOptions>();

function optionsOf(binding: HttpBinding): H2SessionOptions {
  let known = options.get(binding);
  if (known === undefined) {
    const { http2, maxRequestHeadersBytes, maxRequestHeadersCount } = binding.config;
    known = serverSessionOptions(http2, maxRequestHeadersBytes, maxRequestHeadersCount);
    options.set(binding, known);
  }
  return known;
}

function onPhaseTimeout(owner: unknown): void {
  (owner as H2DownstreamConnection).onPhaseTimeout();
}

function onHeadTooLate(owner: unknown): void {
  (owner as H2DownstreamConnection).onHeadTooLate();
}

function onTooOld(owner: unknown): void {
  (owner as H2DownstreamConnection).onTooOld();
}

function onStallDue(owner: unknown): void {
  (owner as H2DownstreamConnection).onStallDue();
}
