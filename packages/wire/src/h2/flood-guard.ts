/**
 * Counts what a peer does that costs us more than it, and says when it is too much.
 *
 * Each rule bounds a known attack; H2Limits says which and where the default comes from. Every method
 * returns true once its bound is exceeded, having counted that in the stats.
 */
import type { H2Limits } from './limits.ts';
import type { H2Stats } from './session-types.ts';

/** WINDOW_UPDATE frames that any connection may send, and per stream opened, beside those per DATA frame; Envoy's. */
const FREE_WINDOW_UPDATES = 5;
const WINDOW_UPDATES_PER_STREAM = 2;

export class FloodGuard {
  readonly #limits: H2Limits;
  readonly #stats: H2Stats;
  readonly #pings: TokenBucket;
  readonly #settings: TokenBucket;
  readonly #ignored: TokenBucket;
  #streams = 0;
  #earlyResets = 0;
  #provokedResets = 0;
  #emptyFrames = 0;
  #priorities = 0;
  #windowUpdates = 0;

  constructor(limits: H2Limits, stats: H2Stats, nowMs: number) {
    this.#limits = limits;
    this.#stats = stats;
    this.#pings = new TokenBucket(limits.pingBurst, limits.pingsPerSecond, nowMs);
    this.#settings = new TokenBucket(limits.settingsBurst, limits.settingsPerSecond, nowMs);
    this.#ignored = new TokenBucket(limits.ignoredFrameBurst, limits.ignoredFramesPerSecond, nowMs);
  }

  /** A stream was opened by the peer. Old sins fade: a long connection is judged by its recent half. */
  streamOpened(): void {
    if (++this.#streams < 2 * this.#limits.prematureResetStreamCount) return;
    this.#streams >>= 1;
    this.#earlyResets >>= 1;
    this.#provokedResets >>= 1;
  }

  /** CVE-2023-44487: the peer reset a stream before it was answered, soon after it was opened. */
  earlyReset(): boolean {
    this.#earlyResets++;
    if (!this.#areTooMany(this.#earlyResets + this.#provokedResets)) return false;
    this.#stats.prematureResetFlood++;
    return true;
  }

  /** CVE-2025-8671: the peer made us reset a stream. */
  provokedReset(): boolean {
    this.#provokedResets++;
    if (!this.#areTooMany(this.#earlyResets + this.#provokedResets)) return false;
    this.#stats.provokedResetFlood++;
    return true;
  }

  /** DATA, HEADERS or CONTINUATION: `isEmpty` has neither payload nor END_STREAM. */
  contentFrame(isEmpty: boolean): boolean {
    if (!isEmpty) {
      this.#emptyFrames = 0;
      return false;
    }
    if (++this.#emptyFrames <= this.#limits.maxConsecutiveEmptyFrames) return false;
    this.#stats.emptyFrameFlood++;
    return true;
  }

  ping(nowMs: number): boolean {
    if (this.#pings.take(nowMs)) return false;
    this.#stats.pingFlood++;
    return true;
  }

  settings(nowMs: number): boolean {
    if (this.#settings.take(nowMs)) return false;
    this.#stats.settingsFlood++;
    return true;
  }

  ignored(nowMs: number): boolean {
    if (this.#ignored.take(nowMs)) return false;
    this.#stats.ignoredFrameFlood++;
    return true;
  }

  priority(): boolean {
    const allowed = this.#limits.maxPriorityFramesPerStream * (1 + this.#stats.streamsOpened);
    if (++this.#priorities <= allowed) return false;
    this.#stats.priorityFlood++;
    return true;
  }

  windowUpdate(): boolean {
    const { streamsOpened, dataFramesSent } = this.#stats;
    const perData = this.#limits.maxWindowUpdatesPerDataFrame * dataFramesSent;
    const allowed = FREE_WINDOW_UPDATES + WINDOW_UPDATES_PER_STREAM * (streamsOpened + perData);
    if (++this.#windowUpdates <= allowed) return false;
    this.#stats.windowUpdateFlood++;
    return true;
  }

  #areTooMany(resets: number): boolean {
    const { prematureResetStreamCount } = this.#limits;
    return this.#streams >= prematureResetStreamCount
      ? resets * 2 > this.#streams
      : resets >= prematureResetStreamCount;
  }
}

/** `burst` at once, `perSecond` more each second up to `burst`. */
class TokenBucket {
  readonly #burst: number;
  readonly #perMs: number;
  #tokens: number;
  #lastMs: number;

  constructor(burst: number, perSecond: number, nowMs: number) {
    this.#burst = burst;
    this.#perMs = perSecond / 1000;
    this.#tokens = burst;
    this.#lastMs = nowMs;
  }

  take(nowMs: number): boolean {
    if (nowMs > this.#lastMs) {
      this.#tokens = Math.min(this.#burst, this.#tokens + (nowMs - this.#lastMs) * this.#perMs);
      this.#lastMs = nowMs;
    }
    if (this.#tokens < 1) return false;
    this.#tokens--;
    return true;
  }
}
