/**
 * The layers of one data loop, from the socket inwards, and why in this order:
 *
 * 1. accept (`io/accept.ts`): connection caps before anything is allocated for a stranger;
 * 2. original destination: restored while the descriptor is at hand, since listeners are chosen by it;
 * 3. listener filters: they only peek, and tell filter-chain match what the first bytes are;
 * 4. filter chain: pinned for the life of the connection;
 * 5. network filters: may close before a protocol is spoken;
 * 6. HTTP connection manager or TCP proxy; in the former the HTTP filters of the configuration, router last;
 * 7. router → cluster → endpoint → pool: each attempt with an upstream stream of its own.
 *
 * Which filters exist is `filter-factories.ts`; in which order they run is the listener's configuration.
 */
import { createDataPlane as createPlane } from './tcp/create-data-plane.ts';
import type { DataPlane, DataPlaneDeps } from './workers/data-plane.ts';

export function createDataPlane(deps: DataPlaneDeps): DataPlane {
  return createPlane(deps);
}
