/** Control-plane metrics under the names that Istio's dashboards read (pilot_*). */
import type { MetricsRegistry } from '@sluice/runtime';

export interface AdsMetrics {
  connected(streams: number): void;
  pushed(durationMs: number): void;
  rejected(type: string): void;
}

/** Seconds; istiod's boundaries for push times. */
const pushBoundaries = [0.001, 0.003, 0.01, 0.1, 0.3, 0.5, 1, 3, 5, 10, 20, 30];

export function createAdsMetrics(registry: MetricsRegistry): AdsMetrics {
  const xds = registry.gauge('pilot_xds', 'Proxies connected by xDS');
  const pushes = registry.counter('pilot_xds_pushes', 'Rounds of bringing all proxies up to date');
  const time = registry.histogram('pilot_xds_push_time', 'Seconds a round took', pushBoundaries);
  const rejects = registry.counter('pilot_total_xds_rejects', 'Responses that proxies refused');
  const byType = registry.family(
    'counter',
    'sluice_xds_rejects_total',
    'Responses that proxies refused, by type',
    ['type'],
  );
  return {
    connected: (streams) => xds.set(streams),
    pushed: (durationMs) => {
      pushes.inc();
      time.observe(durationMs / 1000);
    },
    rejected: (type) => {
      rejects.inc();
      byType.labels([type]).inc();
    },
  };
}
