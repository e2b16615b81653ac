/** What TLS contexts of one data loop share. */
import type { MetricsRegistry, TimerWheel } from '@sluice/runtime';
import type { TlsSettings } from '../io/tls-context.ts';
import { createClusterTlsStats, createListenerTlsStats } from '../telemetry/metrics/tls-stats.ts';
import { SecretSet } from './secret-set.ts';
import { SecuredConnections } from './secured-connections.ts';
import { noTlsStats, type TlsStats } from './tls-stats.ts';

export interface TlsEnvironment {
  readonly secrets: SecretSet;
  readonly settings: SettingsCache;
  readonly connections: SecuredConnections;
  /** Calls `run` within the time over which drains are spread. */
  soon(run: () => void): void;
  wallMs(): number;
  listenerStats(address: string): TlsStats;
  clusterStats(statName: string): TlsStats;
}

/** Settings of equal content are one object, so that a thousand clusters share one context of the engine. */
export class SettingsCache {
  readonly #known = new Map<string, WeakRef<TlsSettings>>();

  /** `trustKey` stands for the roots, which are long. */
  of(settings: TlsSettings, trustKey: string): TlsSettings {
    const { credential, trustedPem: _roots, ...rest } = settings;
    const key = JSON.stringify([rest, credential?.generation ?? null, trustKey]);
    const known = this.#known.get(key)?.deref();
    if (known !== undefined) return known;
    for (const [old, reference] of this.#known) if (reference.deref() === undefined) this.#known.delete(old);
    this.#known.set(key, new WeakRef(settings));
    return settings;
  }
}

/** Over how long connections of a renewed certificate are drained. */
const renewalSpreadMs = 30_000;

/** Of one data loop. */
export function loopTlsEnvironment(
  timers: TimerWheel,
  random: () => number,
  metrics: MetricsRegistry,
): TlsEnvironment {
  const secrets = new SecretSet();
  const soon = (run: () => void): void => void timers.schedule(random() * renewalSpreadMs, run);
  return {
    secrets,
    settings: new SettingsCache(),
    connections: new SecuredConnections(secrets, { soon }),
    soon,
    wallMs: () => timers.clock.wallMs(),
    listenerStats: (address) => createListenerTlsStats(metrics, address),
    clusterStats: (statName) => createClusterTlsStats(metrics, statName),
  };
}

/** For the main thread: contexts are compiled to find problems, never used. */
export function checkingEnvironment(): TlsEnvironment {
  const secrets = new SecretSet();
  return {
    secrets,
    settings: new SettingsCache(),
    connections: new SecuredConnections(secrets, { soon: () => {} }),
    soon: () => {},
    wallMs: () => 0,
    listenerStats: () => noTlsStats,
    clusterStats: () => noTlsStats,
  };
}
