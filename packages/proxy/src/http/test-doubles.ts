/** Objects of the configuration side for tests of the data path: plain, static, with every field set. */
import type {
  Cluster,
  ClusterStats,
  Endpoint,
  GrpcCallStats,
  Limit,
  PickContext,
  PriorityLimits,
} from '../cluster/cluster.ts';
import type { HttpFilterBinding, HttpFilterFactory } from '../filter/filter.ts';
import type { HttpManagerConfig } from '../listener/listener.ts';
import { noConditions } from '../route/retry-conditions.ts';
import type {
  CompiledRoute,
  CompiledVirtualHost,
  ForwardAction,
  RetryConditions,
  RetryPolicy,
  RouteAction,
  RouteRequest,
  RouteTable,
} from '../route/route.ts';
import { plainTransport } from '../tls/transport.ts';
import type { H2CodecStats } from './h2-codec-stats.ts';
import { defaultH2Settings } from './h2-settings.ts';
import type { AccessLogger, RequestRecord } from '../telemetry/record.ts';
import type { ManagerStats } from '../telemetry/metrics/connection-stats.ts';
import type { ConnectionEndStats } from './exchange-services.ts';
import { clientCertConfig } from './forwarded-client-cert.ts';

export class CountingLimit implements Limit {
  readonly isRatio = false;
  max: number;
  current = 0;
  constructor(max = 1024) {
    this.max = max;
  }
  tryAcquire(): boolean {
    if (this.current >= this.max) return false;
    this.current++;
    return true;
  }
  acquire(): void {
    this.current++;
  }
  release(): void {
    this.current--;
    if (this.current < 0) throw new Error('released more than was acquired');
  }
}

export interface TestLimits extends PriorityLimits {
  connections: CountingLimit;
  pendingRequests: CountingLimit;
  requests: CountingLimit;
  retries: CountingLimit;
}

export function testLimits(): TestLimits {
  return {
    connections: new CountingLimit(),
    pendingRequests: new CountingLimit(),
    requests: new CountingLimit(),
    retries: new CountingLimit(),
  };
}

/** Counts calls by name. */
export type CountedStats = ClusterStats & { counts: Record<string, number> };

export function countedStats(): CountedStats {
  const counts: Record<string, number> = {};
  const http2: H2CodecStats = {
    count: (stat, n) => {
      counts[`http2.${stat}`] = (counts[`http2.${stat}`] ?? 0) + n;
    },
    streamOpened: () => http2.count('streams' as never, 1),
    streamClosed: () => http2.count('streams' as never, -1),
  };
  return new Proxy({ counts } as CountedStats, {
    get(_target, name: string) {
      if (name === 'counts') return counts;
      if (name === 'http2') return http2;
      if (name === 'grpc') return (service: string, method: string) => grpcCounts(counts, service, method);
      return () => {
        counts[name] = (counts[name] ?? 0) + 1;
      };
    },
  });
}

/** Sums the numbers given, by `service.method.what`. */
function grpcCounts(counts: Record<string, number>, service: string, method: string): GrpcCallStats {
  const add = (what: string, n: number): void => {
    const key = [service, method, what].filter((part) => part !== '').join('.');
    counts[key] = (counts[key] ?? 0) + n;
  };
  return {
    requestMessages: (n) => add('requestMessages', n),
    responseMessages: (n) => add('responseMessages', n),
    ended: (status) => add(`status ${status}`, 1),
    upstreamTime: () => add('upstreamTime', 1),
  };
}

export function testEndpoint(port: number, address = '127.0.0.1', hostname = ''): Endpoint {
  return {
    cluster: 'test',
    address,
    port,
    label: `${address}:${port}`,
    hostname,
    weight: 1,
    priority: 0,
    locality: { region: '', zone: '', subZone: '' },
    health: 'HEALTHY',
    metadata: null,
    activeRequests: 0,
    avoidUntilMs: 0,
    pool: null,
    stats: {
      requests: 0,
      errors: 0,
      successes: 0,
      timeouts: 0,
      connections: 0,
      connectFailures: 0,
      activeConnections: 0,
    },
  };
}

export interface TestCluster extends Cluster {
  limits: TestLimits;
  highPriorityLimits: TestLimits;
  stats: CountedStats;
  endpoints: Endpoint[];
}

export function testCluster(name: string, endpoints: Endpoint[], more: Partial<Cluster> = {}): TestCluster {
  let turn = 0;
  return {
    name,
    statName: name,
    type: 'STATIC',
    version: '1',
    connectTimeoutMs: 1000,
    maxRequestsPerConnection: 0,
    poolIdleTimeoutMs: 60_000,
    maxConnectionDurationMs: 0,
    bufferLimitBytes: 65_536,
    protocol: 'h1',
    http2: defaultH2Settings,
    tlsNames: null,
    sourceAddress: null,
    keepalive: null,
    origin: null,
    service: null,
    limits: testLimits(),
    highPriorityLimits: testLimits(),
    isWarm: true,
    stats: countedStats(),
    endpoints,
    endpointFor: () => null,
    transportFor: () => plainTransport,
    /** Round robin over those not tried. */
    pick(context: PickContext) {
      const fresh = context.avoidTried
        ? endpoints.filter((endpoint) => !context.tried.includes(endpoint))
        : endpoints;
      const from = fresh.length > 0 ? fresh : endpoints;
      return from.length === 0 ? null : (from[turn++ % from.length] ?? null);
    },
    ...more,
  } as TestCluster;
}

