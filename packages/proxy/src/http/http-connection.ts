/**
 * A client's HTTP connection: which codec speaks on it, and its counters (`http.<stat_prefix>.downstream_cx_*`),
 * both kept outside of the codecs.
 *
 * By configuration, else by ALPN, else by the first octets: the preface of HTTP/2 can be no request of
 * HTTP/1 (RFC 9113 §3.4). Until they have come the connection is one of HTTP/1 that is idle.
 */
import { H1DownstreamConnection } from './h1-downstream.ts';
import type { UpgradeToH2 } from './h2c-upgrade.ts';
import { H2DownstreamConnection } from './h2-downstream.ts';
import type { ExchangeServices, HttpBinding } from './exchange-services.ts';
import type { CodecOwner, RequestMessage } from './streams.ts';
import type { Served } from '../io/accept.ts';
import type { CloseCause, Connection, ConnectionHandler } from '../io/connection.ts';
import type { ConnectionFacts } from '../listener/connection-facts.ts';
import type { ManagerStats } from '../telemetry/metrics/connection-stats.ts';

/** As much of the preface as no HTTP/1 request line can begin with. */
const PREFACE = new TextEncoder().encode('PRI * HTTP/2.0\r\n');

export class HttpConnection implements ConnectionHandler, Served, CodecOwner {
  readonly #connection: Connection;
  readonly #facts: ConnectionFacts;
  readonly #binding: HttpBinding;
  readonly #services: ExchangeServices;
  readonly #stats: ManagerStats;
  readonly #openedMs: number;
  readonly #onGone: (served: HttpConnection) => void;
  #codec: H1DownstreamConnection | H2DownstreamConnection;
  #isDecided: boolean;
  /** First octets that may still become the preface. */
  #peeked: Uint8Array | null = null;

  constructor(
    connection: Connection,
    facts: ConnectionFacts,
    binding: HttpBinding,
    stats: ManagerStats,
    services: ExchangeServices,
    onGone: (served: HttpConnection) => void,
  ) {
    this.#connection = connection;
    this.#facts = facts;
    this.#binding = binding;
    this.#services = services;
    this.#stats = stats;
    this.#openedMs = services.clock.nowMs();
    this.#onGone = onGone;
    const { codec } = binding.config;
    const alpn = connection.tls?.alpn ?? '';
    const isH2 = codec === 'h2' || (codec === 'auto' && alpn === 'h2');
    this.#isDecided = codec !== 'auto' || alpn !== '';
    this.#codec = isH2 ? this.#newH2() : this.#newH1();
    stats.connectionOpened();
    if (this.#isDecided) stats.speaks(isH2 ? 'h2' : 'h1');
  }

  /** GOAWAY tells a client of HTTP/2; an idle one of HTTP/1 learns of it by its next answer. */
  get endsByAnswer(): boolean {
    return this.#codec instanceof H1DownstreamConnection;
  }
  /** Octets of later requests that wait: HTTP/1 alone holds any back. */
  get heldBytes(): number {
    return this.#codec instanceof H1DownstreamConnection ? this.#codec.heldBytes : 0;
  }
  drain(): void {
    this.#stats.drainClose();
    this.#codec.drain();
  }
  onData(connection: Connection, data: Uint8Array): void {
    if (this.#isDecided) this.#codec.onData(connection, data);
    else this.#decide(connection, data);
  }
  onEnd(connection: Connection): void {
    this.#codec.onEnd(connection);
  }
  onDrain(): void {
    this.#codec.onDrain();
  }
  onClose(connection: Connection, cause: CloseCause): void {
    this.#codec.onClose();
    this.#stats.bytesReceived(connection.bytesRead);
    this.#stats.bytesSent(connection.bytesWritten);
    this.#stats.connectionClosed(cause !== 'local', this.#services.clock.nowMs() - this.#openedMs);
  }

  onCodecGone(): void {
    this.#onGone(this);
  }

  #decide(connection: Connection, data: Uint8Array): void {
    const bytes = this.#peeked === null ? data : Buffer.concat([this.#peeked, data]);
    const shared = sharedLength(bytes);
    if (shared < PREFACE.length && shared === bytes.length) {
      // All of it may be the preface: a head of HTTP/1 would have to be complete in time, too.
      if (this.#peeked === null) (this.#codec as H1DownstreamConnection).awaitHead();
      this.#peeked = bytes;
      return;
    }
    this.#peeked = null;
    this.#isDecided = true;
    const isH2 = shared === PREFACE.length;
    this.#stats.speaks(isH2 ? 'h2' : 'h1');
    if (isH2) this.#codec = this.#takeOver();
    this.#codec.onData(connection, bytes);
  }

  #takeOver(): H2DownstreamConnection {
    if (this.#codec instanceof H1DownstreamConnection) this.#codec.retreat();
    return this.#newH2();
  }

  #newH1(): H1DownstreamConnection {
    const upgrade: UpgradeToH2 | null = this.#binding.config.upgradesToH2c
      ? (settings, request, rest) => this.#upgrade(settings, request, rest)
      : null;
    return new H1DownstreamConnection(
      this.#connection,
      this.#facts,
      this.#binding,
      this.#services,
      this,
      upgrade,
    );
  }

  #newH2(): H2DownstreamConnection {
    return new H2DownstreamConnection(this.#connection, this.#facts, this.#binding, this.#services, this);
  }

  #upgrade(settings: Uint8Array, request: RequestMessage, rest: Uint8Array): void {
    const h2 = this.#newH2();
    this.#codec = h2;
    h2.serveUpgraded(settings, request);
    if (rest.length > 0) h2.onData(this.#connection, rest);
  }
}

/** Octets at the beginning of `bytes` that are those of the preface. */
function sharedLength(bytes: Uint8Array): number {
  const length = Math.min(bytes.length, PREFACE.length);
  let i = 0;
  while (i < length && bytes[i] === PREFACE[i]) i++;
  return i;
}
