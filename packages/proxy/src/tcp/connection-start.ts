/**
 * From an accepted socket to the handler that serves it, in the order a listener defines:
 *
 *   facts ─► original destination ─► listener filters (may peek) ─► which listener ─► filter chain
 *         ─► network filters ─► HTTP manager or TCP proxy
 *
 * A connection pins the chain it was matched to. Whoever takes longer than the listener filters' timeout
 * is closed, or goes on with what is known, as the listener says. Going on is for servers that speak first:
 * where the client has begun a hello, or nobody would speak to it before it speaks, it is waited for a while
 * longer. On a busy machine a hello comes late, and one that is taken for plaintext is lost.
 */
import { TimerNode } from '@sluice/runtime';
import type { ListenerFilter, ListenerFilterBinding } from '../filter/filter.ts';
import type { CloseCause, Connection, ConnectionHandler } from '../io/connection.ts';
import { nativeSockets } from '../io/native-socket.ts';
import type { ConnectionFacts } from '../listener/connection-facts.ts';
import type { FilterChain, ListenerRuntime } from '../listener/listener.ts';
import type { ServeServices } from './serve-services.ts';

/** `original_dst` restores the destination at accept; the name is Envoy's. */
const ORIGINAL_DST = 'envoy.filters.listener.original_dst';

/** How long a client that must speak first is waited for beyond the listener's timeout: Envoy's default for it. */
const SPEAK_FIRST_TIMEOUT_MS = 15_000;

export type OnChain = (
  facts: ConnectionFacts,
  listener: ListenerRuntime,
  chain: FilterChain,
  peeked: Uint8Array | null,
) => void;

/** Calls `onChain` at once when no filter needs bytes; never when the connection is closed before. */
export function startConnection(
  connection: Connection,
  listener: ListenerRuntime,
  services: ServeServices,
  onChain: OnChain,
): void {
  const facts = factsOf(connection);
  if (listener.useOriginalDst || hasOriginalDst(listener, facts)) restoreDestination(connection, facts);
  const stats = services.listenerStats(listener);
  const select = (peeked: Uint8Array | null): void => {
    const target = listener.redirect(facts);
    const chain = target.selectChain(facts);
    if (chain === null) {
      stats.noFilterChainMatch();
      services.unmatchedConnection(target, facts);
      services.logRefusedConnection(target, facts, 'NR', 'filter_chain_not_found');
      connection.terminate();
      return;
    }
    onChain(facts, target, chain, peeked);
  };
  if (listener.listenerFilters.every((filter) => !filter.needsBytes && filter.name === ORIGINAL_DST)) {
    select(null);
    return;
  }
  const mayBeSilent = (): boolean => {
    const chain = listener.redirect(facts).selectChain(facts);
    return chain !== null && chain.transport === null && chain.terminal.kind === 'tcp';
  };
  const inspection = new Inspection(connection, listener, facts, services, mayBeSilent, select);
  connection.handler = inspection;
  inspection.run(false);
}

/** Those of a connection that was meant for where it arrived. */
export function factsOf(connection: Connection): ConnectionFacts {
  const { localAddress, localPort, remoteAddress, remotePort } = connection;
  return {
    localAddress,
    localPort,
    remoteAddress,
    remotePort,
    destinationAddress: localAddress,
    destinationPort: localPort,
    isDestinationRestored: false,
    transportProtocol: 'raw_buffer',
    serverName: '',
    applicationProtocols: [],
    peerIdentity: null,
    isMutualTls: false,
    tls: null,
    proxied: null,
    clientSource: null,
  };
}

function hasOriginalDst({ listenerFilters }: ListenerRuntime, facts: ConnectionFacts): boolean {
  return listenerFilters.some(({ name, appliesTo }) => name === ORIGINAL_DST && (appliesTo?.(facts) ?? true));
}

function restoreDestination(connection: Connection, facts: ConnectionFacts): void {
  const original =
    connection.fd < 0
      ? null
      : (nativeSockets()?.originalDestination(connection.fd, facts.localAddress.includes(':')) ?? null);
  if (original === null || (original.address === facts.localAddress && original.port === facts.localPort))
    return;
  facts.destinationAddress = original.address;
  facts.destinationPort = original.port;
  facts.isDestinationRestored = true;
}

const EMPTY: Uint8Array = new Uint8Array(0);

