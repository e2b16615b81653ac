/**
 * TCP beside a real Envoy: filter chains by server name, port and source, PROXY headers in and out, protocol
 * inspection, failures. What the client gets and what the access log says must be the same.
 */
import { afterAll, beforeAll, describe, expect, test } from 'bun:test';
import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { cleanUp, freePort, makeTempDir, onCleanUp, refusingPort, waitFor } from '@sluice/testkit';
import { cluster, fileAccessLog, socket, types, type Json } from '../../envoy-config.ts';
import { findEnvoy } from '../../find-envoy.ts';
import { launch } from './proxies.ts';
import { tcpCases, tcpListeners, type TcpCase } from './tcp-cases.ts';

afterAll(cleanUp);

const envoyBinary = findEnvoy();
const names = ['one', 'two', 'three', 'four', 'five', 'six'] as const;
const format =
  '%RESPONSE_FLAGS% %BYTES_RECEIVED% %BYTES_SENT% %UPSTREAM_CLUSTER% %DOWNSTREAM_REMOTE_ADDRESS_WITHOUT_PORT% %DOWNSTREAM_DIRECT_REMOTE_ADDRESS_WITHOUT_PORT% %DOWNSTREAM_LOCAL_ADDRESS% %REQUESTED_SERVER_NAME% %RESPONSE_CODE% %CONNECTION_TERMINATION_DETAILS% %UPSTREAM_REQUEST_ATTEMPT_COUNT% %PROTOCOL%';

interface Proxy {
  readonly ports: ReadonlyMap<string, number>;
  readonly log: string;
}

interface Seen {
  readonly received: string;
  readonly log: string;
}

/** What differs on purpose, by "listener: case", with the reason. */
const explained: Readonly<Record<string, string>> = {
  'unknown: no cluster': 'the log names the cluster that there is not',
  'inspected: no version': 'a request line without a version is HTTP/0.9, which nobody here serves: opaque',
};

/** Says its name, then gives back what comes; closes after the client's FIN. */
function echo(name: string): number {
  const server = Bun.listen({
    hostname: '127.0.0.1',
    port: 0,
    allowHalfOpen: true,
    socket: {
      open: (socket) => void socket.write(`<${name}>`),
      data: (socket, data) => void socket.write(data),
      end: (socket) => void socket.end('.'),
    },
  });
  onCleanUp(() => server.stop(true));
  return server.port;
}

const speaking = (version: 'V1' | 'V2'): Json => ({
  transport_socket: {
    name: 'envoy.transport_sockets.upstream_proxy_protocol',
    typed_config: {
      '@type': `${types}.transport_sockets.proxy_protocol.v3.ProxyProtocolUpstreamTransport`,
      config: { version },
      transport_socket: {
        name: 'envoy.transport_sockets.raw_buffer',
        typed_config: { '@type': `${types}.transport_sockets.raw_buffer.v3.RawBuffer` },
      },
    },
  },
});

function bootstrap(
  adminPort: number,
  ports: ReadonlyMap<string, number>,
  log: string,
  clusters: readonly Json[],
): Json {
  const accessLog = fileAccessLog(log, format);
  return {
    admin: { address: socket(adminPort) },
    static_resources: {
      clusters,
      listeners: tcpListeners.map(({ name, chains, more }) => ({
        name,
        address: socket(ports.get(name) ?? 0),
        access_log: name === 'no-chain' ? [accessLog] : [],
        filter_chains: chains(ports.get(name) ?? 0).map(({ filter_chain_match, cluster: to, tcp }) => ({
          filter_chain_match,
          filters: [
            {
              name: 'envoy.filters.network.tcp_proxy',
              typed_config: {
                '@type': `${types}.filters.network.tcp_proxy.v3.TcpProxy`,
                stat_prefix: 'diff',
                cluster: to,
                access_log: [accessLog],
                ...(tcp as Json | undefined),
              },
            },
          ],
        })),
        ...more,
      })),
    },
  };
}

async function start(kind: 'envoy' | 'sluice', clusters: readonly Json[]): Promise<Proxy> {
  const folder = makeTempDir();
  const [log, adminPort] = [join(folder, 'access.log'), freePort()];
  const ports = new Map(tcpListeners.map(({ name }) => [name, freePort()]));
  await launch(kind, bootstrap(adminPort, ports, log, clusters), adminPort, log);
  return { ports, log };
}

