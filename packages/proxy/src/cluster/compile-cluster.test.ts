import { describe, expect, test } from 'bun:test';
import { ClusterTable, parseJsonMessage, UnhonouredReport } from '@sluice/xds';
import { newProblems } from '../config/problems.ts';
import type { ClusterSettings } from './cluster-settings.ts';
import { compileCluster } from './compile-cluster.ts';

function compiled(more: object): ClusterSettings {
  const report = new UnhonouredReport();
  const message = parseJsonMessage(ClusterTable, { name: 'c', type: 'ORIGINAL_DST', ...more }, report);
  const scope = newProblems();
  const settings = compileCluster(message, scope);
  expect([...report.entries, ...scope.problems]).toEqual([]);
  return settings;
}

describe('a cluster', () => {
  test.each([
    [{ keepalive_time: 10, keepalive_interval: 3, keepalive_probes: 4 }, [10_000, 3_000, 4]],
    [{ keepalive_time: 10 }, [10_000, null, null]],
    [{}, [null, null, null]],
  ])('TCP keepalive %j is taken as it is written', (tcp_keepalive, [timeMs, intervalMs, probes]) => {
    const { keepalive } = compiled({ upstream_connection_options: { tcp_keepalive } });
    expect(keepalive).toEqual({ timeMs, intervalMs, probes } as ClusterSettings['keepalive'] & object);
  });

  test('an explicit zero, and silence, mean no TCP keepalive', () => {
    const tcp_keepalive = { keepalive_time: 10, keepalive_probes: 0 };
    expect(compiled({ upstream_connection_options: { tcp_keepalive } }).keepalive).toBeNull();
    expect(compiled({}).keepalive).toBeNull();
  });

  test('its service is what its metadata says', () => {
    const services = [{ host: 'a.b.svc.cluster.local', name: 'a', namespace: 'b' }];
    const metadata = { filter_metadata: { istio: { services, config: '/apis/x' } } };
    expect(compiled({ metadata })).toMatchObject({ service: services[0], origin: '/apis/x' });
    expect(compiled({}).service).toBeNull();
  });
});
