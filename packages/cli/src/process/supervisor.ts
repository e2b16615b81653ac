/**
 * Keeps one process running: starts it, starts it again when it ends and its policy says so, and stops it.
 *
 *   idle ─start─► running ─exit─► waiting ─delay─► running …
 *                    │ stop          │ stop
 *                    ▼               ▼
 *                 stopping ─exit─► ended          exit that the policy does not restart: ended
 *
 * The first restart comes at once, because most crashes are single; further ones back off until the process has
 * stood for a while. Timers and the process are given, so that tests drive it.
 */
import { reconnectBackoffMs, type BackoffPolicy, type Random } from '@sluice/runtime';
import type { Child, ChildExit } from './child.ts';

export type RestartPolicy = 'always' | 'on-failure' | 'never';
export type SupervisorState = 'idle' | 'running' | 'waiting' | 'stopping' | 'ended';

export interface Timers {
  nowMs(): number;
  /** Calls back after the delay; the function returned cancels. */
  after(delayMs: number, callback: () => void): () => void;
}

export interface SupervisorOptions {
  readonly restart: RestartPolicy;
  readonly start: () => Child;
  readonly timers: Timers;
  readonly random: Random;
  readonly onStarted?: (child: Child, attempt: number) => void;
  /** `restartInMs` is undefined when it stays down. */
  readonly onExited?: (exit: ChildExit, restartInMs: number | undefined) => void;
}

const backoff: BackoffPolicy = { baseMs: 400, maxMs: 15_000 };
/** A process that stood this long has earned its next immediate restart. */
const steadyMs = 10_000;

export const systemTimers: Timers = {
  nowMs: () => performance.now(),
  after(delayMs, callback) {
    const timer = setTimeout(callback, delayMs);
    return () => clearTimeout(timer);
  },
};

export class Supervisor {
  readonly #options: SupervisorOptions;
  readonly #ended = Promise.withResolvers<ChildExit>();
  #state: SupervisorState = 'idle';
  #child: Child | undefined;
  #startedMs = 0;
  #failures = 0;
  #starts = 0;
  #cancelWait: () => void = () => {};

  constructor(options: SupervisorOptions) {
    this.#options = options;
  }

  get state(): SupervisorState {
    return this.#state;
  }

  get child(): Child | undefined {
    return this.#child;
  }

  /** Times it was started again. */
  get restarts(): number {
    return Math.max(0, this.#starts - 1);
  }

  /** Resolves with the last exit, once it will not be started again. */
  get ended(): Promise<ChildExit> {
    return this.#ended.promise;
  }

  start(): void {
    if (this.#state !== 'idle') return;
    this.#run();
  }

  /** Signals, waits the grace, kills; resolves when it is gone. */
  async stop(graceMs: number, signal: NodeJS.Signals = 'SIGTERM'): Promise<void> {
    switch (this.#state) {
      case 'idle':
      case 'waiting':
        this.#cancelWait();
        this.#finish({ code: null, signal: null });
        return;
      case 'running': {
        this.#state = 'stopping';
        this.#child?.signal(signal);
        const cancel = this.#options.timers.after(graceMs, () => this.kill());
        await this.#ended.promise;
        cancel();
        return;
      }
      case 'stopping':
      case 'ended':
        await this.#ended.promise;
    }
  }

  /** Ends it now and for good. */
  kill(): void {
    if (this.#state === 'running') this.#state = 'stopping';
    this.#child?.signal('SIGKILL');
  }

  /** Ends this process so that another takes its place, as if it had crashed. */
  restart(graceMs: number): void {
    const child = this.#child;
    if (this.#state !== 'running' || child === undefined) return;
    child.signal('SIGTERM');
    const cancel = this.#options.timers.after(graceMs, () => child.signal('SIGKILL'));
    void child.exited.then(cancel);
  }

  #run(): void {
    const { start, timers, onStarted } = this.#options;
    this.#state = 'running';
    this.#starts++;
    this.#startedMs = timers.nowMs();
    const child = start();
    this.#child = child;
    void child.exited.then((exit) => this.#exited(exit));
    onStarted?.(child, this.#starts);
  }

  #exited(exit: ChildExit): void {
    const { restart, timers, onExited } = this.#options;
    this.#child = undefined;
    const isFailure = exit.code !== 0;
    const wantsRestart = restart === 'always' || (restart === 'on-failure' && isFailure);
    if (this.#state === 'stopping' || !wantsRestart) {
      this.#finish(exit);
      onExited?.(exit, undefined);
      return;
    }
    if (timers.nowMs() - this.#startedMs >= steadyMs) this.#failures = 0;
    const delayMs = this.#nextDelayMs();
    this.#state = 'waiting';
    this.#cancelWait = timers.after(delayMs, () => this.#run());
    onExited?.(exit, delayMs);
  }

  #nextDelayMs(): number {
    const attempt = this.#failures++;
    return attempt === 0 ? 0 : reconnectBackoffMs(backoff, attempt, this.#options.random);
  }

  #finish(exit: ChildExit): void {
    this.#state = 'ended';
    this.#ended.resolve(exit);
  }
}
