/** PostgreSQL through the proxy, on a port that is inspected: its first octets are neither TLS nor HTTP. */
import { afterAll, beforeAll, expect, test } from 'bun:test';
import { chownSync, existsSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import { cleanUp, freePort, makeTempDir, spawnCommand, waitFor } from '@sluice/testkit';
import { findProgram } from './proxy-fixture.ts';
import {
  cluster,
  listener,
  listenerFilter,
  startTcpProxy,
  tcpFilter,
  type TcpProxyUnderTest,
} from './tcp-fixture.ts';

afterAll(cleanUp);

const psql = findProgram('psql');
const binaries = findBinaries();
/** The server refuses to run as root. */
const asServer =
  process.getuid?.() === 0 ? ['setpriv', '--reuid=postgres', '--regid=postgres', '--init-groups'] : [];
const isPossible = psql !== null && binaries !== null && process.platform === 'linux';
const [port, behind] = [freePort(), freePort()];
let proxy: TcpProxyUnderTest;

function findBinaries(): string | null {
  const root = '/usr/lib/postgresql';
  const version = existsSync(root) ? readdirSync(root).sort().at(-1) : undefined;
  const found = version === undefined ? null : join(root, version, 'bin');
  if (found === null) console.warn('SKIPPED: no PostgreSQL server on this machine');
  return found;
}

async function query(sql: string): Promise<string> {
  const call = spawnCommand(
    [psql!, '-h', '127.0.0.1', '-p', String(port), '-U', 'postgres', '-At', '-c', sql, 'postgres'],
    { env: { PGSSLMODE: 'prefer', PGCONNECT_TIMEOUT: '5' } },
  );
  await call.exited;
  return call.lines.join('\n');
}

beforeAll(async () => {
  if (!isPossible) return;
  const folder = makeTempDir();
  const data = join(folder, 'data');
  if (asServer.length > 0) {
    const [uid, gid] = ['-u', '-g'].map((flag) =>
      Number(Bun.spawnSync(['id', flag, 'postgres']).stdout.toString()),
    );
    chownSync(folder, uid!, gid!);
  }
  const init = spawnCommand([
    ...asServer,
    join(binaries, 'initdb'),
    '-A',
    'trust',
    '-U',
    'postgres',
    '-D',
    data,
  ]);
  expect(await init.exited).toBe(0);
  spawnCommand([
    ...asServer,
    join(binaries, 'postgres'),
    '-D',
    data,
    '-h',
    '127.0.0.1',
    '-p',
    String(behind),
    '-k',
    folder,
    '-F',
  ]);
  proxy = await startTcpProxy({
    listeners: [
      listener('postgres', port, [{ filters: [tcpFilter({ cluster: 'postgres' })] }], {
        listener_filters: [listenerFilter('tls_inspector'), listenerFilter('http_inspector')],
        listener_filters_timeout: '0.05s',
        continue_on_listener_filters_timeout: true,
      }),
    ],
    clusters: [cluster('postgres', behind)],
  });
  await waitFor(async () => (await query('select 1')) === '1', { what: 'PostgreSQL to answer' });
}, 60_000);

test.skipIf(!isPossible)(
  'answers queries, large results included, without waiting for the inspection',
  async () => {
    expect(await query('select version()')).toContain('PostgreSQL');
    const rows = await query("select repeat('x', 1000) from generate_series(1, 5000)");
    expect(rows.split('\n')).toHaveLength(5000);
    const scrape = await (await fetch(`http://127.0.0.1:${proxy.adminPort}/stats/prometheus`)).text();
    expect(scrape).not.toContain('sluice_protocol_fallback_total{');
    await waitFor(() => proxy.lines().some((line) => Number(line.split(' ')[2]) > 5_000_000));
    expect(scrape).toMatch(/istio_tcp_connections_opened_total\{[^}]*\} [1-9]/);
  },
);
