/**
 * One handshake under way, of either side: from the first bytes to the verdict.
 *
 *   server:  hello (read, not consumed) ─► settings for it ─► engine ─► judge ─► secured
 *   client:  settings ─► engine ─► judge ─► secured
 *
 * The server reads the hello before the engine does, since certificate and ALPN are chosen by it: the
 * engine ends a handshake without a common ALPN protocol, where the mesh goes on without one.
 * Invariant: the owner hears of exactly one outcome, and of no byte before.
 */
import { TimerNode, type TimerWheel } from '@sluice/runtime';
import { maxHelloBytes, readHello } from './client-hello.ts';
import { peersOf } from './peer-certificate.ts';
import {
  isTlsFailure,
  type ClientHello,
  type TlsClientContext,
  type TlsFailure,
  type TlsServerContext,
  type TlsSettings,
} from './tls-context.ts';
import { engineFailure, factsOf, outcomeOf, type EngineView } from './tls-engine.ts';
import type { TlsFacts } from './tls-facts.ts';

export interface HandshakeOwner {
  /** Hands the socket to the engine. `hello` was read from it already; null on the client side. Throws if the peer is gone. */
  startEngine(settings: TlsSettings, alpn: readonly string[], hello: Uint8Array | null): void;
  onHandshakeDone(facts: TlsFacts): void;
  onHandshakeFailed(failure: TlsFailure): void;
}

type Context = TlsServerContext | TlsClientContext;

const emptyBytes = new Uint8Array(0);

abstract class Handshake {
  protected readonly owner: HandshakeOwner;
  protected readonly context: Context;
  protected settings: TlsSettings | null = null;
  protected serverName = '';
  #isOver = false;

  constructor(context: Context, owner: HandshakeOwner) {
    this.context = context;
    this.owner = owner;
  }

  get isOver(): boolean {
    return this.#isOver;
  }

  /** The engine has finished; `error` is its verdict on the peer's chain, or why it failed. */
  finish(view: () => EngineView, error: unknown): void {
    if (this.#isOver || this.settings === null) return;
    const failure = engineFailure(error);
    if (failure !== null) {
      this.fail(failure);
      return;
    }
    const seen = view();
    const given = outcomeOf(seen, error, this.serverName, this.settings);
    const outcome = this.context.asOfNow?.(given, this.settings) ?? given;
    const verdict = this.context.judge(outcome, this.settings);
    if (verdict !== null) {
      if (outcome.peer !== null) peersOf(this.settings).forget(outcome.peer);
      this.fail(verdict);
      return;
    }
    this.end();
    const facts = factsOf(seen, outcome, this.settings);
    this.context.onHandshake(facts);
    this.owner.onHandshakeDone(facts);
  }

  fail(failure: TlsFailure): void {
    if (this.#isOver) return;
    this.end();
    this.context.onFailure(failure);
    this.owner.onHandshakeFailed(failure);
  }

  /** The connection is gone without an outcome: cancelled, or closed by the peer. */
  peerClosed(): void {
    this.fail({ kind: 'closed', reason: 'the peer closed the connection during the handshake' });
  }

  end(): void {
    this.#isOver = true;
  }

  protected begin(
    settings: TlsSettings | TlsFailure,
    offered: readonly string[] | null,
    hello: Uint8Array | null,
  ): void {
    if (isTlsFailure(settings)) {
      this.fail(settings);
      return;
    }
    this.settings = settings;
    const alpn = offered === null ? settings.alpn : common(settings.alpn, offered);
    try {
      this.owner.startEngine(settings, alpn, hello);
    } catch (error) {
      // Bun: "requires an established socket" when the peer has gone meanwhile.
      this.fail({ kind: 'closed', reason: error instanceof Error ? error.message : String(error) });
    }
  }
}

export class ServerHandshake extends Handshake {
  readonly #timers: TimerWheel;
  readonly #timer: TimerNode | null;
  #bytes: Uint8Array = emptyBytes;

  constructor(context: TlsServerContext, owner: HandshakeOwner, timers: TimerWheel, timeoutMs: number) {
    super(context, owner);
    this.#timers = timers;
    this.#timer = timeoutMs > 0 ? new TimerNode(onTimeout) : null;
    if (this.#timer === null) return;
    this.#timer.owner = this;
    timers.arm(this.#timer, timeoutMs);
  }

  /** Bytes from the network, until the engine reads for itself. */
  receive(data: Uint8Array): void {
    if (this.isOver || this.settings !== null) return;
    this.#bytes = this.#bytes.length === 0 ? data : Buffer.concat([this.#bytes, data]);
    const hello = readHello(this.#bytes);
    if (hello === 'incomplete' && this.#bytes.length < maxHelloBytes) return;
    if (hello === null || hello === 'incomplete') {
      this.fail({ kind: 'protocol', reason: 'TLS_error: what was received is not a TLS ClientHello' });
      return;
    }
    this.#start(hello);
  }

  override end(): void {
    super.end();
    this.#bytes = emptyBytes;
    if (this.#timer !== null) this.#timers.disarm(this.#timer);
  }

  #start(hello: ClientHello): void {
    const bytes = this.#bytes;
    this.#bytes = emptyBytes;
    this.serverName = hello.serverName;
    this.begin((this.context as TlsServerContext).settingsFor(hello), hello.protocols, bytes);
  }
}

export class ClientHandshake extends Handshake {
  start(): void {
    const context = this.context as TlsClientContext;
    this.serverName = context.serverName;
    this.begin(context.settings(), null, null);
  }
}

function common(ours: readonly string[], offered: readonly string[]): readonly string[] {
  return offered.some((name) => ours.includes(name)) ? ours : [];
}

function onTimeout(timer: TimerNode): void {
  (timer.owner as ServerHandshake).fail({ kind: 'timeout', reason: 'the handshake took too long' });
}
