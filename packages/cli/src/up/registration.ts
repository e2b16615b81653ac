/**
 * An instance's place in the registry: registered once, renewed within its lease, its health told as it changes,
 * and registered anew when the control plane no longer knows it (it was away for longer than the lease). While the
 * control plane is down nothing is lost: what was to be said is said when it answers again.
 */
import type { OutboundBinding, Registration, RegistrationReply, RenewReply, StrictPort } from '@sluice/api';
import { hasCliCode } from '../errors.ts';
import { ApiRefusal, type ApiClient } from '../mesh/api-client.ts';
import type { Timers } from '../process/supervisor.ts';

export interface RegistrationOptions {
  readonly client: ApiClient;
  readonly registration: Registration;
  readonly timers: Timers;
  /** The token has changed: the sidecar has to start again with it. */
  readonly onRegisteredAnew: () => void;
  readonly onTrouble: (text: string) => void;
  /** Ports of the application under STRICT, as of each registration and renewal. */
  readonly onStrictPorts: (ports: readonly StrictPort[]) => void;
}

interface Health {
  readonly isHealthy: boolean;
  readonly reason: string;
}

const path = '/sluice/v1/registrations';
/** Shares of a lease: two renewals may be lost. */
const renewalsPerLease = 3;
const requestTimeoutMs = 2000;

export class MeshRegistration {
  readonly #options: RegistrationOptions;
  #reply: RegistrationReply | undefined;
  #wanted: Health = { isHealthy: false, reason: 'starting' };
  #told: Health | undefined;
  #isTelling = false;
  #isOver = false;
  #hasTrouble = false;
  #cancel: () => void = () => {};

  constructor(options: RegistrationOptions) {
    this.#options = options;
  }

  get token(): string {
    return this.#reply?.token ?? '';
  }

  get instance(): string {
    return this.#reply?.instance ?? '';
  }

  get outbound(): readonly OutboundBinding[] {
    return this.#reply?.outbound ?? [];
  }

  /** Registers as not ready yet, and keeps the lease from now on. Throws what the API throws. */
  async begin(): Promise<void> {
    await this.#register();
    this.#planRenewal();
  }

  tell(isHealthy: boolean, reason: string): void {
    this.#wanted = { isHealthy, reason };
    void this.#tell();
  }

  /** Says goodbye; a control plane that does not answer finds out by the lease. */
  async end(): Promise<void> {
    this.#isOver = true;
    this.#cancel();
    if (this.#reply === undefined) return;
    await this.#quietly(() => this.#send('DELETE', ''));
  }

  async #register(): Promise<void> {
    const { client, registration } = this.#options;
    const { isHealthy } = this.#wanted;
    this.#reply = await client.post<RegistrationReply>(path, { ...registration, isHealthy });
    this.#told = isHealthy ? this.#wanted : undefined;
    this.#options.onStrictPorts(this.#reply.strictPorts);
  }

  #planRenewal(): void {
    if (this.#isOver) return;
    const leaseMs = this.#reply?.leaseMs ?? this.#options.registration.ttlMs;
    this.#cancel = this.#options.timers.after(leaseMs / renewalsPerLease, () => void this.#renew());
  }

  async #renew(): Promise<void> {
    await this.#quietly(async () => {
      const reply = (await this.#send('PUT', '')) as RenewReply;
      const { outbound, strictPorts, isHealthy } = reply;
      // What was told while the disk was full is forgotten by a control plane that starts again.
      if (this.#told !== undefined && isHealthy !== this.#told.isHealthy) this.#told = undefined;
      if (this.#reply !== undefined) this.#reply = { ...this.#reply, outbound };
      this.#options.onStrictPorts(strictPorts);
      await this.#tell();
    });
    this.#planRenewal();
  }

  async #tell(): Promise<void> {
    if (this.#isTelling || this.#isOver || this.#reply === undefined) return;
    this.#isTelling = true;
    await this.#quietly(async () => {
      while (this.#told?.isHealthy !== this.#wanted.isHealthy || this.#told.reason !== this.#wanted.reason) {
        const health = this.#wanted;
        await this.#send('PUT', '/health', health);
        this.#told = health;
      }
    });
    this.#isTelling = false;
  }

  async #send(method: string, action: string, body?: Health): Promise<unknown> {
    const { client } = this.#options;
    const target = `${path}/${encodeURIComponent(this.instance)}${action}`;
    return (
      await client.request(target, {
        method,
        token: this.token,
        timeoutMs: requestTimeoutMs,
        ...(body === undefined ? {} : { body }),
      })
    ).body;
  }

  /** Being unreachable is expected of a control plane that restarts; being unknown to it is mended. */
  async #quietly(work: () => Promise<unknown>): Promise<void> {
    try {
      await work();
      this.#hasTrouble = false;
    } catch (error) {
      if (this.#isOver || hasCliCode(error, 'control-unreachable')) return;
      if (error instanceof ApiRefusal && (error.status === 404 || error.status === 401))
        return this.#registerAnew();
      this.#trouble(error);
    }
  }

  async #registerAnew(): Promise<void> {
    try {
      await this.#register();
      this.#options.onRegisteredAnew();
    } catch (error) {
      this.#trouble(error);
    }
  }

  /** Once, until it works again. */
  #trouble(error: unknown): void {
    if (this.#hasTrouble) return;
    this.#hasTrouble = true;
    this.#options.onTrouble(
      `the control plane did not take its registration: ${error instanceof Error ? error.message : String(error)}`,
    );
  }
}
