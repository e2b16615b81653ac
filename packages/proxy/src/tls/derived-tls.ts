/**
 * A cluster's TLS with what one pool adds to it: the protocols that its codec speaks, where the context
 * offers none (Envoy's fallback ALPN), and the server name that a request gives (`auto_sni`), with a
 * certificate for that name demanded where the cluster says so (`auto_san_validation`).
 */
import type { Connection } from '../io/connection.ts';
import {
  isTlsFailure,
  type HandshakeOutcome,
  type TlsClientContext,
  type TlsFailure,
  type TlsSettings,
} from '../io/tls-context.ts';
import type { TlsFacts } from '../io/tls-facts.ts';
import { dnsMatches } from './san-rules.ts';

export interface TlsAdditions {
  /** Offered where the context offers nothing. */
  readonly alpn: readonly string[];
  /** Empty = the context's own. */
  readonly serverName: string;
  /** The certificate must be for `serverName`. */
  readonly demandsName: boolean;
}

export class DerivedTls implements TlsClientContext {
  readonly serverName: string;
  readonly maxSessions: number;
  readonly #base: TlsClientContext;
  readonly #additions: TlsAdditions;
  /** By the context's settings, which stand for one credential: the engine keeps one context each. */
  readonly #derived = new WeakMap<TlsSettings, TlsSettings>();

  constructor(base: TlsClientContext, additions: TlsAdditions) {
    this.#base = base;
    this.#additions = additions;
    this.serverName = additions.serverName === '' ? base.serverName : additions.serverName;
    this.maxSessions = base.maxSessions;
  }

  settings(): TlsSettings | TlsFailure {
    const base = this.#base.settings();
    if (isTlsFailure(base) || base.alpn.length > 0 || this.#additions.alpn.length === 0) return base;
    let derived = this.#derived.get(base);
    if (derived === undefined) this.#derived.set(base, (derived = { ...base, alpn: this.#additions.alpn }));
    return derived;
  }

  asOfNow(outcome: HandshakeOutcome, settings: TlsSettings): HandshakeOutcome {
    return this.#base.asOfNow?.(outcome, settings) ?? outcome;
  }

  judge(outcome: HandshakeOutcome, settings: TlsSettings): TlsFailure | null {
    const failure = this.#base.judge(outcome, settings);
    if (failure !== null || !this.#additions.demandsName) return failure;
    const names = outcome.peer?.dnsSans ?? [];
    if (names.some((name) => dnsMatches(name, this.serverName))) return null;
    return { kind: 'san', reason: `certificate verify failed: it is not for ${this.serverName}` };
  }

  onHandshake(facts: TlsFacts): void {
    this.#base.onHandshake(facts);
  }

  onFailure(failure: TlsFailure): void {
    this.#base.onFailure(failure);
  }

  onSecured(connection: Connection): void {
    this.#base.onSecured(connection);
  }
}
