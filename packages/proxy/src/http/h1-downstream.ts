/**
 * A client's HTTP/1 connection: one exchange at a time, pipelined requests waiting behind it.
 *
 *   idle ──first octet──► head ──► request ∥ response ──both over──► idle …
 *                                        └──► tunnel
 *   any ──close announced, response sent──► lingering ──FIN or timeout──► closed
 *
 * Reading goes on while a request is in progress, because a paused socket reports no FIN and a client that went away
 * must cancel upstream; what arrives early is held up to 64 KiB, and waits while the client takes no answers.
 * Invariant: the parser stands before the next head until both the message and its exchange are over.
 */
import { writeChunkEnd, writeChunkHeader, writeLastChunk } from '@sluice/wire';
import type {
  H1ParseError,
  H1RequestParser,
  H1RequestSink,
  HeaderList,
  RequestHead,
  ResponseWriteOptions,
} from '@sluice/wire';
import type { Connection, ConnectionHandler } from '../io/connection.ts';
import type { ConnectionFacts } from '../listener/connection-facts.ts';
import { DRAINING_IDLE_MS, idleDelayMs, isTooOld } from './connection-age.ts';
import { Deadline } from './deadline.ts';
import type { ExchangeServices, HttpBinding } from './exchange-services.ts';
import { exchangePoolOf, type ExchangePool } from './exchange-pool.ts';
import type { Exchange } from './exchange.ts';
import { fillFromHead } from './h1-request-message.ts';
import { MAX_PIPELINED_BYTES } from './h1-limits.ts';
import { beginLinger, lingerEnded } from './linger.ts';
import { h2cRequest, readH2cSettings, SWITCHING_TO_H2C, type UpgradeToH2 } from './h2c-upgrade.ts';
import { frameResponse, writeHeadTo } from './h1-response-head.ts';
import { requestReadersOf, type RequestReader, type RequestReaderPool } from './request-reader.ts';
import {
  STREAM_WINDOW_BYTES,
  type CodecOwner,
  type DownstreamStream,
  type RequestMessage,
  type ResponseMessage,
} from './streams.ts';

export class H1DownstreamConnection implements ConnectionHandler, DownstreamStream, H1RequestSink {
  readonly #connection: Connection;
  readonly #binding: HttpBinding;
  readonly #services: ExchangeServices;
  readonly #readers: RequestReaderPool;
  /** Lent from the first octet of a request until its exchange is over. */
  #reader: RequestReader | null = null;
  readonly #exchanges: ExchangePool;
  readonly #facts: ConnectionFacts;
  /** Lent for the request in progress. */
  #exchange: Exchange | null = null;
  readonly #owner: CodecOwner;
  readonly #upgradeToH2: UpgradeToH2 | null;
  /** Set while the request that asked for h2c is read. */
  #h2cSettings: Uint8Array | null = null;
  /** Of the phase: idle, head, lingering. */
  readonly #phaseDeadline: Deadline;
  #requestDeadline: Deadline | null = null;
  readonly #openedMs: number;
  #held: Uint8Array | null = null;
  /** The response was aborted, and the connection is to be reset. */
  #isCut = false;
  /** The client has not taken its answers: no further request is begun. */
  #awaitsDrain = false;
  #requestCount = 0;
  #isParsing = false;
  #isMessageOpen = false;
  #hasToldEnd = true;
  #isKeepAlive = true;
  #isClosing = false;
  #isLingering = false;
  #isTunnel = false;
  #isUpgrade = false;
  #uncreditedBytes = 0;
  #trailers: HeaderList | null = null;

  constructor(
    connection: Connection,
    facts: ConnectionFacts,
    binding: HttpBinding,
    services: ExchangeServices,
    owner: CodecOwner,
    upgradeToH2: UpgradeToH2 | null = null,
  ) {
    this.#connection = connection;
    this.#binding = binding;
    this.#services = services;
    this.#owner = owner;
    this.#upgradeToH2 = upgradeToH2;
    this.#readers = requestReadersOf(binding);
    this.#exchanges = exchangePoolOf(services, binding);
    this.#facts = facts;
    this.#phaseDeadline = new Deadline(services.timers, this, onPhaseTimeout);
    this.#openedMs = services.clock.nowMs();
    this.#armIdle();
  }

  /** Octets held for later requests. */
  get heldBytes(): number {
    return this.#held === null ? 0 : this.#held.length;
  }
  get isIdle(): boolean {
    return this.#exchange === null && !this.#isMessageOpen && this.#isBetweenRequests;
  }

