/**
 * Endpoints made on demand from where connections were going (ORIGINAL_DST). Bounded, because a client
 * that scans addresses must not grow the proxy's memory; unused ones are forgotten after the cluster's
 * cleanup interval.
 */
import { isIP } from 'node:net';
import type { Endpoint, Locality, PickContext } from './cluster.ts';
import type { OriginalDstSettings } from './cluster-settings.ts';
import { EndpointState, endpointLabel } from './endpoint-state.ts';

/** Far above what one workload talks to; beyond it the least recently used idle one is forgotten. */
const maxDestinations = 10_000;

const nowhere: Locality = { region: '', zone: '', subZone: '' };

export class OriginalDestinations {
  readonly #cluster: string;
  readonly #settings: OriginalDstSettings;
  readonly #byLabel = new Map<string, EndpointState>();

  constructor(cluster: string, settings: OriginalDstSettings) {
    this.#cluster = cluster;
    this.#settings = settings;
  }

  all(): readonly Endpoint[] {
    return [...this.#byLabel.values()];
  }

  pick(context: PickContext, nowMs: number): Endpoint | null {
    const header = this.#settings.header;
    if (header !== null) {
      const target = parseTarget(context.headers?.getByName(header) ?? '');
      return target === null ? null : this.find(target.address, target.port, nowMs);
    }
    if (context.originalAddress === null) return null;
    return this.find(context.originalAddress, context.originalPort, nowMs);
  }

  find(address: string, originalPort: number, nowMs: number): Endpoint | null {
    const port = this.#settings.portOverride ?? originalPort;
    if (isIP(address) === 0 || port < 1 || port > 65_535) return null;
    const label = endpointLabel(address, port);
    let endpoint = this.#byLabel.get(label);
    if (endpoint === undefined) {
      if (this.#byLabel.size >= maxDestinations && !this.#forgetOldest()) return null;
      endpoint = new EndpointState(this.#cluster, {
        address,
        port,
        hostname: '',
        weight: 1,
        priority: 0,
        locality: nowhere,
        health: 'UNKNOWN',
        metadata: null,
      });
    } else this.#byLabel.delete(label);
    endpoint.usedMs = nowMs;
    // Re-inserted: the map's order is the order of last use.
    this.#byLabel.set(label, endpoint);
    return endpoint;
  }

  adopt(old: OriginalDestinations): void {
    for (const [label, endpoint] of old.#byLabel) this.#byLabel.set(label, endpoint);
  }

  sweep(nowMs: number): void {
    for (const endpoint of this.#byLabel.values()) {
      if (nowMs - endpoint.usedMs < this.#settings.cleanupMs) return;
      if (isIdle(endpoint)) this.#forget(endpoint);
    }
  }

  #forgetOldest(): boolean {
    for (const endpoint of this.#byLabel.values()) {
      if (!isIdle(endpoint)) continue;
      this.#forget(endpoint);
      return true;
    }
    return false;
  }

  #forget(endpoint: EndpointState): void {
    this.#byLabel.delete(endpoint.label);
    endpoint.pool?.drain();
  }
}

function isIdle(endpoint: EndpointState): boolean {
  return endpoint.activeRequests === 0 && endpoint.stats.activeConnections === 0;
}

function parseTarget(text: string): { address: string; port: number } | null {
  const match = /^\[?([0-9a-fA-F.:]+?)\]?:(\d{1,5})$/.exec(text.trim());
  return match === null ? null : { address: match[1] ?? '', port: Number(match[2]) };
}