/** Runs the listener filters over what the client has sent so far, without consuming it. */
class Inspection implements ConnectionHandler {
  readonly #connection: Connection;
  readonly #listener: ListenerRuntime;
  readonly #facts: ConnectionFacts;
  readonly #services: ServeServices;
  readonly #mayBeSilent: () => boolean;
  readonly #onDone: (peeked: Uint8Array | null) => void;
  readonly #timer: TimerNode;
  #bytes: Uint8Array = EMPTY;
  #step = 0;
  #filter: ListenerFilter | null = null;
  #isOver = false;
  #hasPeerEnded = false;
  #isWaitingLonger = false;

  constructor(
    connection: Connection,
    listener: ListenerRuntime,
    facts: ConnectionFacts,
    services: ServeServices,
    mayBeSilent: () => boolean,
    onDone: (peeked: Uint8Array | null) => void,
  ) {
    this.#connection = connection;
    this.#listener = listener;
    this.#facts = facts;
    this.#services = services;
    this.#mayBeSilent = mayBeSilent;
    this.#onDone = onDone;
    this.#timer = new TimerNode(onInspectionTimeout);
    this.#timer.owner = this;
    if (listener.listenerFiltersTimeoutMs > 0)
      services.timers.arm(this.#timer, listener.listenerFiltersTimeoutMs);
  }

  onData(_connection: Connection, data: Uint8Array): void {
    this.#bytes = this.#bytes.length === 0 ? data : Buffer.concat([this.#bytes, data]);
    this.run(false);
  }
  onEnd(): void {
    this.#hasPeerEnded = true;
    this.run(true);
  }
  onDrain(): void {}
  onClose(_connection: Connection, _cause: CloseCause): void {
    this.#finish();
  }

  run(isEnd: boolean): void {
    const filters = this.#listener.listenerFilters;
    while (this.#step < filters.length && !this.#isOver) {
      const binding = filters[this.#step]!;
      if (this.#filter === null && !this.#isWanted(binding)) {
        this.#step++;
        continue;
      }
      // Made before the wait for bytes: whether it applies is asked once.
      this.#filter ??= binding.create(this.#services.listenerStats(this.#listener));
      if (binding.needsBytes && this.#bytes.length === 0 && !isEnd) return;
      const isFull = isEnd || this.#bytes.length >= binding.maxPeekBytes;
      const verdict = this.#filter.onPeek(this.#facts, this.#bytes.subarray(0, binding.maxPeekBytes), isFull);
      if (verdict === 'close') {
        this.#refuse(`closed_by_listener_filter{${binding.name}}`);
        return;
      }
      if (verdict === 'needMore' && !isFull) return;
      const consumed = this.#filter.consumedBytes ?? 0;
      if (consumed > 0) this.#bytes = this.#bytes.subarray(consumed);
      this.#filter = null;
      this.#step++;
    }
    if (!this.#isOver) this.#done();
  }

  /** `original_dst` has been dealt with at accept. */
  #isWanted({ name, appliesTo }: ListenerFilterBinding): boolean {
    return name !== ORIGINAL_DST && (appliesTo === undefined || appliesTo(this.#facts));
  }

  onTimeout(): void {
    if (!this.#isWaitingLonger) this.#services.listenerStats(this.#listener).inspectionTimeout();
    if (!this.#listener.continueOnListenerFiltersTimeout) {
      this.#refuse('listener_filters_timeout');
      return;
    }
    if (!this.#isWaitingLonger && this.#isWorthWaiting()) {
      this.#isWaitingLonger = true;
      this.#services.timers.arm(this.#timer, SPEAK_FIRST_TIMEOUT_MS);
      return;
    }
    if (this.#mayBeSilent()) this.#services.protocolFallback(this.#listener, this.#facts);
    this.#done();
  }

  #isWorthWaiting(): boolean {
    if (this.#bytes.length === 0) return !this.#mayBeSilent();
    return this.#filter?.isUnderWay?.(this.#bytes) ?? false;
  }

  #refuse(details: string): void {
    this.#finish();
    this.#services.logRefusedConnection(this.#listener, this.#facts, '', details);
    this.#connection.terminate();
  }

  #done(): void {
    this.#finish();
    this.#onDone(this.#bytes.length === 0 ? null : this.#bytes);
    // A FIN that came while peeking is told to whoever took the connection over.
    if (this.#hasPeerEnded && this.#connection.isOpen && this.#connection.handler !== this)
      this.#connection.handler.onEnd(this.#connection);
  }

  #finish(): void {
    this.#isOver = true;
    this.#services.timers.disarm(this.#timer);
  }
}

function onInspectionTimeout(node: TimerNode): void {
  (node.owner as Inspection).onTimeout();
}
