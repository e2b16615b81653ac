/**
 * Whether clients that are connected may still be what they came as. A chain is verified when it comes and when the
 * roots change; between these only its end and its revocation can matter, and looking at those costs nothing: a
 * thousand proxies are looked at every few seconds.
 */
import type { Clock } from '@sluice/runtime';
import type { GrpcPeer } from '@sluice/wire';
import { judgePresented, type JudgedPeer, type MeshIdentity } from './mesh-identity.ts';

export class PeerWatch {
  readonly #authority: MeshIdentity['authority'];
  readonly #clock: Clock;
  readonly #judged = new WeakMap<GrpcPeer, JudgedPeer>();

  constructor({ authority }: Pick<MeshIdentity, 'authority'>, clock: Clock) {
    this.#authority = authority;
    this.#clock = clock;
  }

  /** Null while the certificate is good for time; else why not, in our words. */
  expiry(peer: GrpcPeer): string | null {
    const judged = this.#judge(peer);
    if (!judged.ok) return describe(judged.reason);
    return judged.notAfterMs < this.#clock.wallMs() ? describe('the certificate has expired') : null;
  }

  revocation(peer: GrpcPeer): string | null {
    const judged = this.#judge(peer);
    if (!judged.ok) return describe(judged.reason);
    const row = this.#authority.issuedRow(judged.serial);
    return row !== null && row.revokedMs > 0 ? describe('the certificate has been revoked') : null;
  }

  /** The trusted roots are others: the whole chain is verified again. */
  trust(peer: GrpcPeer): string | null {
    this.#judged.delete(peer);
    return this.expiry(peer);
  }

  #judge(peer: GrpcPeer): JudgedPeer {
    let judged = this.#judged.get(peer);
    if (judged === undefined) {
      judged = judgePresented(this.#authority, peer.certificateChain ?? []);
      this.#judged.set(peer, judged);
    }
    return judged;
  }
}

function describe(reason: string): string {
  return `the certificate is no longer accepted: ${reason}`;
}
