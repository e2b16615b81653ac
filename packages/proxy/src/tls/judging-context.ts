/**
 * What a TLS context is on either side: it judges peers by what its secrets say at that moment, counts, and is asked
 * again about established connections when they change. One place, so that the two sides cannot judge differently.
 */
import type { HandshakeOutcome, SecuredConnection, TlsFailure, TlsSettings } from '../io/tls-context.ts';
import type { TlsFacts } from '../io/tls-facts.ts';
import type { LiveMaterial } from './common-context.ts';
import { judgedAnew, judgePeer, toleratedError } from './peer-rules.ts';
import type { Review, Reviewer } from './secured-connections.ts';
import type { TlsEnvironment } from './tls-environment.ts';
import type { TlsStats } from './tls-stats.ts';

export abstract class JudgingContext implements Reviewer {
  protected readonly live: LiveMaterial;
  protected readonly environment: TlsEnvironment;
  protected readonly stats: TlsStats;

  constructor(live: LiveMaterial, environment: TlsEnvironment, stats: TlsStats) {
    this.live = live;
    this.environment = environment;
    this.stats = stats;
  }

  /** `settings`: what the handshake began with. */
  asOfNow(outcome: HandshakeOutcome, { role, trustedPem }: TlsSettings): HandshakeOutcome {
    const material = this.live.now();
    if ('reason' in material || material.rules === null) return outcome;
    const { rules } = material;
    return rules.trustedPem === trustedPem
      ? outcome
      : judgedAnew(outcome, rules, role, this.environment.wallMs());
  }

  /** Why the peer is refused, or null. */
  judge(outcome: HandshakeOutcome): TlsFailure | null {
    const material = this.live.now();
    if ('reason' in material) return material;
    const { rules } = material;
    if (rules === null) return null;
    const error = toleratedError(outcome, rules);
    if (error !== null) this.stats.failure({ kind: 'untrusted', reason: error });
    return judgePeer(outcome, rules, this.environment.wallMs());
  }

  onHandshake(facts: TlsFacts): void {
    this.stats.handshake(facts);
  }

  onFailure(failure: TlsFailure): void {
    this.stats.failure(failure);
  }

  onSecured(connection: SecuredConnection): void {
    this.environment.connections.add(connection, this);
  }

  uses(secret: string): boolean {
    return this.live.uses(secret);
  }

  review(facts: TlsFacts): Review {
    return this.live.review(facts);
  }

  onRevoked(): void {
    this.stats.revoked();
  }
}
