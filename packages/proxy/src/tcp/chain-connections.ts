/**
 * Which connections belong to which filter chain, and how they are brought to an end.
 *
 *   told ──idle, or answered──► closed
 *     └──a tunnel, opaque bytes, a long answer──► left alone until three quarters of the drain time
 *                                            ──► ended one by one over the last quarter
 *
 * What knows no message to stop behind (a WebSocket, a CONNECT tunnel, TCP) is not cut when draining
 * begins, and not all in one moment when it ends: clients that reconnect at once would fall upon whoever
 * is left together.
 */
import type { Random, TimerWheel } from '@sluice/runtime';
import type { Served } from '../io/accept.ts';
import type { Connection } from '../io/connection.ts';
import type { FilterChain } from '../listener/listener.ts';

/** Of the drain time: before it nothing is ended that does not end by itself. */
const UNTOUCHED_SHARE = 0.75;

type Members = Map<Served, Connection>;

export class ChainConnections {
  readonly #timers: TimerWheel;
  readonly #random: Random;
  readonly #byChain = new Map<FilterChain, Members>();

  constructor(timers: TimerWheel, random: Random) {
    this.#timers = timers;
    this.#random = random;
  }

  remember(chain: FilterChain, served: Served, connection: Connection): void {
    const all = this.#byChain.get(chain);
    if (all === undefined) this.#byChain.set(chain, new Map([[served, connection]]));
    else all.set(served, connection);
  }

  forget(chain: FilterChain, served: Served): void {
    const all = this.#byChain.get(chain);
    all?.delete(served);
    if (all?.size === 0) this.#byChain.delete(chain);
  }

  /** The chain takes no more connections; those it has are gone within `withinMs`. */
  retire(chain: FilterChain, withinMs: number): void {
    const all = this.#byChain.get(chain);
    if (all === undefined) return;
    for (const served of all.keys()) served.drain();
    this.#endLater([all], withinMs);
  }

  /**
   * All chains. With `mayWait`, idle connections whose answers tell the client to close are left until
   * they give one: a request that is on its way to an idle connection just closed is lost.
   */
  drain(withinMs: number, mayWait: boolean): void {
    const chains = [...this.#byChain.values()];
    for (const all of chains) {
      for (const served of all.keys()) if (!mayWait || served.endsByAnswer !== true) served.drain();
    }
    if (mayWait) this.#timers.schedule(withinMs * UNTOUCHED_SHARE, () => this.#drainRest(chains));
    this.#endLater(chains, withinMs);
  }

  #drainRest(chains: readonly Members[]): void {
    for (const all of chains) for (const served of all.keys()) served.drain();
  }

  #endLater(chains: readonly Members[], withinMs: number): void {
    const quietMs = withinMs * UNTOUCHED_SHARE;
    this.#timers.schedule(quietMs, () => {
      for (const all of chains) {
        for (const [served, connection] of all) {
          this.#timers.schedule(this.#random.next() * (withinMs - quietMs), () => {
            if (all.has(served)) connection.close();
          });
        }
      }
    });
  }
}
