/**
 * The registry: registrations kept on disk, leases in memory, and a WorkloadEntry in the store for each instance
 * that lives. Registering, leaving and changes of health are writes; renewing is not. Only registering waits for
 * the disk: who died or fell ill takes no traffic from then on, whether that could be written or not.
 *
 * A token proves an instance. Only its hash is kept: who reads the state cannot speak for a workload.
 */
import { createHash, randomBytes } from 'node:crypto';
import { deepEquals } from 'bun';
import type { OutboundBinding, Registration, RegistrationReply, StrictPort } from '@sluice/api';
import type { Clock, Logger } from '@sluice/runtime';
import type { Leadership } from '../leader/leadership.ts';
import type { ResourceStore, WriteFailure } from '../source/store.ts';
import { forwardProxy, httpProxyAllocation } from '../translate/node.ts';
import { LeaseTable, type LeaseCheck } from './lease-table.ts';
import { PortAllocator } from './port-allocator.ts';
import type { RegisteredInstance, Registry } from './registry.ts';
import { refusalOf, RegistrationWriter } from './registration-writer.ts';
import type { RegistrationRow, RegistryTable } from './registry-table.ts';
import { entryKey, type InstanceView } from './unwritten-instances.ts';
import { instanceName, nodeIdOf, toWorkloadEntry, type Health } from './workload-entry.ts';

/** A service port that an instance with interception mode NONE reaches by a listener of its own. */
export interface OutboundService {
  /** Key of the allotment: `namespace/hostname`. */
  readonly key: string;
  readonly name: string;
  readonly namespace: string;
  readonly hostname: string;
  readonly port: number;
}

export interface InstanceRegistryOptions {
  readonly store: ResourceStore;
  readonly table: RegistryTable;
  readonly leadership: Leadership;
  readonly clock: Clock;
  readonly log: Logger;
  readonly clusterDomain: string;
  /** Services an instance can see; the same array as before while nothing changed. */
  readonly outboundServices: (instance: RegisteredInstance) => readonly OutboundService[];
  /** Its application ports under STRICT. */
  readonly strictPorts: (instance: RegisteredInstance) => readonly StrictPort[];
  /** Instances whose certificates are revoked; `reviewRevoked` is to be called when they are others. */
  readonly revoked?: () => ReadonlySet<string>;
}

/** A registration that the store does not take: the name is taken, or the disk is full. */
export class RegistrationRefused extends Error {
  override readonly name = 'RegistrationRefused';
  readonly failure: WriteFailure;

  constructor(failure: WriteFailure) {
    super(failure.message);
    this.failure = failure;
  }
}

/** The bindings of an instance, good while it sees the same list of services. */
interface KnownBindings {
  readonly services: readonly OutboundService[];
  readonly bindings: readonly OutboundBinding[];
}

/** The forward proxy of a sidecar that can be one: a listener that belongs to no service. */
const forwardProxyService: OutboundService = {
  key: httpProxyAllocation,
  name: httpProxyAllocation,
  namespace: '',
  hostname: '',
  port: 0,
};

const revokedMessage = 'its certificate is revoked: it needs a new join token (sluice token create)';
const tokenBytes = 32;
const outboundAddress = '127.0.0.1';

/** Opens the registry with everything it remembers, each lease at its full length. */
export class InstanceRegistry implements Registry {
  readonly #options: InstanceRegistryOptions;
  readonly #leases: LeaseTable;
  readonly #ports = new PortAllocator();
  readonly #rows = new Map<string, RegistrationRow>();
  readonly #instances = new Map<string, RegisteredInstance>();
  readonly #byTokenHash = new Map<string, string>();
  readonly #bindings = new Map<string, KnownBindings>();
  readonly #writer: RegistrationWriter;
  #isFlushPlanned = false;
  #evictions = 0;

  /** Restoring is done in the constructor: whoever holds a registry holds a restored one. */
  readonly isRestored = true;

  constructor(options: InstanceRegistryOptions) {
    this.#options = options;
    this.#leases = new LeaseTable(options.clock);
    this.#writer = new RegistrationWriter(options);
    this.#restore();
  }

  get isFrozen(): boolean {
    return this.#leases.isFrozen;
  }

