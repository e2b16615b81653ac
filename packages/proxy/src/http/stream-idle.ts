/** The stream idle timeout of one request: nothing moved in either direction for so long. */
import type { Clock, TimerWheel } from '@sluice/runtime';
import type { HttpManagerConfig } from '../listener/listener.ts';
import type { CompiledRoute } from '../route/route.ts';
import { Deadline } from './deadline.ts';

export class StreamIdle {
  readonly #clock: Clock;
  readonly #deadline: Deadline;
  #timeoutMs = 0;

  constructor(timers: TimerWheel, clock: Clock, owner: unknown, onDue: (owner: unknown) => void) {
    this.#clock = clock;
    this.#deadline = new Deadline(timers, owner, onDue);
  }

  /** The route's word counts before the listener's. */
  start(route: CompiledRoute | null, config: HttpManagerConfig): void {
    const action = route?.action;
    const ofRoute = action !== undefined && action.kind === 'forward' ? action.idleTimeoutMs : undefined;
    this.#timeoutMs = ofRoute ?? config.streamIdleTimeoutMs;
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
