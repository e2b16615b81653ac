/**
 * Probes a running application and says when its readiness changes: so many successes in a row make it ready, so
 * many failures unready. Until the first success it looks more often than the period says: a start should not wait
 * for the next round.
 */
import type { WorkloadReadiness } from '@sluice/api';
import type { Timers } from '../process/supervisor.ts';
import type { ProbeResult } from './probe-result.ts';

export interface ReadinessOptions {
  readonly settings: WorkloadReadiness;
  readonly timers: Timers;
  readonly probe: () => Promise<ProbeResult>;
  readonly onChange: (isReady: boolean, reason: string) => void;
}

const eagerPeriodMs = 150;

export class ReadinessWatch {
  readonly #options: ReadinessOptions;
  #isReady = false;
  #wasReady = false;
  #successes = 0;
  #failures = 0;
  #round = 0;
  #cancel: () => void = () => {};

  constructor(options: ReadinessOptions) {
    this.#options = options;
  }

  get isReady(): boolean {
    return this.#isReady;
  }

  /** For a new process of the application: nothing of the last one counts. */
  start(): void {
    this.stop('started');
    this.#wasReady = false;
    const round = this.#round;
    this.#cancel = this.#options.timers.after(
      this.#options.settings.initialDelayMs,
      () => void this.#look(round),
    );
  }

  /** Ends probing; an application that was ready is not any more. */
  stop(reason: string): void {
    this.#cancel();
    this.#round++;
    this.#successes = 0;
    this.#failures = 0;
    this.#change(false, reason);
  }

  async #look(round: number): Promise<void> {
    const result = await this.#options.probe();
    // Meanwhile the application may have ended, or another have been started.
    if (round !== this.#round) return;
    this.#count(result);
    const { settings, timers } = this.#options;
    const delayMs = this.#wasReady ? settings.periodMs : Math.min(eagerPeriodMs, settings.periodMs);
    this.#cancel = timers.after(delayMs, () => void this.#look(round));
  }

  #count({ isReady, reason }: ProbeResult): void {
    const { successThreshold, failureThreshold } = this.#options.settings;
    this.#successes = isReady ? this.#successes + 1 : 0;
    this.#failures = isReady ? 0 : this.#failures + 1;
    if (this.#successes >= successThreshold) this.#change(true, reason);
    else if (this.#failures >= failureThreshold) this.#change(false, reason);
  }

  #change(isReady: boolean, reason: string): void {
    if (isReady === this.#isReady) return;
    this.#isReady = isReady;
    if (isReady) this.#wasReady = true;
    this.#options.onChange(isReady, reason);
  }
}