  get instances(): ReadonlyMap<string, RegisteredInstance> {
    return this.#instances;
  }

  get view(): InstanceView {
    return this.#writer.unwritten;
  }

  /** Instances of which something waits for the disk. */
  get unwritten(): number {
    return this.#writer.unwritten.size;
  }

  /** Instances expired since the start. */
  get evictions(): number {
    return this.#evictions;
  }

  /**
   * Throws RegistrationRefused. A second registration of a name replaces the first: a sidecar that came back. On a
   * full disk only those can come back that are on it as they are; their new token then lasts until a restart.
   */
  register(registration: Registration, isHealthy = true): RegistrationReply {
    const { store, clock, log } = this.#options;
    const instance = instanceName(registration);
    const token = randomBytes(tokenBytes).toString('base64url');
    const row: RegistrationRow = {
      instance,
      registration,
      tokenHash: hashOf(token),
      registeredWallMs: clock.wallMs(),
      isHealthy,
      healthMessage: isHealthy ? '' : 'waiting for the first probe',
    };
    const origin = { source: 'registration', instance } as const;
    const planned = store.put(toWorkloadEntry(registration), { origin, mode: 'upsert', isDryRun: true });
    if (!planned.ok) throw new RegistrationRefused(planned.failure);
    this.#persist(row, this.#isOnDisk(instance, registration));
    log.info('instance registered', { instance, address: registration.address, isHealthy });
    return {
      instance,
      token,
      nodeId: nodeIdOf(registration, this.#options.clusterDomain),
      outbound: this.bindings(instance),
      strictPorts: this.strictPorts(instance),
      leaseMs: registration.ttlMs,
    };
  }

  /** Application ports of an instance that only mutual TLS may reach. */
  strictPorts(instance: string): readonly StrictPort[] {
    const registered = this.#instances.get(instance);
    return registered ? this.#options.strictPorts(registered) : [];
  }

  renew(instance: string, token: string): boolean {
    return this.#owns(instance, token) && this.#leases.renew(instance);
  }

  /** Lease of an instance, for the reply to a renewal. */
  leaseMsOf(instance: string): number | null {
    return this.#leases.leaseMsOf(instance);
  }

  /** What its probe said last. */
  reportedHealthy(instance: string): boolean {
    return this.#rows.get(instance)?.isHealthy ?? false;
  }

  /** Time since an instance last renewed. */
  silentMs(instance: string): number | null {
    return this.#leases.ageMs(instance);
  }

  reportHealth(instance: string, token: string, isHealthy: boolean, message: string): boolean {
    const row = this.#rows.get(instance);
    if (row === undefined || !this.#owns(instance, token)) return false;
    this.#leases.renew(instance);
    if (row.isHealthy === isHealthy && row.healthMessage === message) return true;
    const changed: RegistrationRow = { ...row, isHealthy, healthMessage: message };
    this.#adopt(changed);
    this.#writer.health(changed, this.#healthOf(changed));
    if (row.isHealthy !== isHealthy) {
      const { log } = this.#options;
      if (isHealthy) log.info('instance is healthy', { instance });
      else log.warning('instance is not healthy', { instance, message });
    }
    return true;
  }

  /** Others are revoked now, or have joined anew: they leave load balancing, or come back as their probes say. */
  reviewRevoked(): void {
    for (const row of this.#rows.values()) {
      const { isRevoked } = this.#healthOf(row);
      if (this.#instances.get(row.instance)?.isRevoked === isRevoked) continue;
      this.#adopt(row);
      this.#writer.health(row, this.#healthOf(row));
      const { log } = this.#options;
      if (isRevoked) log.warning('instance is revoked and gets no more traffic', { instance: row.instance });
      else log.info('instance is revoked no longer', { instance: row.instance });
    }
  }

  deregister(instance: string, token: string): boolean {
    if (!this.#owns(instance, token)) return false;
    this.#remove(instance, true);
    this.#options.log.info('instance left', { instance });
    return true;
  }

  authenticate(token: string): RegisteredInstance | null {
    const instance = this.#byTokenHash.get(hashOf(token));
    return instance === undefined ? null : (this.#instances.get(instance) ?? null);
  }

  outboundPort(instance: string, service: string, servicePort: number): number | null {
    const row = this.#rows.get(instance);
    if (row === undefined) return null;
    const known = this.#ports.portOf(instance, service, servicePort);
    // Two that allot would give one port twice: the leader does, and the others read what it gave.
    if (known !== null || !this.#options.leadership.isLeader) return known;
    const port = this.#ports.allot(instance, row.registration, service, servicePort);
    this.#planFlush();
    return port;
  }

  /** Where an instance's own listeners are for the services it sees now. Durable when this returns. */
  bindings(instance: string): readonly OutboundBinding[] {
    const registered = this.#instances.get(instance);
    if (registered?.registration.interceptionMode !== 'NONE') return [];
    const services = this.#options.outboundServices(registered);
    const known = this.#bindings.get(instance);
    // Asked at every renewal of every instance, and nearly always with nothing new.
    if (known?.services === services) return known.bindings;
    const all = registered.registration.capabilities?.includes(forwardProxy)
      ? [...services, forwardProxyService]
      : services;
    const bindings = all.flatMap((service): OutboundBinding[] => {
      const localPort = this.outboundPort(instance, service.key, service.port);
      if (localPort === null) return [];
      const { name, namespace, hostname, port } = service;
      return [{ service: name, namespace, hostname, port, address: outboundAddress, localPort }];
    });
    this.#bindings.set(instance, { services, bindings });
    this.#flush();
    // Another control plane had allotted some of it already: what is on disk stands.
    return this.#bindings.has(instance) ? bindings : this.bindings(instance);
  }

  /** To be called every `checkIntervalMs`: expires leases, unless too many went at once. */
  check(): LeaseCheck {
    const wasFrozen = this.isFrozen;
    const check = this.#leases.check();
    const { log } = this.#options;
    if (check.wasAway) log.warning('the control plane stood still; every lease begins anew', {});
    if (check.isFrozen && !wasFrozen) {
      log.error(
        'more than half of all instances went silent at once; nothing is evicted until they return or an operator releases it',
        {
          silent: check.silent,
          instances: this.#instances.size,
        },
      );
    }
    if (wasFrozen && !check.isFrozen) log.info('eviction works again', { silent: check.silent });
    for (const instance of check.expired) {
      log.warning('instance stopped renewing and is taken out', { instance });
      this.#evictions++;
      this.#remove(instance, false);
    }
    this.#writer.retry();
    return check;
  }

  /** Ends a freeze: the silent instances are gone for good. */
  releaseFreeze(): void {
    this.#options.log.warning('an operator released the eviction of silent instances', {});
    this.#leases.release();
  }

  #restore(): void {
    const { table, store } = this.#options;
    const { registrations, ports } = table.load();
    const known = new Set(registrations.map((row) => row.instance));
    this.#ports.restore(ports);
    for (const instance of new Set(ports.map((row) => row.instance))) {
      if (known.has(instance)) continue;
      this.#ports.forget(instance);
      this.#tryWrite('allotted ports', () => table.deletePorts(instance));
    }
    for (const row of registrations) {
      this.#adopt(row);
      this.#leases.grant(row.instance, row.registration.ttlMs);
      this.#restoreEntry(row);
    }
    for (const { key, origin } of store.all()) {
      // Its registration was removed, and the process ended before the entry was.
      if (origin.source === 'registration' && !known.has(origin.instance))
        this.#writer.orphan(origin.instance, key);
    }
  }

  #restoreEntry(row: RegistrationRow): void {
    const { instance, registration, registeredWallMs } = row;
    const health = this.#healthOf(row);
    const failure = this.#writer.putEntry(row, health, registeredWallMs);
    if (failure === null) return;
    if (failure.code === 'state-unwritable') {
      const key = entryKey(registration);
      this.#writer.hold(
        { instance, key, row, health, forgetsPorts: false, sinceWallMs: registeredWallMs },
        failure.message,
      );
      return;
    }
    const { log } = this.#options;
    log.error('a registration could not be restored', { instance, reason: failure.message });
  }

  /** As it is now, token and health apart, or as it was when it went and the disk did not take that. */
  #isOnDisk(instance: string, registration: Registration): boolean {
    const row = this.#rows.get(instance) ?? this.#writer.unwritten.get(instance)?.row;
    const present = this.#options.store.get(entryKey(registration));
    return (
      row != null && present?.origin.source === 'registration' && deepEquals(row.registration, registration)
    );
  }

  /** Row, lease and entry of a registration; throws RegistrationRefused with nothing left behind. */
  #persist(row: RegistrationRow, mayWait: boolean): void {
    const { table, clock } = this.#options;
    const { instance, registration } = row;
    let failure: WriteFailure | null = null;
    if (!this.#ports.fits(instance, registration)) {
      failure = refusalOf(() => table.deletePorts(instance));
      if (failure === null) this.#ports.forget(instance);
    }
    failure ??= this.#writer.putRow(row);
    if (failure !== null && !mayWait) throw new RegistrationRefused(failure);
    this.#adopt(row);
    this.#leases.grant(instance, registration.ttlMs);
    const health = this.#healthOf(row);
    const sinceWallMs = clock.wallMs();
    failure ??= this.#writer.putEntry(row, health, sinceWallMs);
    if (failure === null) return this.#writer.unwritten.settle(instance);
    if (failure.code === 'state-unwritable' && mayWait) {
      const key = entryKey(registration);
      return this.#writer.hold(
        { instance, key, row, health, forgetsPorts: false, sinceWallMs },
        failure.message,
      );
    }
    this.#remove(instance, false);
    throw new RegistrationRefused(failure);
  }

