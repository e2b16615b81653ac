/** What every kind of resource needs on its way from arrival to service. */
import type { TimerWheel } from '@sluice/runtime';
import type { ToLoop } from '../data-loop.ts';
import type { ConfigStore } from './config-store.ts';

export interface ActivationBase {
  readonly store: ConfigStore;
  readonly timers: TimerWheel;
  readonly wallMs: () => number;
  send(message: ToLoop): void;
  /** Something went live or away: readiness and subscriptions are looked at again. */
  changed(): void;
  /** A field is set and has no effect (`--unsupported-fields warn`). */
  warn(kind: string, name: string, lines: readonly string[]): void;
  /** The time to wait is over: a resource goes live without what it names, told in words. */
  wentWithout(kind: string, name: string, missing: readonly string[]): void;
}
