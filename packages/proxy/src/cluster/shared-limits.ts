/**
 * Circuit breakers, retry budgets and limits of connections that hold for the whole process: counters in shared memory,
 * one slot per cluster, a priority being four of its counters.
 *
 * A worker that crashes cannot give back what it holds. So each worker also counts its own share in a
 * row that only it writes; when it dies, the main thread subtracts that row (`reclaim`). The share costs
 * one plain add and keeps limits exact for ever.
 */
import type { Limit, PriorityLimits, RetryBudget } from './cluster.ts';

/** Slots reserve address space only; untouched pages cost no memory. */
export const maxLimitSlots = 65_536;
const countersPerPriority = 4;
const countersPerSlot = 2 * countersPerPriority;

/** What crosses to a worker. */
export interface SharedLimitsMemory {
  readonly total: SharedArrayBuffer;
  /** This worker's own share. */
  readonly share: SharedArrayBuffer;
}

export interface LimitSettings {
  readonly maxConnections: number;
  readonly maxPendingRequests: number;
  readonly maxRequests: number;
  readonly maxRetries: number;
  /** Null: `maxRetries` holds. */
  readonly retryBudget: { readonly percent: number; readonly minConcurrency: number } | null;
}

export function newLimitsMemory(): SharedArrayBuffer {
  return new SharedArrayBuffer(maxLimitSlots * countersPerSlot * Int32Array.BYTES_PER_ELEMENT);
}

/** Main thread, after a worker died: takes its share out of the totals. `slots`: how many are in use. */
export function reclaim(total: SharedArrayBuffer, share: SharedArrayBuffer, slots: number): void {
  const totals = new Int32Array(total);
  const shares = new Int32Array(share);
  for (let i = 0; i < slots * countersPerSlot; i++) {
    const held = shares[i] ?? 0;
    if (held !== 0) Atomics.sub(totals, i, held);
    shares[i] = 0;
  }
}

/** Hands out slots, lowest free first; a cluster keeps its slot over updates. */
export class LimitSlots {
  readonly #slots = new Map<string, number>();
  readonly #free: number[] = [];
  #used: number;

  /** `reserved`: the lowest slots are somebody else's. */
  constructor(reserved = 0) {
    this.#used = reserved;
  }

  get used(): number {
    return this.#used;
  }

  /** Null when all slots are taken: the cluster is refused. */
  slotOf(cluster: string): number | null {
    const known = this.#slots.get(cluster);
    if (known !== undefined) return known;
    const slot = this.#free.pop() ?? (this.#used < maxLimitSlots ? this.#used++ : null);
    if (slot !== null) this.#slots.set(cluster, slot);
    return slot;
  }

  release(cluster: string): void {
    const slot = this.#slots.get(cluster);
    if (slot === undefined) return;
    this.#slots.delete(cluster);
    this.#free.push(slot);
  }
}

/** A limit of its own in a slot that no cluster has. */
export function sharedLimit(memory: SharedLimitsMemory, slot: number, max: number): Limit {
  const [totals, shares] = [new Int32Array(memory.total), new Int32Array(memory.share)];
  return new SharedLimit(totals, shares, slot * countersPerSlot, max);
}

export function priorityLimits(
  memory: SharedLimitsMemory,
  slot: number,
  priority: 'default' | 'high',
  settings: LimitSettings,
): PriorityLimits {
  const totals = new Int32Array(memory.total);
  const shares = new Int32Array(memory.share);
  const base = slot * countersPerSlot + (priority === 'high' ? countersPerPriority : 0);
  const at = (index: number, max: number): SharedLimit => new SharedLimit(totals, shares, base + index, max);
  const pendingRequests = at(1, settings.maxPendingRequests);
  const requests = at(2, settings.maxRequests);
  return {
    connections: at(0, settings.maxConnections),
    pendingRequests,
    requests,
    retries: new SharedRetryBudget(totals, shares, base + 3, settings, requests, pendingRequests),
  };
}

class SharedLimit implements Limit {
  readonly #totals: Int32Array;
  readonly #shares: Int32Array;
  readonly #index: number;
  readonly #max: number;

  constructor(totals: Int32Array, shares: Int32Array, index: number, max: number) {
    this.#totals = totals;
    this.#shares = shares;
    this.#index = index;
    this.#max = max;
  }

  get max(): number {
    return this.#max;
  }

  get current(): number {
    return Atomics.load(this.#totals, this.#index);
  }

  tryAcquire(): boolean {
    if (Atomics.add(this.#totals, this.#index, 1) >= this.max) {
      Atomics.sub(this.#totals, this.#index, 1);
      return false;
    }
    this.#shares[this.#index] = (this.#shares[this.#index] ?? 0) + 1;
    return true;
  }

  acquire(): void {
    Atomics.add(this.#totals, this.#index, 1);
    this.#shares[this.#index] = (this.#shares[this.#index] ?? 0) + 1;
  }

  release(): void {
    Atomics.sub(this.#totals, this.#index, 1);
    this.#shares[this.#index] = (this.#shares[this.#index] ?? 0) - 1;
  }
}

class SharedRetryBudget extends SharedLimit implements RetryBudget {
  readonly #settings: LimitSettings;
  readonly #requests: Limit;
  readonly #pending: Limit;

  constructor(
    totals: Int32Array,
    shares: Int32Array,
    index: number,
    settings: LimitSettings,
    requests: Limit,
    pending: Limit,
  ) {
    super(totals, shares, index, settings.maxRetries);
    this.#settings = settings;
    this.#requests = requests;
    this.#pending = pending;
  }

  get isRatio(): boolean {
    return this.#settings.retryBudget !== null;
  }

  override get max(): number {
    const budget = this.#settings.retryBudget;
    if (budget === null) return super.max;
    const load = this.#requests.current + this.#pending.current;
    return Math.max(budget.minConcurrency, Math.floor((load * budget.percent) / 100));
  }
}
