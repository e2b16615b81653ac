import { expect, test } from 'bun:test';
import { xdsTypes, type AdsUpdate } from '@sluice/xds';
import { SubscriptionStats } from './subscription-stats.ts';
import { statTextName } from './stat-names.ts';

const nowMs = 1_795_468_009_244;

function update(typeUrl: string, names: readonly string[], problems: AdsUpdate['problems'] = []): AdsUpdate {
  const resources = names.map((name) => ({ name, aliases: [], version: '0', bytes: new Uint8Array() }));
  return { typeUrl, version: '0', nonce: 'n', resources, removed: [], problems };
}

/** What is not 0, by text name. */
function shown(stats: SubscriptionStats): Record<string, number> {
  return Object.fromEntries(
    stats.families().flatMap(({ name, series }) =>
      series.flatMap(({ labels, values }) => {
        const value = values[0] ?? 0;
        return value === 0 ? [] : [[statTextName(name, labels), value]];
      }),
    ),
  );
}

const refused = (...names: string[]) => names.map((name) => ({ name, problem: 'bad' }));

test('clusters and listeners are one subscription each: asked, taken, refused, lost', () => {
  const stats = new SubscriptionStats(() => nowMs);
  stats.wants(xdsTypes.cluster, new Set(['*']));
  stats.connected();
  stats.updated(update(xdsTypes.cluster, ['a', 'b']), []);
  expect(shown(stats)).toEqual({
    'control_plane.connected_state': 1,
    'cluster_manager.cds.update_attempt': 2,
    'cluster_manager.cds.update_success': 1,
    'cluster_manager.cds.update_time': nowMs,
    // As Envoy shows for version "0".
    'cluster_manager.cds.version': Number(7148434200721666028n),
  });
  stats.updated(update(xdsTypes.cluster, ['a', 'b']), refused('b'));
  stats.updated(update(xdsTypes.cluster, [], refused('resources[0]')), []);
  stats.wants(xdsTypes.listener, new Set(['*']));
  stats.lost();
  stats.lost();
  expect(shown(stats)).toMatchObject({
    'cluster_manager.cds.update_attempt': 6,
    'cluster_manager.cds.update_success': 1,
    'cluster_manager.cds.update_rejected': 2,
    'cluster_manager.cds.update_failure': 2,
    'listener_manager.lds.update_attempt': 3,
    'listener_manager.lds.update_failure': 2,
  });
  expect(shown(stats)).not.toContainKey('control_plane.connected_state');
});

test('endpoint lists and route tables are counted together, one by one', () => {
  const stats = new SubscriptionStats(() => nowMs);
  stats.wants(xdsTypes.endpoint, new Set(['a']));
  stats.wants(xdsTypes.endpoint, new Set(['a', 'b', 'c']));
  stats.updated(update(xdsTypes.endpoint, ['a', 'b', 'c']), refused('c'));
  stats.wants(xdsTypes.route, new Set(['80']));
  stats.lost();
  expect(shown(stats)).toEqual({
    'cluster.update_attempt': 9,
    'cluster.update_success': 2,
    'cluster.update_rejected': 1,
    'cluster.update_failure': 3,
    'cluster.update_time': nowMs,
    'http.rds.update_attempt': 2,
    'http.rds.update_failure': 1,
  });
});

test('secrets are counted by name while they are wanted, and by no name that was not asked for', () => {
  const stats = new SubscriptionStats(() => nowMs);
  stats.wants(xdsTypes.secret, new Set(['kubernetes://my.cert', 'ROOTCA']));
  stats.updated(update(xdsTypes.secret, ['kubernetes://my.cert', 'foreign']), refused('ROOTCA', 'other'));
  expect(shown(stats)).toEqual({
    'sds.kubernetes_my.cert.update_attempt': 2,
    'sds.kubernetes_my.cert.update_success': 1,
    'sds.kubernetes_my.cert.update_time': nowMs,
    'sds.kubernetes_my.cert.version': Number(7148434200721666028n),
    'sds.ROOTCA.update_attempt': 2,
    'sds.ROOTCA.update_rejected': 1,
  });
  stats.wants(xdsTypes.secret, new Set(['ROOTCA']));
  stats.lost();
  expect(shown(stats)).toEqual({
    'sds.ROOTCA.update_attempt': 3,
    'sds.ROOTCA.update_rejected': 1,
    'sds.ROOTCA.update_failure': 1,
  });
});