/** Only a proxy that does not let the client through makes a case wait so long. */
const patienceMs = 1_000;
/** Longer than either takes to write a line. */
const logWaitMs = 700;

async function observe(proxy: Proxy, one: TcpCase): Promise<Seen> {
  const before = linesOf(proxy).length;
  const port = proxy.ports.get(one.listener) ?? 0;
  const { received, clientPort } = await converse(port, one);
  const isLogged = await waitFor(() => linesOf(proxy).length > before, { timeoutMs: logWaitMs }).catch(
    () => false,
  );
  const line = isLogged === false ? 'none' : (linesOf(proxy)[before] ?? 'none');
  // Ports differ from run to run, also inside of PROXY headers.
  const plain = (text: string): string =>
    text
      .replaceAll(`:${port}`, ':PORT')
      .replaceAll(` ${clientPort} `, ' CLIENT ')
      .replaceAll(` ${port}\r\n`, ' PORT\r\n');
  return { received: plain(received), log: plain(line) };
}

function linesOf(proxy: Proxy): string[] {
  return existsSync(proxy.log) ? readFileSync(proxy.log, 'utf8').split('\n').filter(Boolean) : [];
}

async function converse(port: number, one: TcpCase): Promise<{ received: string; clientPort: number }> {
  const closed = Promise.withResolvers<void>();
  const heard = Promise.withResolvers<void>();
  let received = '';
  const connecting = Bun.connect({
    hostname: '127.0.0.1',
    port,
    localAddress: one.from ?? '127.0.0.1',
    allowHalfOpen: true,
    socket: {
      data: (_socket: unknown, data: Buffer) => {
        received += data.toString('latin1');
        heard.resolve();
      },
      end: () => closed.resolve(),
      close: () => closed.resolve(),
      error: () => closed.resolve(),
    },
  } as Bun.TCPSocketConnectOptions<undefined>);
  // A proxy that wants no such client may have reset it before we heard that it was connected.
  const client = await connecting.catch(() => null);
  if (client === null) return { received, clientPort: 0 };
  const clientPort = client.localPort;
  if (one.send.length > 0) client.write(one.send);
  client.flush();
  // Envoy drops a client whose FIN comes while it inspects: the FIN waits for the greeting, or for a close.
  await Promise.race([heard.promise, closed.promise, Bun.sleep(one.holdMs ?? patienceMs)]);
  if (one.lingerMs !== undefined) await Promise.race([closed.promise, Bun.sleep(one.lingerMs)]);
  client.shutdown();
  const isStalled = await Promise.race([closed.promise.then(() => false), Bun.sleep(3_000).then(() => true)]);
  if (isStalled) received += ' STALLED';
  client.terminate();
  return { received, clientPort };
}

describe.skipIf(envoyBinary === null)('TCP beside a real Envoy', () => {
  const seen = new Map<string, { envoy: Seen; sluice: Seen }>();

  beforeAll(async () => {
    const dump = echo('dump');
    const clusters = [
      ...names.map((name) => cluster(name, [echo(name)])),
      cluster('refusing', [refusingPort()]),
      cluster('empty', []),
      cluster('full', [echo('full')], { circuit_breakers: { thresholds: [{ max_connections: 0 }] } }),
      cluster('dump-v1', [dump], speaking('V1')),
      cluster('dump-v2', [dump], speaking('V2')),
    ];
    const [envoy, sluice] = await Promise.all([start('envoy', clusters), start('sluice', clusters)]);
    for (const one of tcpCases) {
      const [theirs, ours] = await Promise.all([observe(envoy, one), observe(sluice, one)]);
      seen.set(`${one.listener}: ${one.name}`, { envoy: theirs, sluice: ours });
    }
  }, 120_000);

  for (const one of tcpCases) {
    const key = `${one.listener}: ${one.name}`;
    test(key, () => {
      const { envoy, sluice } = seen.get(key)!;
      if (explained[key] === undefined) expect(sluice).toEqual(envoy);
      else expect(sluice).not.toEqual(envoy);
    });
  }
});
