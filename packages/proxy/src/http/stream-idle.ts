/**
 * The stream idle timeout of one request: nothing moved in either direction for so long. A request that has
 * become a tunnel (WebSocket, CONNECT) has one of its own: silence means nothing there.
 */
import type { Clock, TimerWheel } from '@sluice/runtime';
import type { HttpManagerConfig } from '../listener/listener.ts';
import type { CompiledRoute } from '../route/route.ts';
import { Deadline } from './deadline.ts';

export class StreamIdle {
  readonly #clock: Clock;
  readonly #deadline: Deadline;
  #timeoutMs = 0;

  constructor(timers: TimerWheel, clock: Clock, onDue: () => void) {
    this.#clock = clock;
    this.#deadline = new Deadline(timers, this, onDue);
  }

  /** The route's word counts before the listener's. */
  start(route: CompiledRoute | null, config: HttpManagerConfig): void {
    this.#start(ofRoute(route) ?? config.streamIdleTimeoutMs);
  }

  startTunnel(route: CompiledRoute | null, config: HttpManagerConfig): void {
    this.#start(ofRoute(route) ?? config.tunnelIdleTimeoutMs);
  }

  #start(timeoutMs: number): void {
    this.#timeoutMs = timeoutMs;
    if (this.#timeoutMs > 0) this.touch();
    else this.#deadline.clear();
  }

  /** Something moved. */
  touch(): void {
    if (this.#timeoutMs > 0) this.#deadline.setIn(this.#timeoutMs, this.#clock.nowMs());
  }

  stop(): void {
    this.#timeoutMs = 0;
    this.#deadline.clear();
  }

  dispose(): void {
    this.#deadline.dispose();
  }
}

function ofRoute(route: CompiledRoute | null): number | undefined {
  const action = route?.action;
  return action !== undefined && action.kind === 'forward' ? action.idleTimeoutMs : undefined;
}
