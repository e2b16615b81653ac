/**
 * Established TLS connections, and what a changed secret means for them:
 *
 *   the peer's certificate was revoked ──► closed at once, in either direction
 *   our certificate was renewed, or the peer's root taken away ──► drained, spread over time
 *
 * What is asked of many connections is asked once per peer and credential.
 */
import type { CountedConnection, OnceClosed } from '../io/once-closed.ts';
import type { SecuredConnection } from '../io/tls-context.ts';
import type { PeerCertificate, TlsFacts } from '../io/tls-facts.ts';
import type { SecretSet } from './secret-set.ts';

export type Review = 'keep' | 'renew' | 'revoke';

/** The context that a connection was secured with. */
export interface Reviewer {
  uses(secret: string): boolean;
  /** The answer depends on the credential and the peer alone. */
  review(facts: TlsFacts): Review;
  onRevoked(): void;
}

export interface Draining {
  drain(): void;
}

export interface ReviewPace {
  /** Calls `run` within the time over which drains are spread. */
  soon(run: () => void): void;
}

interface Entry {
  readonly reviewer: Reviewer;
  readonly facts: TlsFacts;
  /** Null = nobody who can end it gently: a connection of a pool, which drains by its key. */
  served: Draining | null;
  isDraining: boolean;
  /** Who was to be told of the end before. */
  readonly onceClosed: OnceClosed | null;
}

type Reviews = Map<Reviewer, Map<PeerCertificate | null, Map<string, Review>>>;

export class SecuredConnections {
  readonly #pace: ReviewPace;
  readonly #open = new Map<CountedConnection, Entry>();

  /** One for all connections: a closure each would live as long as they do. */
  readonly #forget = (connection: CountedConnection): void => {
    const entry = this.#open.get(connection);
    this.#open.delete(connection);
    entry?.onceClosed?.(connection);
  };

  constructor(secrets: SecretSet, pace: ReviewPace) {
    this.#pace = pace;
    secrets.onChange((name) => this.#review(name));
  }

  get size(): number {
    return this.#open.size;
  }

  add(connection: SecuredConnection, reviewer: Reviewer): void {
    const facts = connection.tls;
    if (facts === null) return;
    this.#open.set(connection, {
      reviewer,
      facts,
      served: null,
      isDraining: false,
      onceClosed: connection.onceClosed,
    });
    connection.onceClosed = this.#forget;
  }

  /** Who is to be asked to end the connection gently. */
  setServed(connection: SecuredConnection, served: Draining): void {
    const entry = this.#open.get(connection);
    if (entry !== undefined) entry.served = served;
  }

  #review(secret: string): void {
    const reviews: Reviews = new Map();
    for (const [connection, entry] of this.#open) {
      if (!entry.reviewer.uses(secret)) continue;
      const review = reviewOf(entry, reviews);
      if (review === 'revoke') {
        entry.reviewer.onRevoked();
        connection.terminate();
      } else if (review === 'renew') this.#drainSoon(connection, entry);
    }
  }

  #drainSoon(connection: CountedConnection, entry: Entry): void {
    const { served } = entry;
    if (served === null || entry.isDraining) return;
    entry.isDraining = true;
    this.#pace.soon(() => {
      if (connection.isOpen) served.drain();
    });
  }
}

function reviewOf({ reviewer, facts }: Entry, reviews: Reviews): Review {
  const byPeer = reviews.get(reviewer) ?? new Map<PeerCertificate | null, Map<string, Review>>();
  reviews.set(reviewer, byPeer);
  const byCredential = byPeer.get(facts.peer) ?? new Map<string, Review>();
  byPeer.set(facts.peer, byCredential);
  let review = byCredential.get(facts.credential);
  if (review === undefined) byCredential.set(facts.credential, (review = reviewer.review(facts)));
  return review;
}
