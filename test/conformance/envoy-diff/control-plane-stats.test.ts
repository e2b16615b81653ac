/**
 * The same control plane to a real Envoy and to our proxy, through updates, a refusal and the loss of the stream:
 * what each counts of it must have the same names and the same values.
 */
import { afterEach, beforeEach, describe, expect, test } from 'bun:test';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { cleanUp, freePort, makeTempDir, onCleanUp, spawnBun, spawnCommand, waitFor } from '@sluice/testkit';
import { ClusterTable, xdsTypes } from '@sluice/xds';
import { encoded } from '../../../packages/proxy/src/ads-bootstrap.test-double.ts';
import { AdsPeer } from '../../../packages/proxy/src/xds/ads-peer.test-double.ts';
import { findEnvoy } from '../../find-envoy.ts';

const envoy = findEnvoy();

/** What is the same however long something took. */
const compared =
  /^(control_plane\.connected_state|(cluster_manager\.cds|listener_manager\.lds)\.(update_(attempt|success|rejected)|version)|cluster_manager\.(active_clusters|warming_clusters|cluster_(added|modified|removed))|listener_manager\.(listener_(added|modified|removed|create_failure)|total_listeners_(active|warming|draining))|server\.(live|state|hot_restart_epoch))$/;
/** Whose values differ with time and place, but not their names. */
const named = [
  'control_plane.connected_state',
  'cluster_manager.cds.update_failure',
  'cluster_manager.cds.update_time',
  'listener_manager.lds.update_failure',
  'listener_manager.lds.update_time',
  'server.concurrency',
  'server.total_connections',
  'server.uptime',
];

const cluster = (name: string, timeout = '1s'): Uint8Array =>
  encoded(ClusterTable, {
    name,
    type: 'STATIC',
    connect_timeout: timeout,
    load_assignment: { cluster_name: name },
  });

function bootstrap(xdsPort: number, adminPort: number, apiType: string): object {
  const http2 = 'envoy.extensions.upstreams.http.v3.HttpProtocolOptions';
  const endpoint = { address: { socket_address: { address: '127.0.0.1', port_value: xdsPort } } };
  return {
    node: { id: 'n', cluster: 'c' },
    admin: { address: { socket_address: { address: '127.0.0.1', port_value: adminPort } } },
    dynamic_resources: {
      ads_config: {
        api_type: apiType,
        transport_api_version: 'V3',
        grpc_services: [{ envoy_grpc: { cluster_name: 'xds' } }],
      },
      cds_config: { ads: {}, resource_api_version: 'V3' },
      lds_config: { ads: {}, resource_api_version: 'V3' },
    },
    static_resources: {
      clusters: [
        {
          name: 'xds',
          type: 'STATIC',
          connect_timeout: '1s',
          typed_extension_protocol_options: {
            [http2]: {
              '@type': `type.googleapis.com/${http2}`,
              explicit_http_config: { http2_protocol_options: {} },
            },
          },
          load_assignment: { cluster_name: 'xds', endpoints: [{ lb_endpoints: [{ endpoint }] }] },
        },
      ],
    },
  };
}

/** One proxy with a control plane of its own. */
class Watched {
  readonly peer = new AdsPeer();
  readonly #adminPort = freePort();

