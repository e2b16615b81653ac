/**
 * The time limits of one request: what they are, when each begins, what the upstream is told of them.
 *
 *   max stream duration   from the start of the request
 *   route timeout         from its end: not while the client still sends (Envoy's rule)
 *   per-try timeouts      from the attempt, but not before the request's end either
 */
import type { HeaderList } from '@sluice/wire';
import { Deadline } from '../../http/deadline.ts';
import type { ForwardAction, RetryPolicy } from '../../route/route.ts';
import type { RequestRecord } from '../../telemetry/record.ts';
import type { Attempt } from './attempt.ts';
import type { RouterHost, RouterServices } from './router-host.ts';
import { newUpstreamTimeouts, readUpstreamTimeouts, writeTimeoutHeaders } from './upstream-timeouts.ts';

export interface ClockOwner {
  onRouteTimeout(): void;
  onMaxDuration(): void;
}

export class RequestClocks {
  readonly #services: RouterServices;
  readonly #timeouts = newUpstreamTimeouts();
  readonly #route: Deadline;
  readonly #stream: Deadline;

  constructor(services: RouterServices, owner: ClockOwner) {
    this.#services = services;
    this.#route = new Deadline(services.timers, owner, onRouteTimeout);
    this.#stream = new Deadline(services.timers, owner, onMaxDuration);
  }

  get maxRetries(): number {
    return this.#timeouts.maxRetries;
  }

  /**
   * Reads the limits, takes the headers that were for this hop, and starts what runs from the start. False:
   * there is no time left, so that nothing needs to be sent.
   */
  begin(action: ForwardAction, retry: RetryPolicy | null, host: RouterHost): boolean {
    const { record, message } = host;
    readUpstreamTimeouts(action, retry, message.headers, this.#timeouts);
    const { streamMs } = this.#timeouts;
    if (streamMs < 0) return true;
    const nowMs = this.#services.clock.nowMs();
    const remainingMs = streamMs - (nowMs - record.startMs);
    if (remainingMs <= 0) return false;
    this.#stream.setIn(remainingMs, nowMs);
    return true;
  }

  /** Before the first attempt. */
  tell(headers: HeaderList, suppressEnvoyHeaders: boolean): void {
    writeTimeoutHeaders(headers, this.#timeouts, 0, 0, suppressEnvoyHeaders);
  }

  /** Before a further attempt: what is left. */
  tellAgain(headers: HeaderList, record: RequestRecord, suppressEnvoyHeaders: boolean): void {
    const nowMs = this.#services.clock.nowMs();
    const sinceEndMs = record.requestEndMs > 0 ? nowMs - record.requestEndMs : 0;
    writeTimeoutHeaders(headers, this.#timeouts, sinceEndMs, nowMs - record.startMs, suppressEnvoyHeaders);
  }

  /** Attempts that were sent before it start their time for a try now: `startTry`. */
  requestEnded(isUpgrade: boolean): void {
    const { routeMs } = this.#timeouts;
    if (routeMs > 0 && !isUpgrade) this.#route.setIn(routeMs, this.#services.clock.nowMs());
  }

  /** `answers`: its response is being forwarded, so that it may only not fall silent. */
  startTry(attempt: Attempt, answers: boolean): void {
    const { perTryMs, perTryIdleMs } = this.#timeouts;
    if (perTryMs > 0 || perTryIdleMs > 0)
      attempt.setTimeouts(answers ? 0 : perTryMs, perTryIdleMs, this.#services.clock.nowMs());
  }

  clearRoute(): void {
    this.#route.clear();
  }

  clear(): void {
    this.#route.clear();
    this.#stream.clear();
  }

  dispose(): void {
    this.#route.dispose();
    this.#stream.dispose();
  }
}

function onRouteTimeout(owner: unknown): void {
  (owner as ClockOwner).onRouteTimeout();
}

function onMaxDuration(owner: unknown): void {
  (owner as ClockOwner).onMaxDuration();
}
