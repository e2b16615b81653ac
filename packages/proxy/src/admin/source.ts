/**
 * What admin shows and does, supplied by the composition: admin itself knows no loop and no store.
 *
 * Everything that must ask data loops is asynchronous; the rest is read from the main thread's state.
 */
import type { LogLevel, MetricsSource } from '@sluice/runtime';
import type {
  Bootstrap,
  Cluster,
  ClusterLoadAssignment,
  JsonObject,
  JsonValue,
  Listener,
  RouteConfiguration,
  Secret,
} from '@sluice/xds';
import type { LoopReport } from '../data-loop.ts';
import type { ServerState } from '../telemetry/metrics/server-stats.ts';
import type { CertificateFacts } from './certs-page.ts';

export interface AdminSource {
  /** Series of all loops and of the process. */
  readonly metrics: MetricsSource;
  /** LIVE only while the proxy is configured, not draining and not failed by /healthcheck/fail. */
  state(): ServerState;
  /** Why the proxy is not ready, in words; empty when it is. */
  notReadyReason(): string;
  serverFacts(): ServerInfoFacts;
  /** One report per living loop. */
  loopReports(): Promise<readonly LoopReport[]>;
  clusters(): readonly ClusterFacts[];
  listeners(): readonly ListenerFacts[];
  config(): ConfigState;
  /** Of every TLS context, and of secrets that no context uses. */
  certificates(): readonly CertificateFacts[];
  /** Layers of the bootstrap's static runtime, lowest first. */
  runtimeLayers(): readonly RuntimeLayer[];
  logLevels(): Readonly<Record<string, LogLevel>>;
  /** Without a component: all of them, in every loop. */
  setLogLevel(level: LogLevel, component: string | undefined): void;
  failHealthCheck(): void;
  passHealthCheck(): void;
  drainListeners(options: DrainOptions): void;
  /** Ends the process in order; the reply is sent first. */
  quit(): void;
}

export interface DrainOptions {
  /** Connections end with `Connection: close` over the drain time, rather than at once. */
  readonly isGraceful: boolean;
  readonly isInboundOnly: boolean;
  /** The process goes on after a graceful drain. */
  readonly skipsExit: boolean;
}

export interface ServerInfoFacts {
  readonly version: string;
  readonly startedWallMs: number;
  readonly nowWallMs: number;
  readonly nodeId: string;
  readonly nodeCluster: string;
  readonly nodeMetadata: JsonObject;
  readonly locality: { readonly region: string; readonly zone: string; readonly subZone: string };
  /** As given, names without dashes: `{concurrency: 1, service_node: '…'}`. */
  readonly commandLine: JsonObject;
  /** Processes with the same one can replace each other; `disabled` where hot restart was not asked for. */
  readonly hotRestartVersion: string;
}

export interface ClusterFacts {
  readonly name: string;
  readonly statName: string;
  readonly isAddedByApi: boolean;
  readonly limits: LimitFacts;
  readonly highPriorityLimits: LimitFacts;
}

export interface LimitFacts {
  readonly maxConnections: number;
  readonly maxPendingRequests: number;
  readonly maxRequests: number;
  readonly maxRetries: number;
}

export interface ListenerFacts {
  readonly name: string;
  readonly address: string;
  /** The real one, where configuration said 0; 0 for a Unix socket. */
  readonly port: number;
}

export interface RuntimeLayer {
  readonly name: string;
  readonly entries: ReadonlyMap<string, JsonValue>;
}

/** The configuration as it is held by the main thread. */
export interface ConfigState {
  readonly bootstrap: Bootstrap;
  readonly bootstrapUpdatedMs: number;
  readonly clusters: readonly ConfigEntry<Cluster>[];
  readonly listeners: readonly ConfigEntry<Listener>[];
  readonly routes: readonly ConfigEntry<RouteConfiguration>[];
  readonly endpoints: readonly ConfigEntry<ClusterLoadAssignment>[];
  /** With their keys: whoever shows them takes those out. */
  readonly secrets: readonly ConfigEntry<Secret>[];
}

export interface ConfigEntry<T> {
  readonly name: string;
  readonly isStatic: boolean;
  readonly state: 'active' | 'warming' | 'draining';
  readonly version: string;
  readonly updatedMs: number;
  /** Null when all that was ever received of this name was rejected. */
  readonly message: T | null;
  /** The control plane has said that there is none of this name. */
  readonly isAbsent?: boolean;
  /** Fields that are set and without effect (accepted by `--unsupported-fields warn`). */
  readonly unhonoured: readonly { readonly path: string; readonly message: string }[];
  /** The last rejected update, if it is newer than what is held. */
  readonly rejected: { readonly details: string; readonly version: string; readonly atMs: number } | null;
}
