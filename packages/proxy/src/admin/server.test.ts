import { afterEach, describe, expect, test } from 'bun:test';
import { statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { withTempDir } from '@sluice/testkit';
import { accessPolicy, refusal } from './access.ts';
import { createAdminHandler } from './pages.ts';
import { serveAdmin, serveHealth, servePrometheus, type AdminServer, type BindAddress } from './server.ts';
import { TestSource } from './test-source.ts';

const anyPort: BindAddress = { kind: 'tcp', address: '127.0.0.1', port: 0 };
const servers: AdminServer[] = [];
afterEach(async () => {
  await Promise.all(servers.splice(0).map((server) => server.stop()));
});

async function started(server: Promise<AdminServer>): Promise<AdminServer> {
  const made = await server;
  servers.push(made);
  return made;
}

function handlerOf(source = new TestSource()) {
  return createAdminHandler(source, () => process.memoryUsage());
}

describe('admin over TCP', () => {
  test('answers by any loopback name', async () => {
    const { port } = await started(serveAdmin(anyPort, handlerOf()));
    for (const host of [`127.0.0.1:${port}`, `localhost:${port}`, 'LOCALHOST', '[::1]:15000']) {
      const response = await fetch(`http://127.0.0.1:${port}/ready`, { headers: { host } });
      expect([host, response.status, await response.text()]).toEqual([host, 200, 'LIVE\n']);
    }
  });

  test('refuses a rebound host name, a foreign origin and cross-site requests', async () => {
    const source = new TestSource();
    const { port } = await started(serveAdmin(anyPort, handlerOf(source)));
    const url = `http://127.0.0.1:${port}/quitquitquit`;
    const foreign = [
      { host: 'evil.example' },
      { host: `evil.example:${port}` },
      { host: 'localhost.evil.example' },
      { origin: 'http://evil.example' },
      { origin: 'null' },
      { origin: `https://127.0.0.1:${port}` },
      { 'sec-fetch-site': 'cross-site' },
    ];
    for (const headers of foreign) {
      const response = await fetch(url, { method: 'POST', headers });
      expect([headers, response.status]).toEqual([headers, 403]);
    }
    expect(source.asked).toEqual([]);
    const own = await fetch(url, { method: 'POST', headers: { origin: `http://127.0.0.1:${port}` } });
    expect([own.status, await own.text()]).toEqual([200, 'OK\n']);
  });

  test('does not listen beyond loopback', () => {
    expect(serveAdmin({ kind: 'tcp', address: '0.0.0.0', port: 0 }, handlerOf())).rejects.toThrow('loopback');
  });
});

describe('admin over a Unix socket', () => {
  test('has mode 0600, is served and removed, and replaces one left behind', async () => {
    await withTempDir(async (dir) => {
      const path = join(dir, 'admin.sock');
      const bind: BindAddress = { kind: 'unix', path };
      const server = await serveAdmin(bind, handlerOf());
      expect(statSync(path).mode & 0o777).toBe(0o600);
      const response = await fetch('http://anything/ready', { unix: path });
      expect(await response.text()).toBe('LIVE\n');
      expect(serveAdmin(bind, handlerOf())).rejects.toThrow('in use');
      await server.stop();
      expect(statSync(path, { throwIfNoEntry: false })).toBeUndefined();
    });
  });

  test('never replaces a file', async () => {
    await withTempDir(async (dir) => {
      const path = join(dir, 'precious');
      writeFileSync(path, 'data');
      await expect(serveAdmin({ kind: 'unix', path }, handlerOf())).rejects.toThrow('not a socket');
      expect(statSync(path).size).toBe(4);
    });
  });
});

describe('side listeners', () => {
  test('Prometheus serves its one page, by GET only', async () => {
    const { port } = await started(servePrometheus(anyPort, new TestSource()));
    const base = `http://127.0.0.1:${port}`;
    const response = await fetch(`${base}/stats/prometheus`, { headers: { host: 'pod.example' } });
    expect([response.status, response.headers.get('content-type')]).toEqual([
      200,
      'text/plain; version=0.0.4; charset=utf-8',
    ]);
    expect(await response.text()).toContain(
      'envoy_cluster_upstream_rq_total{envoy_cluster_name="reviews"} 2\n',
    );
    expect((await fetch(`${base}/config_dump`)).status).toBe(404);
    expect((await fetch(`${base}/stats/prometheus`, { method: 'POST' })).status).toBe(405);
  });

  test('health follows readiness', async () => {
    const source = new TestSource();
    const { port } = await started(serveHealth(anyPort, source));
    const url = `http://127.0.0.1:${port}/healthz/ready`;
    expect((await fetch(url)).status).toBe(200);
    source.serverState = 'DRAINING';
    expect((await fetch(url)).status).toBe(503);
    expect((await fetch(`http://127.0.0.1:${port}/quitquitquit`, { method: 'POST' })).status).toBe(404);
  });
});

describe('the judgement of origins', () => {
  const policy = accessPolicy('::1', false);
  test('a missing host is refused over TCP and means nothing on a Unix socket', () => {
    const nobody = { host: null, origin: null, fetchSite: null };
    expect(refusal(nobody, policy)).toContain('Host');
    expect(refusal(nobody, accessPolicy('', true))).toBeNull();
  });

  test('an IPv6 address is matched in brackets', () => {
    expect(
      refusal({ host: '[::1]:15000', origin: 'http://[::1]:15000', fetchSite: 'same-origin' }, policy),
    ).toBeNull();
    expect(refusal({ host: '', origin: null, fetchSite: null }, accessPolicy('127.0.0.9', false))).toContain(
      'Host',
    );
  });
});