export function retryOn(on: Partial<RetryConditions>, more: Partial<RetryPolicy> = {}): RetryPolicy {
  return {
    on: { ...noConditions, ...on },
    maxRetries: 2,
    perTryTimeoutMs: 0,
    perTryIdleTimeoutMs: 0,
    retriableStatusCodes: [],
    retriableHeaders: [],
    retriableRequestHeaders: [],
    backoffBaseMs: 25,
    backoffMaxMs: 250,
    backoffLeastMs: 0,
    avoidPreviousHosts: false,
    hostSelectionAttempts: 1,
    safe: null,
    ...more,
  };
}

export function forwardTo(cluster: string, more: Partial<ForwardAction> = {}): ForwardAction {
  return {
    kind: 'forward',
    clusters: { kind: 'single', cluster },
    timeoutMs: 15_000,
    idleTimeoutMs: undefined,
    maxStreamDurationMs: undefined,
    grpcTimeout: null,
    retry: null,
    rewrite: null,
    hostRewrite: null,
    priority: 'default',
    upgrades: null,
    terminatesConnect: true,
    clusterNotFoundStatus: 503,
    metadataMatch: null,
    ...more,
  };
}

export const testHost: CompiledVirtualHost = {
  name: 'all',
  table: 'test',
  routes: [],
  retry: null,
  perFilterConfig: new Map(),
  includeRequestAttemptCount: false,
  includeAttemptCountInResponse: false,
};

export function testRoute(action: RouteAction, more: Partial<CompiledRoute> = {}): CompiledRoute {
  return {
    name: 'test',
    virtualHost: testHost,
    action,
    requestHeaders: [],
    responseHeaders: [],
    perFilterConfig: new Map(),
    origin: null,
    metadata: null,
    ...more,
  };
}

export function tableOf(match: (request: RouteRequest) => CompiledRoute | null): RouteTable {
  return { name: 'test', version: '1', match: (request) => match(request), findVirtualHost: () => testHost };
}

export const routerFactory: HttpFilterFactory = {
  name: 'envoy.filters.http.router',
  configTypes: [],
  isTerminal: true,
  compile: () => null,
  compileRoute: () => null,
  create: () => ({}),
};
export const routerBinding: HttpFilterBinding = {
  name: routerFactory.name,
  factory: routerFactory,
  config: null,
  isDisabledByDefault: false,
};

/** Keeps copies of the fields that tests look at, as a logger must. */
export class RecordingLogger implements AccessLogger {
  readonly lines: {
    status: number;
    flags: number;
    details: string;
    reason: string;
    attempts: number;
    bytesReceived: number;
    bytesSent: number;
    decisions: string[];
    path: string;
    requestId: string;
  }[] = [];
  #waiting: (() => void)[] = [];
  log(record: RequestRecord): void {
    const {
      status,
      flags,
      responseCodeDetails: details,
      reason,
      attempts,
      bytesReceived,
      bytesSent,
      path,
      requestId,
    } = record;
    this.lines.push({
      status,
      flags,
      details,
      reason,
      attempts,
      bytesReceived,
      bytesSent,
      path,
      requestId,
      decisions: record.decisions.map((d) => `${d.what}: ${d.detail}`),
    });
    for (const wake of this.#waiting.splice(0)) wake();
  }
  async until(count: number): Promise<void> {
    while (this.lines.length < count) await new Promise<void>((resolve) => this.#waiting.push(resolve));
  }
}

export function testManager(
  match: (request: RouteRequest) => CompiledRoute | null,
  more: Partial<HttpManagerConfig> = {},
): HttpManagerConfig {
  const table = tableOf(match);
  return {
    kind: 'http',
    statPrefix: 'test',
    filters: [routerBinding],
    routes: () => table,
    routeTableName: 'test',
    isEdge: false,
    clientCert: clientCertConfig({
      mode: 'SANITIZE',
      subject: false,
      cert: false,
      chain: false,
      dns: false,
      uri: false,
    }),
    useRemoteAddress: false,
    trustedHops: 0,
    skipXffAppend: false,
    generateRequestId: true,
    preserveExternalRequestId: false,
    alwaysSetRequestIdInResponse: false,
    pathNormalization: { normalize: true, mergeSlashes: false, escapedSlashes: 'KEEP' },
    serverName: 'envoy',
    serverHeader: 'OVERWRITE',
    via: '',
    streamIdleTimeoutMs: 300_000,
    tunnelIdleTimeoutMs: 0,
    requestTimeoutMs: 0,
    requestHeadersTimeoutMs: 10_000,
    connectionIdleTimeoutMs: 3_600_000,
    maxConnectionDurationMs: 0,
    maxRequestsPerConnection: 0,
    drainTimeoutMs: 5000,
    delayedCloseTimeoutMs: 1000,
    maxRequestHeadersBytes: 61_440,
    maxRequestHeadersCount: 100,
    codec: 'auto',
    http2: defaultH2Settings,
    upgradesToH2c: false,
    acceptHttp10: true,
    defaultHostForHttp10: '',
    upgrades: new Map(),
    accessLoggers: [],
    tracing: { isEnabled: false, samplingPercent: 0 },
    proxy100Continue: false,
    isForwardProxy: false,
    ...more,
  };
}

/** Ends of connections and tunnels that nobody counts. */
export const noEndStats: ConnectionEndStats = {
  idleTimeout() {},
  maxDurationReached() {},
  protocolError() {},
  upgradeOpened() {},
  upgradeClosed() {},
};

/** Connections that nobody counts. */
export const noManagerStats: ManagerStats = {
  ...noEndStats,
  connectionOpened() {},
  connectionClosed() {},
  bytesReceived() {},
  bytesSent() {},
  drainClose() {},
  speaks() {},
};
