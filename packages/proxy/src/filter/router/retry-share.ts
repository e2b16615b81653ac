/**
 * What a retry holds and owes: its share of the cluster's retry budget, given back exactly once, and the word
 * on whether it succeeded, told exactly once. It belongs to an attempt, as several retries may live at a time.
 */
import type { Cluster, RetryBudget } from '../../cluster/cluster.ts';

export class RetryShare {
  #budget: RetryBudget | null = null;
  /** Of a retry whose outcome is not known yet. */
  #cluster: Cluster | null = null;

  /** The next try is a retry; the one before it, if it was one too, has failed. False: the budget is spent. */
  take(cluster: Cluster, budget: RetryBudget): boolean {
    this.#giveBack();
    if (!budget.tryAcquire()) return false;
    this.judge(false);
    this.#budget = budget;
    this.#cluster = cluster;
    return true;
  }

  /** Does nothing for a first try, and after it was told. */
  judge(succeeded: boolean): void {
    const cluster = this.#cluster;
    if (cluster === null) return;
    this.#cluster = null;
    cluster.stats.requestRetried(succeeded);
  }

  /** The end: what was not told to have succeeded has not. */
  settle(): void {
    this.judge(false);
    this.#giveBack();
  }

  #giveBack(): void {
    const budget = this.#budget;
    if (budget === null) return;
    this.#budget = null;
    budget.release();
  }
}
