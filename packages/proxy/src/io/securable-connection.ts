/**
 * A connection that can become a TLS one, in place: what both socket implementations share of it.
 *
 * While a handshake is under way nothing that is written leaves and nobody hears of the connection but the
 * one who waits for the outcome. Afterwards the same object goes on with plaintext.
 */
import { tlsConnectFailure } from './connect-failure.ts';
import type { CloseCause, ConnectFailure, TlsHandshakeHandler } from './connection.ts';
import { QueuedConnection } from './queued-connection.ts';
import type { TlsClientContext, TlsFailure, TlsServerContext, TlsSettings } from './tls-context.ts';
import type { EngineView } from './tls-engine.ts';
import type { TlsFacts } from './tls-facts.ts';
import { ClientHandshake, ServerHandshake, type HandshakeOwner } from './tls-handshake.ts';
import { forgetSession, knownSession, rememberSession } from './tls-sessions.ts';

/** The handler of a connection whose owner is told by other means. */
export const silent = { onData() {}, onEnd() {}, onDrain() {}, onClose() {} };

export abstract class SecurableConnection extends QueuedConnection implements HandshakeOwner {
  #handshake: ServerHandshake | ClientHandshake | null = null;
  #waiting: TlsHandshakeHandler | null = null;
  #server: TlsServerContext | null = null;
  #client: TlsClientContext | null = null;
  #settings: TlsSettings | null = null;

  abstract startEngine(settings: TlsSettings, alpn: readonly string[], hello: Uint8Array | null): void;
  /** Ends a connection attempt; true when one was under way. */
  protected abstract settleConnect(failure: ConnectFailure | null): void;

  get isHandshaking(): boolean {
    return this.#handshake !== null;
  }

  startTls(
    context: TlsServerContext,
    peeked: Uint8Array | null,
    timeoutMs: number,
    handler: TlsHandshakeHandler,
  ): void {
    this.handler = silent;
    this.canSend = false;
    this.#server = context;
    this.#waiting = handler;
    const handshake = new ServerHandshake(context, this, this.loop.timers, timeoutMs);
    this.#handshake = handshake;
    if (peeked !== null) handshake.receive(peeked);
  }

  protected startClientTls(context: TlsClientContext): void {
    this.#client = context;
    const handshake = new ClientHandshake(context, this);
    this.#handshake = handshake;
    try {
      handshake.start();
    } catch (error) {
      this.#handshakeBroke(error);
    }
  }

  /** Called by the engine once; later calls (a renegotiation, which is refused) change nothing. */
  protected engineDone(view: () => EngineView, error: unknown): void {
    this.loop.enter();
    try {
      this.#handshake?.finish(view, error);
    } catch (bug) {
      this.#handshakeBroke(bug);
    }
    this.loop.leave();
  }

  onHandshakeDone(facts: TlsFacts): void {
    this.#handshake = null;
    this.tls = facts;
    (this.#server ?? this.#client)?.onSecured(this);
    if (this.#client !== null) {
      this.settleConnect(null);
      return;
    }
    const waiting = this.#waiting;
    this.#waiting = null;
    this.canSend = true;
    try {
      waiting?.onSecured(this, facts);
    } catch (error) {
      this.loop.reportHandlerError(error);
      this.terminate();
    }
    this.writable();
  }

  onHandshakeFailed(failure: TlsFailure): void {
    this.#handshake = null;
    this.failureDetail = failure.reason;
    if (this.#client !== null) {
      this.#forgetSession();
      this.settleConnect(tlsConnectFailure(failure));
      return;
    }
    const waiting = this.#waiting;
    this.#waiting = null;
    this.terminate();
    try {
      waiting?.onTlsFailed(this, failure);
    } catch (error) {
      this.loop.reportHandlerError(error);
    }
  }

  protected override received(data: Uint8Array): void {
    const handshake = this.#handshake;
    if (handshake === null) super.received(data);
    else if (handshake instanceof ServerHandshake) this.#receiveHello(handshake, data);
  }

  protected override readEnded(): void {
    if (this.#handshake === null) super.readEnded();
    else this.#handshake.peerClosed();
  }

  protected override closed(cause: CloseCause): void {
    const handshake = this.#handshake;
    if (handshake === null) {
      super.closed(cause);
      return;
    }
    if (cause === 'local') handshake.fail({ kind: 'closed', reason: 'the proxy closed the connection' });
    else handshake.peerClosed();
  }

  /** An attempt is given up: nobody is told. */
  protected cancelHandshake(): void {
    this.#handshake?.end();
    this.#handshake = null;
  }

  /** To be asked before the handshake begins. */
  protected sessionFor(settings: TlsSettings): Uint8Array | null {
    this.#settings = settings;
    return this.#client === null || this.#client.maxSessions === 0
      ? null
      : knownSession(settings, this.#sessionKey());
  }

  protected onSession(session: Uint8Array): void {
    if (this.#settings === null || this.#client === null || this.#client.maxSessions === 0) return;
    rememberSession(this.#settings, this.#sessionKey(), session);
  }

  protected get clientServerName(): string {
    return this.#client?.serverName ?? '';
  }

  #receiveHello(handshake: ServerHandshake, data: Uint8Array): void {
    this.loop.enter();
    try {
      handshake.receive(data);
    } catch (error) {
      this.#handshakeBroke(error);
    }
    this.loop.leave();
  }

  /** Thrown by policy, always a bug of ours: it costs this connection, and nobody is let in by it. */
  #handshakeBroke(error: unknown): void {
    this.loop.reportHandlerError(error);
    this.#handshake?.end();
    this.onHandshakeFailed({ kind: 'protocol', reason: 'the proxy failed to judge the handshake' });
    this.terminate();
  }

  #forgetSession(): void {
    if (this.#settings !== null) forgetSession(this.#settings, this.#sessionKey());
  }

  #sessionKey(): string {
    return `${this.remoteAddress} ${this.remotePort} ${this.clientServerName}`;
  }
}
