/**
 * STRICT promises that nothing reaches an application but mutual TLS. Without redirection (mode NONE) that holds only
 * as long as the application listens on loopback: one that listens beyond it can be called past its sidecar, by
 * anybody who reaches this machine. Such an application is stopped unless its owner allows it.
 *
 * It is looked at when it becomes ready, when the policy changes, and now and then, since it may listen late.
 */
import type { StrictPort } from '@sluice/api';
import type { Timers } from '../process/supervisor.ts';
import type { ExposedPort, FindExposed } from './exposed-ports.ts';

export interface BypassGuardOptions {
  readonly isAllowed: boolean;
  readonly find: FindExposed;
  readonly timers: Timers;
  /** Allowed or not, told once for the same places. */
  readonly onExposed: (text: string) => void;
  /** Nothing is under STRICT any more. */
  readonly onReleased: () => void;
}

const periodMs = 10_000;

export class BypassGuard {
  readonly #options: BypassGuardOptions;
  #strict: readonly StrictPort[] = [];
  #told = '';
  #isWatching = false;
  #round = 0;
  #cancel: () => void = () => {};

  constructor(options: BypassGuardOptions) {
    this.#options = options;
  }

  /** The ports under STRICT, each time the control plane names them. */
  update(strict: readonly StrictPort[]): void {
    const isSame =
      strict.length === this.#strict.length &&
      strict.every((one, index) => {
        const old = this.#strict[index];
        return one.appPort === old?.appPort && one.policy === old.policy;
      });
    if (isSame) return;
    const wasStrict = this.#strict.length > 0;
    this.#strict = strict;
    this.#told = '';
    if (strict.length === 0 && wasStrict) this.#options.onReleased();
    else if (this.#isWatching) void this.check();
  }

  /** The application runs from now on. */
  watch(): void {
    this.#isWatching = true;
    this.#plan();
  }

  unwatch(): void {
    this.#isWatching = false;
    this.#round++;
    this.#cancel();
  }

  /** False when the application must not run as it is; it has been said then. */
  async check(): Promise<boolean> {
    const strict = this.#strict;
    if (strict.length === 0) return true;
    const exposed = await this.#options.find(strict.map((one) => one.appPort));
    // Meanwhile the policy may have changed.
    if (exposed.length === 0 || strict !== this.#strict) return true;
    const text = explain(exposed, strict, this.#options.isAllowed);
    if (text !== this.#told) this.#options.onExposed(text);
    this.#told = text;
    return this.#options.isAllowed;
  }

  async #lookAgain(round: number): Promise<void> {
    await this.check();
    if (this.#isWatching && round === this.#round) this.#plan();
  }

  #plan(): void {
    const round = ++this.#round;
    this.#cancel();
    this.#cancel = this.#options.timers.after(periodMs, () => void this.#lookAgain(round));
  }
}

function explain(exposed: readonly ExposedPort[], strict: readonly StrictPort[], isAllowed: boolean): string {
  const places = exposed.map(({ address, port }) =>
    address.includes(':') ? `[${address}]:${port}` : `${address}:${port}`,
  );
  const [first] = exposed;
  const policy = strict.find((one) => one.appPort === first?.port)?.policy ?? '';
  const fact = `it listens on ${places.join(', ')}, where anybody can call it past its sidecar, though ${policy === '' ? 'the mesh' : policy} says STRICT`;
  return isAllowed
    ? `${fact}: it runs because this is allowed`
    : `${fact}: it is stopped. Let it listen on 127.0.0.1, or allow it by allowBypass: true in sluice.yaml or --allow-bypass`;
}
