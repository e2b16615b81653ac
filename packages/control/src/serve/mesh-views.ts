/**
 * What the API and the page show of the mesh beyond its resources. The model, the registry and the ADS server
 * provide it (stack.ts ties them together); everything here is data, ready to be written as JSON.
 */
import type { Problem, Registration, ResourceKey } from '@sluice/api';
import type { Edge } from '../status/edges.ts';
import type { ProxyState } from '../status/proxy-state.ts';

export interface EndpointView {
  readonly address: string;
  readonly port: number | null;
  readonly workload: string;
  readonly isHealthy: boolean;
  readonly locality: string;
}

/** What an ExternalName stands for: a service of the mesh, or nothing, because its names go in a circle. */
export type AliasView =
  | { readonly kind: 'service'; readonly hostname: string }
  | { readonly kind: 'circle'; readonly through: readonly string[] };

export interface ServiceView {
  readonly name: string;
  readonly namespace: string;
  readonly hostname: string;
  readonly ports: readonly { readonly number: number; readonly name: string; readonly protocol: string }[];
  readonly endpoints: readonly EndpointView[];
  /** Ports and endpoints are those of what it stands for. */
  readonly alias: AliasView | null;
  readonly source: ResourceKey;
}

export interface InstanceView {
  readonly instance: string;
  readonly registration: Registration;
  readonly isHealthy: boolean;
  readonly healthMessage: string;
  readonly isRevoked: boolean;
  readonly registeredAt: string;
  /** Time since the last renewal. */
  readonly silentMs: number;
}

export interface ResourceView {
  readonly key: ResourceKey;
  /** `file:line:column`, `API` or the registration. */
  readonly origin: string;
  readonly generation: number;
  /** Generation in use is the present one. */
  readonly isCurrent: boolean;
  readonly isServing: boolean;
  readonly problems: readonly Problem[];
  readonly conditions: readonly ConditionView[];
}

export interface ConditionView {
  readonly type: string;
  readonly status: string;
  readonly reason: string;
  readonly message: string;
}

export interface ResourceTrouble {
  readonly key: ResourceKey;
  /** `VirtualService/shop/cart`, with its group. */
  readonly name: string;
  readonly origin: string;
  /** The worst condition. */
  readonly condition: string;
  readonly reason: string;
  readonly message: string;
}

export interface ResourceTroubles {
  readonly total: number;
  /** The first of them. */
  readonly shown: readonly ResourceTrouble[];
}

/** Whose calls are asked for: in a large mesh all of them are too many to look at. */
export interface EdgeFilter {
  readonly workload?: string;
  readonly namespace?: string;
}

/** How calls of a workload to a service are secured, and why. */
export type EdgeView = Edge;

/** `host:port` of each; `secure` is xDS and signing over TLS. */
export interface ControlAddresses {
  readonly xds: string;
  readonly secure: string;
  readonly api: string;
  readonly metrics: string;
}

export interface MeshSummary {
  readonly version: string;
  readonly revision: number;
  readonly startedAt: string;
  readonly isEvictionFrozen: boolean;
  readonly addresses: ControlAddresses;
  /** Wall clock of the control plane, ISO 8601: to compare clocks by. */
  readonly now: string;
  readonly fileProblems: readonly Problem[];
  /** Why nothing can be written: changes are refused, what is there goes on. Null while all is well. */
  readonly storageTrouble: string | null;
  /** Resources that do not do what was written. */
  readonly troubles: ResourceTroubles;
  readonly sidecars: SidecarSettings;
}

/** `meshConfig.defaultConfig`, for whoever starts sidecars. */
export interface SidecarSettings {
  /** 0 means one worker loop per core. */
  readonly concurrency: number;
  /** Time that a replaced listener drains. */
  readonly drainMs: number;
  /** Time that a sidecar drains before it ends. */
  readonly terminationDrainMs: number;
}

export interface MeshViews {
  summary(): MeshSummary;
  proxies(): readonly ProxyState[];
  instances(): readonly InstanceView[];
  services(): readonly ServiceView[];
  resources(): readonly ResourceView[];
  /** Every workload with a sidecar × every service it sees. */
  edges(of?: EdgeFilter): readonly EdgeView[];
  /** Problems of a text with resources, judged together with what is live. */
  analyze(text: string): readonly Problem[];
}
