/** What `/sluice/v1/…` answers, as far as commands read it. The control plane declares the same in mesh-views.ts. */
import type { Problem, Registration, ResourceKey } from '@sluice/api';

export interface ProxyTypeView {
  readonly type: string;
  readonly state: 'SYNCED' | 'STALE' | 'NACK' | 'NOT_SENT';
  readonly sentVersion: string;
  readonly ackedVersion: string;
  readonly error: string;
  readonly nackedResources: readonly string[];
}

export interface ProxyView {
  readonly nodeId: string;
  readonly instance: string | null;
  readonly namespace: string;
  readonly workload: string;
  readonly version: string;
  readonly userAgent: string;
  readonly adminPort: number | null;
  readonly protocol: string;
  readonly types: readonly ProxyTypeView[];
}

export interface InstanceView {
  readonly instance: string;
  readonly registration: Registration;
  readonly isHealthy: boolean;
  readonly healthMessage: string;
  readonly registeredAt: string;
  readonly silentMs: number;
}

export interface ResourceView {
  readonly key: ResourceKey;
  readonly origin: string;
  readonly generation: number;
  readonly isCurrent: boolean;
  readonly isServing: boolean;
  readonly problems: readonly Problem[];
  readonly conditions: readonly {
    readonly type: string;
    readonly status: string;
    readonly reason: string;
    readonly message: string;
  }[];
}

export interface ServiceView {
  readonly name: string;
  readonly namespace: string;
  readonly hostname: string;
  readonly ports: readonly { readonly number: number; readonly name: string; readonly protocol: string }[];
  readonly endpoints: readonly {
    readonly address: string;
    readonly port: number | null;
    readonly workload: string;
    readonly isHealthy: boolean;
  }[];
}

export interface EdgeView {
  readonly client: { readonly workload: string; readonly namespace: string };
  readonly service: string;
  readonly port: number;
  readonly subset: string;
  readonly security: 'mutual-tls' | 'tls' | 'plaintext' | 'mixed' | 'refused' | 'none';
  readonly reason: string;
}

export interface SummaryView {
  readonly version: string;
  readonly revision: number;
  readonly startedAt: string;
  readonly isEvictionFrozen: boolean;
  readonly addresses: {
    readonly xds: string;
    readonly secure: string;
    readonly api: string;
    readonly metrics: string;
  };
  /** Wall clock of the control plane, ISO 8601. */
  readonly now: string;
  readonly fileProblems: readonly Problem[];
}

const base = '/sluice/v1';
export const viewPaths = {
  summary: `${base}/status`,
  proxies: `${base}/proxies`,
  instances: `${base}/instances`,
  services: `${base}/services`,
  resources: `${base}/resources`,
  edges: `${base}/edges`,
} as const;
