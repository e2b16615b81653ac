/**
 * The seam between the main thread and a data loop (design §2, Workers).
 *
 * The main thread owns xDS, admin, compilation checks and listening sockets; a data loop owns
 * connections. Configuration crosses as decoded xDS messages, one resource at a time, large endpoint
 * lists in parts, so that neither side is blocked for more than about 2 ms.
 */
import type {
  Cluster as ClusterMessage,
  ClusterLoadAssignment,
  Listener as ListenerMessage,
  RouteConfiguration,
} from '@sluice/xds';

export type ToLoop =
  | { kind: 'putListener'; version: string; listener: ListenerMessage }
  /** `fd`: a duplicate of the listening descriptor that the loop adopts and closes. */
  | { kind: 'listen'; listener: string; fd: number }
  | { kind: 'removeListener'; name: string; drainMs: number }
  | { kind: 'putCluster'; version: string; cluster: ClusterMessage; limitsSlot: number }
  | { kind: 'removeCluster'; name: string }
  | { kind: 'putEndpoints'; version: string; part: number; isLast: boolean; assignment: ClusterLoadAssignment }
  | { kind: 'putRoutes'; version: string; routes: RouteConfiguration }
  | { kind: 'removeRoutes'; name: string }
  | { kind: 'setLogLevel'; component: string; level: string }
  | { kind: 'drain'; afterMs: number }
  | { kind: 'stop' };

export type FromLoop =
  | { kind: 'ready' }
  | { kind: 'drained' }
  | { kind: 'applied'; resource: string; version: string }
  | { kind: 'failed'; resource: string; message: string }
  | { kind: 'log'; line: string }
  /** A new metrics series living in shared memory (runtime's MetricsRegistry announces it). */
  | { kind: 'series'; series: unknown };
