/** What a balancer is told about a request: one object per router, filled anew for each request. */
import type { Cluster, PickContext } from '../../cluster/cluster.ts';
import type { RetryPolicy } from '../../route/route.ts';
import type { RouterHost } from './router-host.ts';

export function newPickContext(random: () => number): PickContext {
  return {
    tried: [],
    avoidTried: false,
    selectionAttempts: 1,
    headers: null,
    hash: 0,
    originalAddress: null,
    originalPort: 0,
    random,
  };
}

export function fillPickContext(
  pick: PickContext,
  host: RouterHost,
  cluster: Cluster,
  retry: RetryPolicy | null,
): void {
  const { connection, message } = host;
  pick.headers = message.headers;
  pick.hash = 0;
  pick.avoidTried = retry?.avoidPreviousHosts ?? false;
  pick.selectionAttempts = retry?.hostSelectionAttempts ?? 1;
  if (cluster.type !== 'ORIGINAL_DST') return;
  pick.originalAddress = host.destinationAddress ?? connection.destinationAddress;
  pick.originalPort = host.destinationAddress === null ? connection.destinationPort : host.destinationPort;
}

/** Lets go of the request. */
export function clearPickContext(pick: PickContext): void {
  if (pick.tried.length > 0) pick.tried.length = 0;
  pick.headers = null;
}