  /** Closes a busy connection after its response, an idle one soon: a request may be on its way. */
  drain(): void {
    this.#isClosing = true;
    if (this.isIdle && !this.#isLingering)
      this.#phaseDeadline.setIn(DRAINING_IDLE_MS, this.#services.clock.nowMs());
  }

  /** The first octets may be the beginning of another protocol: they must become more in time. */
  awaitHead(): void {
    this.#armHeadTimeout();
  }

  /** Another codec takes the connection over. */
  retreat(): void {
    this.#isLingering = true;
    this.#phaseDeadline.dispose();
    this.#requestDeadline?.dispose();
    this.#giveReader();
  }

  // --- the socket ---

  onData(_connection: Connection, data: Uint8Array): void {
    if (this.#isLingering) return;
    if (this.#held === null && !this.#awaitsDrain) {
      this.#read(data);
      return;
    }
    this.#held = this.#held === null ? data : Buffer.concat([this.#held, data]);
    this.#pauseIfFull();
  }

  onEnd(connection: Connection): void {
    if (this.#isTunnel) {
      this.#parser.finish();
      return;
    }
    this.#exchange?.onDownstreamReset('disconnected', 'downstream_remote_disconnect');
    connection.close();
  }

  onDrain(): void {
    this.#exchange?.onWritable();
    if (!this.#awaitsDrain || this.#isLingering) return;
    this.#awaitsDrain = false;
    this.#next();
  }

  onClose(): void {
    this.#isLingering = true;
    this.#exchange?.onDownstreamReset('disconnected', 'downstream_remote_disconnect');
    this.#phaseDeadline.dispose();
    this.#requestDeadline?.dispose();
    this.#held = null;
    if (!this.#isParsing) this.#giveReader();
    this.#owner.onCodecGone();
  }

  // --- the parser ---

  onRequestHead(head: RequestHead): void {
    const message = this.#message;
    const nowMs = this.#services.clock.nowMs();
    this.#phaseDeadline.clear();
    this.#parser.pause();
    this.#requestCount++;
    this.#isMessageOpen = true;
    this.#trailers = null;
    this.#uncreditedBytes = 0;
    const settings = this.#upgradeToH2 === null ? null : readH2cSettings(head);
    fillFromHead(message, head, this.#binding.config.proxy100Continue);
    this.#isUpgrade = message.upgrade !== '';
    this.#isKeepAlive = head.isKeepAlive;
    const hasBody = head.bodyKind === 'chunked' || head.contentLength > 0;
    this.#hasToldEnd = !hasBody && !this.#isUpgrade;
    if (settings !== null) {
      this.#h2cSettings = settings;
      return;
    }
    if (hasBody) this.#armRequestTimeout(nowMs);
    this.#takeExchange().onRequestHead(message, this.#hasToldEnd);
  }

  onBodyData(buf: Uint8Array, start: number, end: number): void {
    this.#uncreditedBytes += end - start;
    if (this.#exchange === null) this.consumed(end - start);
    else this.#exchange.onRequestData(buf, start, end);
    if (this.#uncreditedBytes > STREAM_WINDOW_BYTES) this.#connection.pause();
  }

  onTrailers(trailers: HeaderList): void {
    this.#trailers = trailers;
  }

  onMessageEnd(): void {
    this.#isMessageOpen = false;
    if (this.#h2cSettings !== null) return;
    this.#requestDeadline?.clear();
    if (!this.#hasToldEnd && (!this.#isUpgrade || this.#isTunnel)) this.#tellEnd();
    this.#nextIfDone();
  }

  onParseError(error: H1ParseError): void {
    this.#binding.connectionStats.protocolError();
    this.#isClosing = true;
    if (this.#exchange !== null) {
      this.#exchange.onRequestInvalid(error.status, error.code, error.message);
      return;
    }
    if (this.#isMessageOpen || this.#isLingering) {
      // The answer was out before the rest of the request went wrong.
      this.#connection.close();
      return;
    }
    this.#hasToldEnd = true;
    this.#takeExchange().onHeadInvalid(error.status, error.code, error.message);
  }

  // --- the stream ---

  get isWritable(): boolean {
    return this.#connection.isWritable;
  }

  sendInformational(response: ResponseMessage): void {
    const options = this.#options;
    options.bodyKind = 'none';
    options.connection = 'omit';
    options.passesUpgrade = false;
    this.#writeHead(response);
  }

  sendHead(response: ResponseMessage, isEnd: boolean, isTunnel: boolean): void {
    if (this.#isUpgrade && !isTunnel) this.#refuseUpgrade();
    const options = this.#options;
    frameResponse(options, response, this.#message, isEnd, isTunnel);
    this.#judgeClosing(options.bodyKind === 'until-close', isTunnel);
    this.#writeHead(response);
    if (!isTunnel) return;
    this.#isTunnel = true;
    this.#parser.switchToTunnel();
    if (!this.#isParsing) this.#readHeld();
  }

  sendData(data: Uint8Array, start: number, end: number): void {
    const connection = this.#connection;
    if (this.#options.bodyKind !== 'chunked') {
      if (this.#options.bodyKind !== 'none') connection.write(data, start, end);
      return;
    }
    connection.commit(writeChunkHeader(connection.reserve(32), connection.writeOffset, end - start));
    connection.write(data, start, end);
    connection.commit(writeChunkEnd(connection.reserve(2), connection.writeOffset));
  }

  sendEnd(trailers: HeaderList | null): void {
    const connection = this.#connection;
    if (this.#isTunnel) connection.end();
    else if (this.#options.bodyKind === 'chunked') {
      const room = connection.reserve(64 + (trailers === null ? 0 : trailers.byteSize));
      connection.commit(writeLastChunk(room, connection.writeOffset, trailers ?? undefined));
    }
  }

  consumed(byteCount: number): void {
    this.#uncreditedBytes -= byteCount;
    this.#resumeIfRoom();
  }

  abort(): void {
    const { bodyKind } = this.#options;
    this.#isClosing = true;
    // Where only the end of the connection ends what is sent, an orderly end would look complete.
    this.#isCut = bodyKind === 'until-close' || bodyKind === 'tunnel';
    if (!this.#isCut) this.#connection.close();
  }

  flush(): void {
    this.#connection.flush();
  }

  exchangeEnded(): void {
    const exchange = this.#exchange;
    this.#exchange = null;
    if (exchange !== null) this.#exchanges.give(exchange);
    // Not before: the exchange would hear that its client has gone.
    if (this.#isCut) this.#connection.terminate();
    else this.#nextIfDone();
  }

  onPhaseTimeout(): void {
    if (this.#isLingering) lingerEnded(this.#connection);
    else if (this.#isBetweenRequests) this.#idleEnded();
    else {
      this.#isClosing = true;
      this.#hasToldEnd = true;
      this.#takeExchange().onHeadInvalid(
        408,
        'request-headers-timeout',
        'The request head was not complete in time.',
      );
    }
  }

  onRequestTimeout(): void {
    this.#isClosing = true;
    this.#exchange?.onRequestTimeout();
  }

  get #lent(): RequestReader {
    return (this.#reader ??= this.#readers.take(this));
  }
  get #parser(): H1RequestParser {
    return this.#lent.parser;
  }
  get #message(): RequestMessage {
    return this.#lent.message;
  }
  get #options(): ResponseWriteOptions {
    return this.#lent.options;
  }
  get #isBetweenRequests(): boolean {
    return this.#reader === null || this.#reader.parser.isIdle;
  }

  #giveReader(): void {
    if (this.#reader === null) return;
    this.#readers.give(this.#reader);
    this.#reader = null;
  }

  #read(data: Uint8Array): void {
    this.#isParsing = true;
    const wasIdle = this.#isBetweenRequests;
    const at = this.#parser.execute(data, 0, data.length);
    this.#isParsing = false;
    if (this.#h2cSettings !== null) {
      this.#becomeH2(this.#h2cSettings, data.subarray(at));
      return;
    }
    if (at < data.length && !this.#isLingering && this.#connection.isOpen) {
      this.#held = at === 0 ? data : data.subarray(at);
      this.#pauseIfFull();
      return;
    }
    if (this.isIdle) this.#giveReader();
    else if (wasIdle && this.#exchange === null && !this.#isMessageOpen && !this.#awaitsDrain)
      this.#armHeadTimeout();
  }

  /** HTTP/1 ends on this connection; `rest` is the client's, after its request. */
  #becomeH2(settings: Uint8Array, rest: Uint8Array): void {
    const request = h2cRequest(this.#message);
    this.retreat();
    this.#connection.write(SWITCHING_TO_H2C, 0, SWITCHING_TO_H2C.length);
    this.#upgradeToH2?.(settings, request, rest);
  }

  /** What waited behind the exchange that has just ended. */
  #readHeld(): void {
    const held = this.#held;
    this.#held = null;
    if (held !== null) this.#read(held);
    this.#resumeIfRoom();
  }

  #takeExchange(): Exchange {
    const exchange = this.#exchanges.take();
    exchange.attach(this, this.#message, this.#facts);
    this.#exchange = exchange;
    return exchange;
  }

  #tellEnd(): void {
    this.#hasToldEnd = true;
    this.#exchange?.onRequestEnd(this.#trailers);
  }

  #refuseUpgrade(): void {
    this.#isUpgrade = false;
    if (!this.#isMessageOpen && !this.#hasToldEnd) this.#tellEnd();
  }

  #nextIfDone(): void {
    if (this.#exchange !== null || this.#isLingering) return;
    if (this.#isTunnel) {
      this.#connection.close();
      return;
    }
    if (this.#isClosing || !this.#connection.isOpen) {
      this.#linger();
      return;
    }
    if (this.#isMessageOpen) return;
    this.#armIdle();
    if (this.#connection.isWritable) this.#next();
    else this.#awaitsDrain = true;
  }

  #next(): void {
    if (this.#isParsing) {
      // `execute` goes on by itself.
      this.#parser.resume();
    } else if (this.#held === null) {
      // Nothing waits: an idle connection keeps nothing of what it received.
      this.#giveReader();
      this.#resumeIfRoom();
    } else {
      this.#parser.resume();
      this.#readHeld();
    }
  }

  #linger(): void {
    if (this.#isLingering) return;
    this.#isLingering = true;
    this.#held = null;
    const { delayedCloseTimeoutMs } = this.#binding.config;
    const nowMs = this.#services.clock.nowMs();
    beginLinger(this.#connection, delayedCloseTimeoutMs, this.#phaseDeadline, nowMs);
  }

  #judgeClosing(isUntilClose: boolean, isTunnel: boolean): void {
    const { config, isDraining } = this.#binding;
    const isUsedUp =
      config.maxRequestsPerConnection > 0 && this.#requestCount >= config.maxRequestsPerConnection;
    if (
      !this.#isKeepAlive ||
      isUsedUp ||
      this.#isTooOld() ||
      isUntilClose ||
      isDraining() ||
      !this.#hasToldEnd
    )
      this.#isClosing = true;
    if (isTunnel) this.#options.connection = 'omit';
    else if (this.#isClosing) this.#options.connection = 'close';
    else this.#options.connection = this.#message.protocol === 'HTTP/1.0' ? 'keep-alive' : 'omit';
  }

  #writeHead(response: ResponseMessage): void {
    if (this.#connection.isOpen) writeHeadTo(this.#connection, response, this.#options);
  }

  #pauseIfFull(): void {
    if (this.heldBytes > MAX_PIPELINED_BYTES) this.#connection.pause();
  }

  #resumeIfRoom(): void {
    if (!this.#connection.isPaused || this.#uncreditedBytes > STREAM_WINDOW_BYTES / 2) return;
    if (this.heldBytes <= MAX_PIPELINED_BYTES) this.#connection.resume();
  }

  /** Between requests: until it was idle for too long, or is too old. */
  #armIdle(): void {
    const nowMs = this.#services.clock.nowMs();
    const delayMs = idleDelayMs(this.#binding.config, this.#openedMs, nowMs);
    if (delayMs !== Infinity) this.#phaseDeadline.setIn(delayMs, nowMs);
  }

  #idleEnded(): void {
    const { connectionStats } = this.#binding;
    if (this.#isTooOld()) connectionStats.maxDurationReached();
    else if (!this.#isClosing) connectionStats.idleTimeout();
    this.#linger();
  }

  #isTooOld(): boolean {
    return isTooOld(this.#binding.config, this.#openedMs, this.#services.clock.nowMs());
  }

  #armHeadTimeout(): void {
    const timeoutMs = this.#binding.config.requestHeadersTimeoutMs;
    if (timeoutMs > 0) this.#phaseDeadline.setIn(timeoutMs, this.#services.clock.nowMs());
    else this.#phaseDeadline.clear();
  }

  #armRequestTimeout(nowMs: number): void {
    const timeoutMs = this.#binding.config.requestTimeoutMs;
    if (timeoutMs <= 0) return;
    this.#requestDeadline ??= new Deadline(this.#services.timers, this, onRequestTimeout);
    this.#requestDeadline.setIn(timeoutMs, nowMs);
  }
}

function onPhaseTimeout(owner: unknown): void {
  (owner as H1DownstreamConnection).onPhaseTimeout();
}

function onRequestTimeout(owner: unknown): void {
  (owner as H1DownstreamConnection).onRequestTimeout();
}
