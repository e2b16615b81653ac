/**
 * Whether the peer of an HTTP/2 connection still listens: it must acknowledge our SETTINGS, and answer the
 * PINGs that the configuration asks for. One timer a connection, whatever is watched.
 */
import type { Clock, Random, TimerWheel } from '@sluice/runtime';
import type { H2Session } from '@sluice/wire';
import { Deadline } from './deadline.ts';
import type { H2Keepalive } from './h2-settings.ts';

/** RFC 9113 §6.5.3 leaves it to us; far above any round trip. */
const SETTINGS_ACK_MS = 10_000;

export interface H2WatchOwner {
  /** The peer is silent for too long: the connection is of no use. */
  onPeerSilent(what: 'settings' | 'ping'): void;
}

export interface H2WatchServices {
  readonly timers: TimerWheel;
  readonly clock: Clock;
  readonly random: Random;
}

export class H2Watch {
  readonly #owner: H2WatchOwner;
  readonly #services: H2WatchServices;
  readonly #session: H2Session;
  readonly #keepalive: H2Keepalive | null;
  readonly #deadline: Deadline;
  #settingsDueMs: number;
  #pingDueMs = Infinity;
  #pongDueMs = Infinity;
  #lastHeardMs: number;
  #pingNumber = 0;

  constructor(
    owner: H2WatchOwner,
    services: H2WatchServices,
    session: H2Session,
    keepalive: H2Keepalive | null,
  ) {
    this.#owner = owner;
    this.#services = services;
    this.#session = session;
    this.#keepalive = keepalive;
    const nowMs = services.clock.nowMs();
    this.#lastHeardMs = nowMs;
    this.#settingsDueMs = nowMs + SETTINGS_ACK_MS;
    this.#deadline = new Deadline(services.timers, this, onDue);
    this.#planPing(nowMs);
    this.#arm(nowMs);
  }

  /** Octets came from the peer. */
  heard(nowMs: number): void {
    this.#lastHeardMs = nowMs;
  }

  /** Before a stream is opened: a connection that was quiet for long is asked whether it still lives. */
  beforeStream(nowMs: number): void {
    const keepalive = this.#keepalive;
    if (keepalive === null || keepalive.idleIntervalMs === 0 || this.#pongDueMs !== Infinity) return;
    if (nowMs - this.#lastHeardMs >= keepalive.idleIntervalMs) this.#ping(nowMs);
  }

  onPong(): void {
    if (this.#pongDueMs === Infinity) return;
    this.#pongDueMs = Infinity;
    this.#planPing(this.#services.clock.nowMs());
    this.#arm(this.#services.clock.nowMs());
  }

  dispose(): void {
    this.#deadline.dispose();
  }

  onDue(): void {
    const nowMs = this.#services.clock.nowMs();
    if (nowMs >= this.#pongDueMs) {
      this.#owner.onPeerSilent('ping');
      return;
    }
    if (nowMs >= this.#settingsDueMs) {
      this.#settingsDueMs = Infinity;
      if (this.#session.awaitsSettingsAck) {
        this.#owner.onPeerSilent('settings');
        return;
      }
    }
    if (nowMs >= this.#pingDueMs) this.#ping(nowMs);
    else this.#arm(nowMs);
  }

  #ping(nowMs: number): void {
    this.#pingDueMs = Infinity;
    this.#pongDueMs = nowMs + this.#keepalive!.timeoutMs;
    this.#session.ping(++this.#pingNumber);
    this.#arm(nowMs);
  }

  #planPing(nowMs: number): void {
    const keepalive = this.#keepalive;
    if (keepalive === null || keepalive.intervalMs === 0) return;
    const jitterMs = (keepalive.intervalMs * keepalive.jitterPercent * this.#services.random.next()) / 100;
    this.#pingDueMs = nowMs + keepalive.intervalMs + jitterMs;
  }

  #arm(nowMs: number): void {
    const dueMs = Math.min(this.#settingsDueMs, this.#pingDueMs, this.#pongDueMs);
    if (dueMs !== Infinity) this.#deadline.setIn(Math.max(1, dueMs - nowMs), nowMs);
  }
}

function onDue(owner: unknown): void {
  (owner as H2Watch).onDue();
}