  #adopt(row: RegistrationRow): void {
    const before = this.#rows.get(row.instance);
    if (before !== undefined) this.#byTokenHash.delete(before.tokenHash);
    this.#rows.set(row.instance, row);
    if (before?.registration !== row.registration) this.#bindings.delete(row.instance);
    this.#byTokenHash.set(row.tokenHash, row.instance);
    const { isHealthy, message, isRevoked } = this.#healthOf(row);
    this.#instances.set(row.instance, {
      instance: row.instance,
      registration: row.registration,
      registeredWallMs: row.registeredWallMs,
      isHealthy,
      healthMessage: message,
      isRevoked,
    });
  }

  #remove(instance: string, forgetPorts: boolean): void {
    const row = this.#rows.get(instance);
    if (row === undefined) return;
    this.#leases.remove(instance);
    this.#rows.delete(instance);
    this.#instances.delete(instance);
    this.#bindings.delete(instance);
    this.#byTokenHash.delete(row.tokenHash);
    if (forgetPorts) this.#ports.forget(instance);
    this.#writer.gone(row, forgetPorts);
  }

  /** What its probe says, unless it is revoked: a peer could not be told from who took its key. */
  #healthOf({ instance, isHealthy, healthMessage }: RegistrationRow): Required<Health> {
    return this.#options.revoked?.().has(instance) === true
      ? { isHealthy: false, message: revokedMessage, isRevoked: true }
      : { isHealthy, message: healthMessage, isRevoked: false };
  }

  #owns(instance: string, token: string): boolean {
    return this.#byTokenHash.get(hashOf(token)) === instance;
  }

  /** Allotments made while translating reach the disk in one write when that is done. */
  #planFlush(): void {
    if (this.#isFlushPlanned || !this.#ports.hasUnwritten) return;
    this.#isFlushPlanned = true;
    queueMicrotask(() => {
      this.#isFlushPlanned = false;
      this.#flush();
    });
  }

  /** On a full disk the allotments hold in memory, come out the same after a restart, and are written later. */
  #flush(): void {
    this.#tryWrite('allotted ports', () =>
      this.#ports.flush((rows) => {
        const standing = this.#options.table.addPorts(rows);
        for (const { instance } of standing) this.#bindings.delete(instance);
        return standing;
      }),
    );
  }

  /** For what is made good later: a full disk is told and not passed on. */
  #tryWrite(what: string, work: () => void): void {
    const refusal = refusalOf(work);
    if (refusal !== null) this.#options.log.error(`${what} could not be written`, { error: refusal.message });
  }
}

function hashOf(token: string): string {
  return createHash('sha256').update(token).digest('hex');
}
