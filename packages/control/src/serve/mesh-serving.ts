/**
 * The part of the control plane that turns resources into proxy configuration, as stack.ts sees it: model,
 * translation, ADS and status behind one seam, so that the rest runs and is tested without them.
 */
import type { MeshSettings, StrictPort } from '@sluice/api';
import type { Clock, Logger, MetricsRegistry } from '@sluice/runtime';
import type { Leadership } from '../leader/leadership.ts';
import type { OutboundService } from '../registry/instance-registry.ts';
import type { RegisteredInstance, Registry } from '../registry/registry.ts';
import type { ResourceStore } from '../source/store.ts';
import type { ProxyStates } from '../status/proxy-state.ts';
import type { MeshIdentity } from './mesh-identity.ts';
import type { EdgeFilter, EdgeView, ServiceView } from './mesh-views.ts';

export interface MeshServingOptions {
  /** Holds everything already: sources and registry are restored before this part is made. */
  readonly store: ResourceStore;
  readonly registry: Registry;
  readonly leadership: Leadership;
  readonly settings: MeshSettings;
  readonly metrics: MetricsRegistry;
  readonly clock: Clock;
  readonly log: Logger;
  /** `host:port` of everything the control plane listens on: sidecars' forward proxies refuse to dial it. */
  readonly ownAddresses: () => readonly string[];
  /** `host:port` to open xDS on. */
  readonly xdsAddress: string;
  /** Undefined without an authority: then there is no secure port. */
  readonly identity?: MeshIdentity;
}

export interface MeshServing {
  readonly proxies: ProxyStates;
  services(): readonly ServiceView[];
  edges(of?: EdgeFilter): readonly EdgeView[];
  /** The same array as before while nothing has changed for the instance. */
  outboundServices(instance: RegisteredInstance): readonly OutboundService[];
  /** Application ports of an instance that only mutual TLS may reach. */
  strictPorts(instance: RegisteredInstance): readonly StrictPort[];
  updateSettings(settings: MeshSettings): void;
  /** Opens xDS; resolves with the addresses bound, `secure` empty where there is no authority. */
  listen(): Promise<{ readonly xds: string; readonly secure: string }>;
  /** Every instance that is registered is connected and has the present trust bundle. */
  hasReachedAll(): boolean;
  close(): Promise<void>;
}

export type CreateMeshServing = (options: MeshServingOptions) => MeshServing;
