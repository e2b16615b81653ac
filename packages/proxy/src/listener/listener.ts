/**
 * Listeners as the data path sees them: a bound address, filter chains, and what each chain does.
 *
 * Invariant: a connection pins the chain it was matched to; replacing a listener whose chain is equal
 * in content keeps that chain object, so its connections are not drained.
 */
import type { HttpFilterBinding, ListenerFilterBinding, NetworkFilterBinding } from '../filter/filter.ts';
import type { ClientCertConfig } from '../http/forwarded-client-cert.ts';
import type { H2Settings } from '../http/h2-settings.ts';
import type { FormatFacts, HeaderOperation, RouteTable } from '../route/route.ts';
import type { AccessLogger } from '../telemetry/record.ts';
import type { DownstreamTransport } from '../tls/transport.ts';
import type { ConnectionFacts } from './connection-facts.ts';

export type { ConnectionFacts };

export interface ListenerRuntime {
  readonly name: string;
  readonly version: string;
  readonly address: string;
  readonly port: number;
  readonly trafficDirection: 'UNSPECIFIED' | 'INBOUND' | 'OUTBOUND';
  readonly listenerFilters: readonly ListenerFilterBinding[];
  readonly listenerFiltersTimeoutMs: number;
  readonly continueOnListenerFiltersTimeout: boolean;
  readonly bufferLimitBytes: number;
  readonly useOriginalDst: boolean;
  readonly maxConnections: number;
  /** Most specific match as Envoy does (design §6), or null: the connection is closed with flag NR. */
  selectChain(facts: ConnectionFacts): FilterChain | null;
  /** With use_original_dst: the listener for the original destination, else this one. */
  redirect(facts: ConnectionFacts): ListenerRuntime;
  readonly accessLoggers: readonly AccessLogger[];
}

export interface FilterChain {
  readonly name: string;
  /** Content hash: equal content keeps the chain and its connections. */
  readonly version: string;
  readonly networkFilters: readonly NetworkFilterBinding[];
  readonly terminal: HttpManagerConfig | TcpProxyConfig;
  /** 0 = none. */
  readonly transportSocketConnectTimeoutMs: number;
  /** Null = plain. */
  readonly transport: DownstreamTransport | null;
}

export interface HttpManagerConfig {
  readonly kind: 'http';
  readonly statPrefix: string;
  /** In the listener's order, repeats included, router last. */
  readonly filters: readonly HttpFilterBinding[];
  /** Live: follows RDS. Null until the table arrives (503, flag NR, reason names the table). */
  routes(): RouteTable | null;
  readonly routeTableName: string;
  /** Edge listeners strip what strangers may not set (design §6, Trust). */
  readonly isEdge: boolean;
  /** What the next hop is told of the client's certificate. */
  readonly clientCert: ClientCertConfig;
  readonly useRemoteAddress: boolean;
  readonly trustedHops: number;
  readonly skipXffAppend: boolean;
  readonly generateRequestId: boolean;
  readonly preserveExternalRequestId: boolean;
  readonly alwaysSetRequestIdInResponse: boolean;
  readonly pathNormalization: PathNormalization;
  readonly serverName: string;
  readonly serverHeader: 'OVERWRITE' | 'APPEND_IF_ABSENT' | 'PASS_THROUGH';
  readonly via: string;
  /** 0 = none, in all of these. */
  readonly streamIdleTimeoutMs: number;
  /** Of requests that have become tunnels. */
  readonly tunnelIdleTimeoutMs: number;
  readonly requestTimeoutMs: number;
  readonly requestHeadersTimeoutMs: number;
  readonly connectionIdleTimeoutMs: number;
  readonly maxConnectionDurationMs: number;
  readonly maxRequestsPerConnection: number;
  readonly drainTimeoutMs: number;
  readonly delayedCloseTimeoutMs: number;
  readonly maxRequestHeadersBytes: number;
  readonly maxRequestHeadersCount: number;
  /** `auto`: by ALPN, else by the first octets of the connection. */
  readonly codec: 'auto' | 'h1' | 'h2';
  readonly http2: H2Settings;
  /** `Upgrade: h2c` is taken up (`sluice.dev` metadata `h2c_upgrade`; Envoy never does). */
  readonly upgradesToH2c: boolean;
  readonly acceptHttp10: boolean;
  readonly defaultHostForHttp10: string;
  readonly upgrades: ReadonlyMap<string, boolean>;
  readonly accessLoggers: readonly AccessLogger[];
  readonly tracing: { readonly isEnabled: boolean; readonly samplingPercent: number };
  readonly proxy100Continue: boolean;
  /** True on the listener that speaks as an HTTP forward proxy: absolute form and CONNECT are routed. */
  readonly isForwardProxy: boolean;
}

/** Istio's pathNormalization levels, expressed by Envoy's fields. */
export interface PathNormalization {
  readonly normalize: boolean;
  readonly mergeSlashes: boolean;
  readonly escapedSlashes: 'KEEP' | 'REJECT' | 'UNESCAPE_FORWARD' | 'UNESCAPE_REDIRECT';
}

export interface TcpProxyConfig {
  readonly kind: 'tcp';
  readonly statPrefix: string;
  readonly cluster: string;
  /** Null with a single cluster. */
  readonly weighted: {
    readonly total: number;
    readonly entries: readonly { cluster: string; bound: number }[];
  } | null;
  readonly idleTimeoutMs: number;
  readonly maxConnectAttempts: number;
  readonly maxDownstreamConnectionDurationMs: number;
  readonly accessLoggers: readonly AccessLogger[];
  /** Connections are logged this often while they live; 0 = at their end only. */
  readonly accessLogFlushIntervalMs: number;
  /** Also once the upstream connection stands. */
  readonly logsOnConnected: boolean;
  /** Null: endpoints are the destination. Else they are HTTP proxies that lead there. */
  readonly tunnel: TunnelConfig | null;
}

/** How an HTTP proxy is asked to lead a connection on. */
export interface TunnelConfig {
  readonly method: 'CONNECT' | 'POST';
  /** `host:port` of the destination; a function where it has operators. */
  readonly authority: string | ((facts: FormatFacts) => string);
  /** Of a POST. */
  readonly path: string;
  readonly headers: readonly HeaderOperation[];
}
