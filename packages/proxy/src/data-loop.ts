/**
 * The seam between the main thread and a data loop (design §2, Workers).
 *
 * The main thread owns xDS, admin, compilation checks and listening sockets; a data loop owns
 * connections. Configuration crosses as decoded xDS messages, one resource at a time, large endpoint
 * lists and route tables in parts, so that neither side is blocked for more than about 2 ms.
 */
import type { LogFormat, LogLevel } from '@sluice/runtime';
import type {
  Cluster as ClusterMessage,
  ClusterLoadAssignment,
  JsonObject,
  JsonValue,
  Listener as ListenerMessage,
  RouteConfiguration,
  Secret,
  VirtualHost,
} from '@sluice/xds';
import type { EndpointHealth, EndpointStats } from './cluster/cluster.ts';
import type { SharedLimitsMemory } from './cluster/shared-limits.ts';
import type { AccessLogBatch, AccessLogTaken } from './telemetry/log-channel.ts';

export type ToLoop =
  | LoopInit
  | { kind: 'putListener'; version: string; listener: ListenerMessage }
  /** `fd`: a duplicate of the listening descriptor that the loop adopts and closes. */
  | { kind: 'listen'; listener: string; fd: number }
  | { kind: 'removeListener'; name: string }
  | { kind: 'putCluster'; version: string; cluster: ClusterMessage; limitsSlot: number }
  | { kind: 'removeCluster'; name: string }
  | {
      kind: 'putEndpoints';
      version: string;
      part: number;
      isLast: boolean;
      assignment: ClusterLoadAssignment;
    }
  /** Parts of one table carry some of its virtual hosts each. */
  | { kind: 'putRoutes'; version: string; part: number; isLast: boolean; routes: RouteConfiguration }
  | { kind: 'removeRoutes'; name: string }
  | { kind: 'putVirtualHost'; table: string; version: string; host: VirtualHost }
  | { kind: 'removeVirtualHost'; table: string; host: string }
  /** Sent before what names it, and again when it changes. Every DataSource in it is inline. */
  | { kind: 'putSecret'; name: string; version: string; secret: Secret }
  /** What names it refuses connections from now on. */
  | { kind: 'removeSecret'; name: string }
  | { kind: 'setLogLevel'; component: string; level: string }
  /**
   * Closes accepting sockets; connections end with `Connection: close`, at `afterMs` by force. `mayWait`:
   * another process serves, idle connections may stay until they are used.
   */
  | { kind: 'drain'; afterMs: number; mayWait: boolean }
  | { kind: 'report'; id: number }
  /** A large configuration has arrived: memory may be given back, unless somebody would notice. */
  | { kind: 'trim' }
  /** More follows, once this has been answered with `taken`. */
  | { kind: 'slice' }
  | AccessLogTaken
  | { kind: 'stop' };

/** First message of every loop. Nothing in it changes while the loop lives. */
export interface LoopInit {
  readonly kind: 'init';
  readonly index: number;
  readonly limits: SharedLimitsMemory;
  /** What connections get to end, when their chain or the process does. */
  readonly drainMs: number;
  /** Flattened static runtime layers. */
  readonly runtime: readonly (readonly [string, JsonValue])[];
  readonly hostname: string;
  readonly environment: Readonly<Record<string, string>>;
  /** The node's metadata and locality as configured: who this proxy works for. */
  readonly nodeMetadata: JsonObject;
  readonly nodeId: string;
  readonly nodeCluster: string;
  readonly logLevel: LogLevel;
  readonly componentLogLevels: Readonly<Record<string, LogLevel>>;
  readonly logFormat: LogFormat;
  /** Files that access logs of remote configuration may be written to. */
  readonly allowedLogPaths: readonly string[];
}

export type FromLoop =
  | { kind: 'ready' }
  | { kind: 'taken' }
  | { kind: 'drained' }
  | { kind: 'failed'; resource: string; message: string }
  | { kind: 'log'; line: string }
  /** A metrics series living in shared memory (runtime's SeriesDescriptor), and its end. */
  | { kind: 'series'; series: unknown }
  | { kind: 'seriesRemoved'; id: number }
  | { kind: 'report'; id: number; report: LoopReport }
  | AccessLogBatch;

/** What admin shows of one loop; summed up over loops. */
export interface LoopReport {
  readonly connections: number;
  readonly clusters: readonly ClusterReport[];
}

export interface ClusterReport {
  readonly name: string;
  readonly isInPanic: boolean;
  readonly endpoints: readonly EndpointReport[];
}

export interface EndpointReport {
  readonly label: string;
  readonly hostname: string;
  readonly weight: number;
  readonly priority: number;
  readonly region: string;
  readonly zone: string;
  readonly subZone: string;
  readonly health: EndpointHealth;
  readonly activeRequests: number;
  readonly isAvoided: boolean;
  readonly stats: EndpointStats;
}
