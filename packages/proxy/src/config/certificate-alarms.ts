/**
 * Says in the log when a certificate in use nears its end, once for each stage, and counts seconds for whoever
 * watches metrics. Of the agent's certificate this means that renewal has been failing for hours.
 */
import { TimerNode, type Logger, type MetricsRegistry, type TimerWheel } from '@sluice/runtime';
import type { Secret } from '@sluice/xds';
import { alarmLevel, nextAlarmAtMs, type AlarmLevel, type Lifetime } from '../identity/renewal-plan.ts';
import { readCertificates, textOf } from './secret-judgement.ts';

interface Watched {
  readonly lifetime: Lifetime;
  readonly serial: string;
  readonly timer: TimerNode;
  told: AlarmLevel;
}

const severity = { none: 'info', low: 'warning', urgent: 'error', expired: 'critical' } as const;
/** Timers stand still while a machine sleeps: the calendar is looked at this often at least. */
const maxPauseMs = 60_000;

export class CertificateAlarms {
  readonly #timers: TimerWheel;
  readonly #logger: Logger;
  readonly #metrics: MetricsRegistry;
  readonly #onExpired: (name: string) => void;
  readonly #watched = new Map<string, Watched>();

  /** `onExpired`: of a secret that is still in use. */
  constructor(
    timers: TimerWheel,
    logger: Logger,
    metrics: MetricsRegistry,
    onExpired: (name: string) => void,
  ) {
    this.#timers = timers;
    this.#onExpired = onExpired;
    this.#logger = logger;
    this.#metrics = metrics;
  }

  /** A secret is there, or another one now. */
  put({ name, tlsCertificate }: Secret): void {
    this.remove(name);
    const chain = readCertificates(textOf(tlsCertificate?.certificateChain));
    const leaf = typeof chain === 'string' ? undefined : chain[0];
    if (leaf === undefined) return;
    const lifetime = {
      notBeforeMs: Date.parse(leaf.validFrom),
      notAfterMs: Date.parse(leaf.validTo),
      obtainedMs: this.#timers.clock.wallMs(),
    };
    const timer = new TimerNode(() => this.#look(name));
    this.#watched.set(name, { lifetime, serial: leaf.serialNumber.toLowerCase(), timer, told: 'none' });
    this.#gauge(name).set(Math.floor(lifetime.notAfterMs / 1_000));
    this.#look(name);
  }

  remove(name: string): void {
    const watched = this.#watched.get(name);
    if (watched === undefined) return;
    this.#timers.disarm(watched.timer);
    this.#watched.delete(name);
    this.#gauge(name).set(0);
  }

  #look(name: string): void {
    const watched = this.#watched.get(name);
    if (watched === undefined) return;
    const nowMs = this.#timers.clock.wallMs();
    const level = alarmLevel(watched.lifetime, nowMs);
    if (level !== watched.told && level !== 'none') this.#tell(name, watched, level, nowMs);
    if (level === 'expired' && watched.told !== 'expired') this.#onExpired(name);
    watched.told = level;
    const nextMs = nextAlarmAtMs(watched.lifetime, nowMs) - nowMs;
    if (Number.isFinite(nextMs)) this.#timers.arm(watched.timer, Math.min(nextMs, maxPauseMs));
  }

  #tell(name: string, watched: Watched, level: AlarmLevel, nowMs: number): void {
    const { notAfterMs } = watched.lifetime;
    const leftS = Math.round((notAfterMs - nowMs) / 1_000);
    const words =
      level === 'expired' ? 'a certificate in use has expired' : 'a certificate in use expires soon';
    this.#logger[severity[level]](words, {
      secret: name,
      serial: watched.serial,
      expires: new Date(notAfterMs).toISOString(),
      leftS,
    });
  }

  #gauge(name: string) {
    return this.#metrics.gauge(
      'sluice_certificate_expiry_timestamp_seconds',
      'End of a certificate in use, Unix time; 0 when it is no longer in use.',
      { secret: name },
    );
  }
}