  async start(name: 'envoy' | 'sluice', apiType: string): Promise<void> {
    onCleanUp(() => this.peer.close());
    await this.peer.listen();
    this.peer.put(xdsTypes.cluster, { a: cluster('a'), b: cluster('b') });
    const file = join(makeTempDir(), `${name}.json`);
    writeFileSync(file, JSON.stringify(bootstrap(this.peer.port, this.#adminPort, apiType)));
    const args = ['-c', file, '--concurrency', '1', '--log-level', name === 'envoy' ? 'error' : 'warning'];
    if (name === 'envoy') spawnCommand([envoy ?? '', ...args, '--disable-hot-restart']);
    else spawnBun(join(import.meta.dir, '../../../packages/proxy/src/main.ts'), args);
    await this.untilStat('server.state', 0);
  }

  async stats(path = '/stats'): Promise<Map<string, string>> {
    const answer = await fetch(`http://127.0.0.1:${this.#adminPort}${path}`).catch(() => null);
    const text = answer === null ? '' : await answer.text();
    return new Map(text.split('\n').flatMap((line) => split(line, path === '/stats' ? ': ' : ' ')));
  }

  async untilStat(name: string, value: number): Promise<void> {
    await waitFor(async () => (await this.stats()).get(name) === `${value}`, {
      what: `${name} to be ${value}`,
    });
  }

  async comparable(): Promise<Record<string, number>> {
    const rows = [...(await this.stats())].filter(([name]) => compared.test(name));
    return Object.fromEntries(rows.map(([name, value]) => [name, Number(value)]));
  }
}

function split(line: string, separator: string): [string, string][] {
  const end = line.lastIndexOf(separator);
  return end < 0 || line.startsWith('#') ? [] : [[line.slice(0, end), line.slice(end + separator.length)]];
}

describe.if(envoy !== null).each(['GRPC', 'DELTA_GRPC'])('over %s', (apiType) => {
  let theirs: Watched;
  let ours: Watched;

  beforeEach(async () => {
    theirs = new Watched();
    ours = new Watched();
    await Promise.all([theirs.start('envoy', apiType), ours.start('sluice', apiType)]);
  });
  afterEach(cleanUp);

  async function expectSame(): Promise<Record<string, number>> {
    const expected = await theirs.comparable();
    expect(await ours.comparable()).toEqual(expected);
    return expected;
  }

  test('updates, refusals and a lost stream are counted alike', async () => {
    const both = [theirs, ours];
    const put = (resources: () => Record<string, Uint8Array>): void => {
      for (const { peer } of both) peer.put(xdsTypes.cluster, resources());
    };
    const until = (name: string, value: number) =>
      Promise.all(both.map((watched) => watched.untilStat(name, value)));

    await until('listener_manager.lds.update_success', 1);
    expect(Object.keys(await expectSame())).toHaveLength(24);

    put(() => ({ a: cluster('a', '2s'), b: cluster('b'), c: cluster('c') }));
    await until('cluster_manager.cds.update_success', 2);
    await until('cluster_manager.warming_clusters', 0);
    await expectSame();

    // Nothing else changes: Envoy would refuse the companions of a message that breaks its own rules, too.
    put(() => ({ a: cluster('a', '2s'), b: cluster('b'), c: cluster('c'), d: cluster('d', '-1s') }));
    await until('cluster_manager.cds.update_rejected', 1);
    expect(await expectSame()).toMatchObject({ 'cluster_manager.cluster_modified': 1 });

    for (const { peer } of both) peer.close();
    await until('control_plane.connected_state', 0);
    for (const watched of both) {
      const stats = await watched.stats();
      expect(Number(stats.get('cluster_manager.cds.update_failure'))).toBeGreaterThan(0);
      expect(Number(stats.get('listener_manager.lds.update_failure'))).toBeGreaterThan(0);
    }
  });

  test('Prometheus finds them under the same names', async () => {
    const [envoyStats, sluiceStats] = await Promise.all([
      theirs.stats('/stats/prometheus'),
      ours.stats('/stats/prometheus'),
    ]);
    const bare = (stats: Map<string, string>) =>
      new Set([...stats.keys()].map((name) => name.replace('{}', '')));
    for (const name of [...named, ...Object.keys(await theirs.comparable())]) {
      const metric = `envoy_${name.replaceAll('.', '_')}`;
      expect(bare(envoyStats)).toContain(metric);
      expect(bare(sluiceStats)).toContain(metric);
    }
    for (const stats of [envoyStats, sluiceStats])
      expect(bare(stats)).toContain('envoy_server_initialization_time_ms_count');
  });
});
