/** What a running proxy counts of its control plane: updates taken and refused, the stream lost and had again. */
import { afterEach, describe, expect, test } from 'bun:test';
import { cleanUp, onCleanUp, serveText, waitFor } from '@sluice/testkit';
import { xdsTypes } from '@sluice/xds';
import {
  adsBootstrap,
  encodedCluster,
  encodedListener,
  encodedRoutes,
  startAdsPeer,
  xdsCluster,
} from './ads-bootstrap.test-double.ts';
import { startProxy, type StartedProxy } from './proxy-process.test-double.ts';
import { AdsPeer } from './xds/ads-peer.test-double.ts';

afterEach(cleanUp);

const cluster = (name: string, more: object = {}): Uint8Array => encodedCluster(name, 9, more);
const listener = (name: string, port = 0): Uint8Array => encodedListener(name, 'table', port);

/** Counters and gauges of `/stats` by name. */
async function statsOf(proxy: StartedProxy): Promise<Record<string, number>> {
  const text = await (await proxy.admin('/stats')).text();
  return Object.fromEntries(
    text.split('\n').flatMap((line) => {
      const match = /^(\S+): (\d+)$/.exec(line);
      return match === null ? [] : [[match[1] ?? '', Number(match[2])]];
    }),
  );
}

/** Until all of these are so. */
async function untilStats(proxy: StartedProxy, expected: Readonly<Record<string, number>>): Promise<void> {
  let seen: Record<string, number> = {};
  const isSo = (name: string): boolean => seen[name] === expected[name];
  try {
    await waitFor(async () => {
      seen = await statsOf(proxy);
      return Object.keys(expected).every(isSo);
    });
  } catch {
    expect(seen).toMatchObject(expected);
  }
}

async function startWith(apiType: string): Promise<{ peer: AdsPeer; proxy: StartedProxy }> {
  const peer = await startAdsPeer();
  peer.put(xdsTypes.cluster, { a: cluster('a'), b: cluster('b') });
  peer.put(xdsTypes.route, { table: encodedRoutes('a', 'table') });
  peer.put(xdsTypes.listener, { web: listener('web') });
  const proxy = startProxy(adsBootstrap(xdsCluster(peer.port), { apiType }), ['--drain-time-s', '2']);
  await proxy.ready();
  return { peer, proxy };
}

describe.each(['GRPC', 'DELTA_GRPC'])('over %s', (apiType) => {
  test('counts what comes, what is refused, the loss of the stream and that it is back', async () => {
    const { peer, proxy } = await startWith(apiType);
    await untilStats(proxy, {
      'control_plane.connected_state': 1,
      'cluster_manager.cds.update_attempt': 2,
      'cluster_manager.cds.update_success': 1,
      'cluster_manager.cds.update_rejected': 0,
      'cluster_manager.cds.update_failure': 0,
      'listener_manager.lds.update_success': 1,
      'http.rds.update_success': 1,
      'cluster_manager.active_clusters': 3,
      'cluster_manager.cluster_added': 3,
      'cluster_manager.warming_clusters': 0,
      'listener_manager.listener_added': 1,
      'listener_manager.total_listeners_active': 1,
    });

    peer.put(xdsTypes.cluster, {
      a: cluster('a', { connect_timeout: '3s' }),
      b: cluster('b', { connect_timeout: '-1s' }),
    });
    await untilStats(proxy, {
      'cluster_manager.cds.update_attempt': 3,
      'cluster_manager.cds.update_success': 1,
      'cluster_manager.cds.update_rejected': 1,
      'cluster_manager.cluster_modified': 1,
      'cluster_manager.active_clusters': 3,
    });
    await peer.until(() => peer.nacks.length > 0);

    const { port } = peer;
    peer.close();
    await untilStats(proxy, { 'control_plane.connected_state': 0 });
    const lost = await statsOf(proxy);
    expect(lost['cluster_manager.cds.update_failure']).toBeGreaterThan(0);
    expect(lost['listener_manager.lds.update_failure']).toBeGreaterThan(0);
    expect(lost['http.rds.update_failure']).toBeGreaterThan(0);
    expect(lost['server.live']).toBe(1);

    const again = new AdsPeer();
    onCleanUp(() => again.close());
    again.put(xdsTypes.cluster, { a: cluster('a', { connect_timeout: '4s' }) });
    await again.listen(port);
    await untilStats(proxy, { 'control_plane.connected_state': 1, 'cluster_manager.cds.update_success': 2 });
  });
});

test('counts listeners that go, drain and cannot be had', async () => {
  const { peer, proxy } = await startWith('GRPC');
  const taken = serveText('');
  peer.put(xdsTypes.listener, { other: listener('other'), clash: listener('clash', taken) });
  await untilStats(proxy, {
    'listener_manager.lds.update_rejected': 1,
    'listener_manager.listener_added': 2,
    'listener_manager.listener_removed': 1,
    'listener_manager.listener_create_failure': 1,
    'listener_manager.total_listeners_active': 1,
    'listener_manager.total_listeners_draining': 1,
  });
  // When the drain time is over.
  await untilStats(proxy, { 'listener_manager.total_listeners_draining': 0 });
  peer.put(xdsTypes.cluster, { a: cluster('a') });
  await untilStats(proxy, {
    'cluster_manager.cluster_removed': 1,
    'cluster_manager.active_clusters': 2,
  });
});

test('shows them to Prometheus under the names that Envoy has, and none without a control plane', async () => {
  const { proxy } = await startWith('GRPC');
  const text = await (await proxy.admin('/stats/prometheus')).text();
  for (const line of [
    '# TYPE envoy_control_plane_connected_state gauge',
    'envoy_control_plane_connected_state 1',
    '# TYPE envoy_cluster_manager_cds_update_rejected counter',
    'envoy_cluster_manager_cds_update_rejected 0',
    'envoy_listener_manager_lds_update_success 1',
    'envoy_cluster_manager_active_clusters 3',
    'envoy_listener_manager_total_listeners_active 1',
    'envoy_server_hot_restart_epoch 0',
    'envoy_server_initialization_time_ms_count 1',
  ])
    expect(text.split('\n')).toContain(line);

  const alone = startProxy({});
  await alone.ready();
  const stats = await statsOf(alone);
  expect(stats['server.live']).toBe(1);
  expect(stats['cluster_manager.active_clusters']).toBe(0);
  expect(Object.keys(stats).filter((name) => /control_plane|cds|lds/.test(name))).toEqual([]);
});
