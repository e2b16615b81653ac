/**
 * Workload registrations with leases and health, as the rest of the control plane sees them.
 *
 * Registering creates a WorkloadEntry in the store; renewing touches only the lease. Health changes
 * write the WorkloadEntry's `Healthy` condition, which the model reads as an endpoint's health, through `view`.
 */
import type { Registration, RegistrationReply } from '@sluice/api';
import type { InstanceView } from './unwritten-instances.ts';

export interface Registry {
  register(registration: Registration): RegistrationReply;
  /** False when the lease is unknown: the workload must register again. */
  renew(instance: string, token: string): boolean;
  reportHealth(instance: string, token: string, isHealthy: boolean, message: string): boolean;
  deregister(instance: string, token: string): boolean;
  /** Which instance a per-instance token belongs to; what ADS uses to know who is asking. */
  authenticate(token: string): RegisteredInstance | null;
  readonly instances: ReadonlyMap<string, RegisteredInstance>;
  /** Entries of instances as they are to be translated: what the disk has not taken yet lies over the store. */
  readonly view: InstanceView;
  /** An address a client instance's sidecar listens on for a service port; allocated once, remembered. */
  outboundPort(instance: string, service: string, servicePort: number): number | null;
  /** True once leases have been restored and given a full TTL (design §6, xDS). */
  readonly isRestored: boolean;
  /** True while more than half of all instances went at once and eviction is frozen. */
  readonly isFrozen: boolean;
}

export interface RegisteredInstance {
  readonly instance: string;
  readonly registration: Registration;
  readonly registeredWallMs: number;
  /** Never while its certificate is revoked, whatever its probe says. */
  readonly isHealthy: boolean;
  readonly healthMessage: string;
  /** Peers refuse it until it joins anew. */
  readonly isRevoked: boolean;
}
