/**
 * Mutual TLS between two proxies of a kind, beside HAProxy's pair and Envoy's, in one run: CPU of both per HTTP/1.1
 * request of 1 KB, CPU of the far one per full handshake, memory of an idle TLS connection, a large transfer.
 */
import { chmodSync, mkdtempSync, readFileSync, rmSync, truncateSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { connect, createSecureContext, type SecureContext, type TLSSocket } from 'node:tls';
import { measureHop } from './load.ts';
import { cpuMicros, freePort, memoryMb, spawn, startOrigin, stopAll } from './peers.ts';
import { printTable } from './table.ts';
import { files, kinds, removeFiles, startPair, type Pair } from './tls-peers.ts';

const seconds = Number(process.argv[2] ?? 4);
const wanted = process.argv.slice(3);
const connections = 32;
const idleConnections = 3000;
const settleMs = 3000;
const restMs = 15_000;
/** Garbage is collected and pages are given back every 10 s: what a connection costs that stays. */
const longRestMs = 60_000;
/** Both of a pair share one core: compilers take their time. */
const warmSeconds = 5;
const bulkBytes = 1024 * 1024 * 1024;

interface Row {
  readonly name: string;
  readonly micros: number;
  readonly rps: number;
  readonly rss: number;
  readonly handshakeMicros: number;
  readonly idle: Idle;
  readonly bulk: Bulk;
}

/**
 * Full handshakes with a client certificate, as many as one OpenSSL client manages, each with one request: a client
 * of TLS 1.3 believes itself connected before the server has judged its certificate, its answer alone proves it.
 */
async function handshakes({ tlsPort, farPid }: Pair): Promise<number> {
  const command = ['openssl', 's_time', '-connect', `127.0.0.1:${tlsPort}`, '-new', '-www', '/'].concat([
    '-time',
    String(seconds),
  ]);
  const before = cpuMicros([farPid]);
  const child = Bun.spawn(
    [
      'taskset',
      '-c',
      '0',
      ...command,
      '-cert',
      files.client,
      '-key',
      files.client,
      '-CAfile',
      files.authorities,
    ],
    { stdout: 'pipe', stderr: 'ignore' },
  );
  const text = await new Response(child.stdout).text();
  const counted = /(\d+) connections in \d+ real seconds, (\d+) bytes read/.exec(text);
  const [count, answerBytes] = [Number(counted?.[1]), Number(counted?.[2])];
  if (!(answerBytes > 1024)) throw new Error(`the handshakes were refused: ${text.slice(-200)}`);
  return (cpuMicros([farPid]) - before) / count;
}

/** Growth of the far proxy per connection that has carried one request, KB: soon after it, and at rest. */
interface Idle {
  readonly soonKb: number;
  readonly restKb: number;
  readonly longRestKb: number;
}

async function idleMemory({ tlsPort, farPid }: Pair): Promise<Idle> {
  const pem = readFileSync(files.client);
  const context = createSecureContext({ cert: pem, key: pem });
  // What a proxy takes once, for code and pools, is not a connection's.
  for (let round = 0; round < 6; round++) {
    for (const socket of await restAll(tlsPort, context, 200)) socket.destroy();
    await Bun.sleep(200);
  }
  await Bun.sleep(settleMs);
  const before = memoryMb([farPid]).rss;
  const open = await restAll(tlsPort, context, idleConnections);
  const perConnection = (): number => ((memoryMb([farPid]).rss - before) * 1024) / idleConnections;
  await Bun.sleep(settleMs);
  const soonKb = perConnection();
  await Bun.sleep(restMs - settleMs);
  const restKb = perConnection();
  await Bun.sleep(longRestMs - restMs);
  const longRestKb = perConnection();
  for (const socket of open) socket.destroy();
  return { soonKb, restKb, longRestKb };
}

async function restAll(port: number, context: SecureContext, count: number): Promise<TLSSocket[]> {
  const open: TLSSocket[] = [];
  while (open.length < count)
    open.push(...(await Promise.all(Array.from({ length: 100 }, () => rest(port, context)))));
  return open;
}

function rest(port: number, secureContext: SecureContext): Promise<TLSSocket> {
  const { promise, resolve, reject } = Promise.withResolvers<TLSSocket>();
  const socket = connect({ host: '127.0.0.1', port, secureContext, rejectUnauthorized: false }, () =>
    socket.write('GET / HTTP/1.1\r\nHost: a\r\n\r\n'),
  );
  socket.once('data', () => resolve(socket));
  socket.once('error', reject);
  return promise;
}

async function startBulkOrigin(folder: string): Promise<number> {
  const port = await freePort();
  // nginx's worker is another user.
  chmodSync(folder, 0o755);
  writeFileSync(join(folder, 'bulk'), '');
  truncateSync(join(folder, 'bulk'), bulkBytes);
  const config = join(folder, 'bulk.conf');
  writeFileSync(
    config,
    `daemon off; worker_processes 1; error_log /dev/null; pid ${folder}/bulk.pid; events { worker_connections 100; }
http { access_log off; sendfile on; server { listen 127.0.0.1:${port}; root ${folder}; } }`,
  );
  spawn(['taskset', '-c', '0', 'nginx', '-p', folder, '-c', config]);
  return port;
}

interface Bulk {
  readonly mbPerSecond: number;
  /** Of both proxies, for the whole of it. */
  readonly cpuSeconds: number;
  /** The largest resident set of both meanwhile. */
  readonly rss: number;
}

async function bulk(pair: Pair): Promise<Bulk> {
  let peak = 0;
  const before = cpuMicros(pair.pids);
  const timer = setInterval(() => (peak = Math.max(peak, memoryMb(pair.pids).rss)), 50);
  const child = Bun.spawn(
    [
      'taskset',
      '-c',
      '0',
      'curl',
      '-s',
      '-o',
      '/dev/null',
      '-w',
      '%{speed_download} %{size_download}',
    ].concat(`http://127.0.0.1:${pair.port}/bulk`),
    { stdout: 'pipe' },
  );
  const [speed = 0, size = 0] = (await new Response(child.stdout).text()).split(' ').map(Number);
  clearInterval(timer);
  const cpuSeconds = (cpuMicros(pair.pids) - before) / 1e6;
  return { mbPerSecond: size === bulkBytes ? speed / 1e6 : Number.NaN, cpuSeconds, rss: peak };
}

const folder = mkdtempSync(join(tmpdir(), 'sluice-bench-tls-bulk-'));
try {
  const origin = await startOrigin();
  const bulkOrigin = await startBulkOrigin(folder);
  const rows: Row[] = [];
  for (const kind of kinds) {
    if (wanted.length > 0 && !wanted.includes(kind)) continue;
    const pair = await startPair(kind, origin);
    await measureHop(pair, warmSeconds, connections);
    const { micros, rps, rss } = await measureHop(pair, seconds, connections);
    const handshakeMicros = await handshakes(pair);
    const idle = await idleMemory(pair);
    const bulkPair = await startPair(kind, bulkOrigin);
    rows.push({ name: pair.name, micros, rps, rss, handshakeMicros, idle, bulk: await bulk(bulkPair) });
    for (const pid of [...pair.pids, ...bulkPair.pids]) process.kill(pid);
  }
  const [haproxy, envoy] = ['HAProxy, pair', 'Envoy, pair'].map((name) =>
    rows.find((row) => row.name === name),
  );
  const ratio = (value: number, of: number | undefined): string => (value / (of ?? Number.NaN)).toFixed(2);
  printTable(
    'Two proxies with mutual TLS between them, HTTP/1.1, 1 KB, 32 connections',
    ['proxies', 'CPU µs / request', '× HAProxy', '× Envoy', 'requests / s', 'RSS MB'],
    rows.map(({ name, micros, rps, rss }) => [
      name,
      micros.toFixed(1),
      ratio(micros, haproxy?.micros),
      ratio(micros, envoy?.micros),
      String(Math.round(rps)),
      rss.toFixed(0),
    ]),
  );
  printTable(
    'Full mutual handshakes, idle connections, 1 GB through the pair',
    [
      'proxies',
      'CPU µs / handshake',
      '× HAProxy',
      'idle KB after 3 s',
      'after 15 s',
      'after 60 s',
      'MB / s',
      '× HAProxy',
      'CPU s / GB',
      '× HAProxy',
      'RSS MB',
    ],
    rows.map((row) => [
      row.name,
      row.handshakeMicros.toFixed(0),
      ratio(row.handshakeMicros, haproxy?.handshakeMicros),
      row.idle.soonKb.toFixed(1),
      row.idle.restKb.toFixed(1),
      row.idle.longRestKb.toFixed(1),
      row.bulk.mbPerSecond.toFixed(0),
      ratio(row.bulk.mbPerSecond, haproxy?.bulk.mbPerSecond),
      row.bulk.cpuSeconds.toFixed(2),
      ratio(row.bulk.cpuSeconds, haproxy?.bulk.cpuSeconds),
      row.bulk.rss.toFixed(0),
    ]),
  );
} finally {
  await stopAll();
  removeFiles();
  rmSync(folder, { recursive: true, force: true });
}
