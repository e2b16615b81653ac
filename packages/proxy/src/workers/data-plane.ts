/** What a data loop needs of the traffic side; `stack.ts` composes it, tests replace it. */
import type { Logger, MetricsRegistry, TimerWheel } from '@sluice/runtime';
import type { ClusterSet } from '../cluster/cluster-set.ts';
import type { FilterChain, ListenerRuntime } from '../listener/listener.ts';
import type { LoopInit } from '../data-loop.ts';

export interface DataPlane {
  /** Accepts on an adopted descriptor. `listener` is asked per connection: it is replaced by updates. */
  listen(listener: () => ListenerRuntime | null, fd: number): { stop(): void };
  /** Ends the connections of these chains in order, within the drain time: idle ones now, others after their answer. */
  retireChains(chains: readonly FilterChain[]): void;
  /**
   * All connections end likewise, at `afterMs` by force; `onDone` follows when none is left. `mayWait`: idle
   * ones are left until they answer, because somebody else serves meanwhile.
   */
  drain(afterMs: number, mayWait: boolean, onDone: () => void): void;
  /** Sends what connections have written so far: the loop is about to work for longer than on a request. */
  flush(): void;
  readonly connectionCount: number;
}

export interface DataPlaneDeps {
  readonly init: LoopInit;
  readonly timers: TimerWheel;
  readonly metrics: MetricsRegistry;
  readonly logger: Logger;
  readonly clusters: ClusterSet;
}
