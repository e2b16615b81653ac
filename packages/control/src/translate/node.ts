/**
 * The proxy a translation is for. What it may see and be comes from its credential and registration;
 * only what it can do (capabilities) is taken from what it announces (design §6, Node contract).
 */
import type { InterceptionMode, Registration, TlsLimits } from '@sluice/api';
import type { JsonObject } from '@sluice/xds';
import type { RuleRetry } from '../model/route-rule.ts';

/** Capability: retries that depend on the method (our RetryPolicy extension). */
export const methodAwareRetry = 'sluice.dev/method-aware-retry';
/** Capability: virtual hosts on demand (VHDS) on delta streams. */
export const virtualHostDiscovery = 'sluice.dev/vhds';
/** Capability: a listener that speaks as an HTTP forward proxy. */
export const forwardProxy = 'sluice.dev/forward-proxy';

/** Capability: HTTP/2 on both sides; what Envoy has by itself. */
export const http2Streams = 'sluice.dev/http2';

/** Capability: TLS on both sides, with certificates by SDS; what Envoy has by itself. Others get plaintext. */
export const transportTls = 'sluice.dev/tls';

/** Capability: verifies servers by the authorities that come with it; others are given a file. */
export const systemRoots = 'sluice.dev/system-roots';

/** What nodes can do that announce nothing, by user agent (design §6, Node contract). */
export const builtInCapabilities: Readonly<Record<string, readonly string[]>> = {
  envoy: [http2Streams, transportTls],
};

export interface ProxyNode {
  readonly id: string;
  readonly instance: string;
  readonly namespace: string;
  readonly workload: string;
  readonly labels: Readonly<Record<string, string>>;
  readonly mode: InterceptionMode;
  readonly registration: Registration;
  readonly capabilities: ReadonlySet<string>;
  /** Addresses, ranges and `ip:port` that its forward proxy must not reach: its host's own, and the control plane. */
  readonly refusedAddresses: readonly string[];
  /** Local port of the explicit listener for a service's port; null = none left to allot. */
  outboundPort(service: string, port: number): number | null;
}

export interface MeshSettings {
  readonly trustDomain: string;
  readonly trustDomainAliases: readonly string[];
  /** Mutual TLS wherever the endpoint's sidecar can. */
  readonly autoMtls: boolean;
  /** TLS between sidecars, and with everybody else. */
  readonly meshTls: TlsLimits;
  readonly tlsDefaults: TlsLimits;
  /** How long an undeclared port waits for the first bytes; 0 = for ever. */
  readonly detectionTimeoutMs: number;
  readonly clusterDomain: string;
  readonly rootNamespace: string;
  /** Traffic to unknown hosts, where no Sidecar says otherwise. */
  readonly outboundPolicy: 'ALLOW_ANY' | 'REGISTRY_ONLY';
  readonly connectTimeoutMs: number;
  readonly dnsRefreshMs: number;
  readonly pathNormalization: 'NONE' | 'BASE' | 'MERGE_SLASHES' | 'DECODE_AND_MERGE_SLASHES';
  /** Empty = no access log. */
  readonly accessLogFile: string;
  readonly accessLogEncoding: 'TEXT' | 'JSON';
  /** Text format; empty = Istio's default format. */
  readonly accessLogFormat: string;
  /** With JSON encoding: the fields, or null for Istio's. */
  readonly accessLogJson: JsonObject | null;
  /** What routes without a retry policy get. */
  readonly defaultRetry: RuleRetry;
}

/** Service keys under which an instance's own listeners are allotted, beside services. */
export const httpProxyAllocation = 'http_proxy';
