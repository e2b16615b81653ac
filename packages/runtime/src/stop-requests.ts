/**
 * Tells a second wish to stop from an echo of the first. A signal that is sent to a group of processes (Ctrl-C,
 * `timeout`, systemd) reaches each of them, and again from each that passes it on (npm, a shell, the command line
 * before the program): taken for a second one it would cut off what the first one lets finish.
 */
import { systemClock, type Clock } from './clock.ts';

/** Below what a person needs to press a key twice and mean it. */
const echoMs = 400;

export class StopRequests {
  readonly #clock: Clock;
  #firstMs: number | undefined;

  constructor(clock: Clock = systemClock) {
    this.#clock = clock;
  }

  /** To be called at every signal. */
  hear(): 'first' | 'echo' | 'again' {
    const nowMs = this.#clock.nowMs();
    if (this.#firstMs === undefined) {
      this.#firstMs = nowMs;
      return 'first';
    }
    // Counted from the first: whoever keeps the keys pressed means it, too.
    return nowMs - this.#firstMs > echoMs ? 'again' : 'echo';
  }
}
