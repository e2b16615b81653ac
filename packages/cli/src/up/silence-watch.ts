/**
 * Notices that something which runs no longer answers, and that it does again: a process that hangs ends nothing and
 * says nothing, so somebody has to ask. It is told, not ended: who stopped it may be looking at it.
 */
import type { Timers } from '../process/supervisor.ts';

export interface SilenceWatchOptions {
  readonly timers: Timers;
  readonly pollMs: number;
  /** Silence that is told of. */
  readonly silenceMs: number;
  readonly answers: () => Promise<boolean>;
  readonly onSilent: () => void;
  readonly onAnswers: () => void;
}

export class SilenceWatch {
  readonly #options: SilenceWatchOptions;
  #heardMs = 0;
  #isTold = false;
  #isStopped = false;
  #cancel: () => void = () => {};

  constructor(options: SilenceWatchOptions) {
    this.#options = options;
  }

  start(): void {
    this.#heardMs = this.#options.timers.nowMs();
    this.#plan();
  }

  stop(): void {
    this.#isStopped = true;
    this.#cancel();
  }

  #plan(): void {
    if (this.#isStopped) return;
    this.#cancel = this.#options.timers.after(this.#options.pollMs, () => void this.#look());
  }

  async #look(): Promise<void> {
    const { answers, timers, silenceMs, onSilent, onAnswers } = this.#options;
    const isHeard = await answers();
    if (this.#isStopped) return;
    if (isHeard) {
      this.#heardMs = timers.nowMs();
      if (this.#isTold) onAnswers();
      this.#isTold = false;
    } else if (!this.#isTold && timers.nowMs() - this.#heardMs >= silenceMs) {
      this.#isTold = true;
      onSilent();
    }
    this.#plan();
  }
}
