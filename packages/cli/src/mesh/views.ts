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
  /** Its certificate is revoked: it is in no load balancing until it joins anew. */
  readonly isRevoked: boolean;
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
  /** What an ExternalName stands for: ports and endpoints are those of that. Absent from older control planes. */
  readonly alias?:
    | { readonly kind: 'service'; readonly hostname: string }
    | { readonly kind: 'circle'; readonly through: readonly string[] }
    | null;
}

export interface EdgeView {
  readonly client: { readonly workload: string; readonly namespace: string; readonly account: string };
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
  /** Why nothing can be written; null while all is well. */
  readonly storageTrouble: string | null;
  /** Resources that do not do what was written; the first of them. */
  readonly troubles: {
    readonly total: number;
    readonly shown: readonly {
      readonly name: string;
      readonly origin: string;
      readonly condition: string;
      readonly reason: string;
      readonly message: string;
    }[];
  };
  readonly sidecars: SidecarSettings;
}

/** `meshConfig.defaultConfig`, as the control plane has it now. */
export interface SidecarSettings {
  /** 0 means one worker loop per core. */
  readonly concurrency: number;
  /** Time that a replaced listener drains. */
  readonly drainMs: number;
  /** Time that a sidecar drains before it ends. */
  readonly terminationDrainMs: number;
}

const base = '/sluice/v1';
export interface CertificateView {
  readonly serial: string;
  /** SPIFFE ID. */
  readonly identity: string;
  readonly namespace: string;
  readonly serviceAccount: string;
  /** `name.namespace`; empty when it is bound to no instance. */
  readonly instance: string;
  readonly proof: string;
  readonly authorityId: string;
  readonly rootId: string;
  readonly issuedAt: string;
  readonly notAfter: string;
  readonly renewalFrom: string;
  readonly renewalBy: string;
  readonly revokedAt: string | null;
}

export interface IdentityView {
  readonly trustDomain: string;
  readonly now: string;
  readonly signing: {
    readonly id: string;
    readonly subject: string;
    readonly notAfter: string;
    readonly rootId: string;
  };
  readonly authorities: readonly {
    readonly id: string;
    readonly role: string;
    readonly phase: string;
    readonly origin: string;
    readonly subject: string;
    readonly notAfter: string;
  }[];
  readonly expiring: readonly { readonly what: string; readonly notAfter: string }[];
  /** Newest first. */
  readonly certificates: readonly CertificateView[];
}

export interface JoinTokenView {
  readonly id: string;
  readonly namespace: string;
  readonly serviceAccount: string;
  readonly instance: string;
  readonly createdAt: string;
  readonly expiresAt: string;
  readonly state: 'open' | 'used' | 'expired';
}

export const viewPaths = {
  summary: `${base}/status`,
  proxies: `${base}/proxies`,
  instances: `${base}/instances`,
  services: `${base}/services`,
  resources: `${base}/resources`,
  edges: `${base}/edges`,
  identity: `${base}/identity`,
  tokens: `${base}/tokens`,
} as const;
