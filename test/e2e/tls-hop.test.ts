/**
 * A mutual-TLS hop between two proxies with SPIFFE certificates of our own authority: ours at both ends,
 * Envoy and HAProxy at either end. What one proves, the other must read.
 */
import { afterEach, describe, expect, test } from 'bun:test';
import { readFileSync } from 'node:fs';
import { connect, createServer, type AddressInfo } from 'node:net';
import { cleanUp, freePort, onCleanUp, spawnCommand, waitFor } from '@sluice/testkit';
import { findEnvoy } from '../find-envoy.ts';
import { findProgram } from './proxy-fixture.ts';
import {
  certificate,
  cluster,
  downstreamTls,
  fileLog,
  httpChain,
  listener,
  Pki,
  startTlsProxy,
  tcpChain,
  tlsInspector,
  upstreamTls,
  validation,
} from './tls-fixture.ts';

const pki = new Pki();
const { authority } = pki;
const client = authority.leaf({ namespace: 'shop', account: 'client' });
const server = authority.leaf({ namespace: 'shop', account: 'server', dnsSans: ['server.test'] });
const envoy = findEnvoy() ?? undefined;
const haproxy = findProgram('haproxy', '/usr/sbin');

const nameIs = (exact: string): object => ({
  match_typed_subject_alt_names: [{ san_type: 'URI', matcher: { exact } }],
});
const judge = (rules: object): object => {
  const { validation_context: context } = validation(pki) as { validation_context: object };
  return { validation_context: { ...context, ...rules } };
};
const clientTls = (expected = server.spiffeId): object =>
  upstreamTls(
    {
      tls_certificates: [certificate(client)],
      ...judge(nameIs(expected)),
      alpn_protocols: ['istio-http/1.1', 'istio', 'http/1.1'],
    },
    { sni: 'outbound_.80_._.server.shop.svc.cluster.local' },
  );
const serverTls = (expected = client.spiffeId): object =>
  downstreamTls(
    {
      tls_certificates: [certificate(server)],
      ...judge(nameIs(expected)),
      alpn_protocols: ['istio-http/1.1', 'http/1.1'],
    },
    { require_client_certificate: true },
  );
const log = fileLog(
  'ACCESS_LOG',
  '%RESPONSE_CODE% %DOWNSTREAM_PEER_URI_SAN% %DOWNSTREAM_LOCAL_URI_SAN% %REQUESTED_SERVER_NAME% %UPSTREAM_TRANSPORT_FAILURE_REASON%',
);

function origin(): number {
  const one = Bun.serve({
    hostname: '127.0.0.1',
    port: 0,
    fetch: async (request) => new Response(`got ${(await request.text()).length}`),
  });
  onCleanUp(() => one.stop(true));
  return one.port ?? 0;
}

const startServer = async (to: number, binary?: string, transport = serverTls()) => {
  const port = freePort();
  const chain = httpChain('origin', { transport_socket: transport }, { access_log: [log] });
  const proxy = await startTlsProxy(
    {
      listeners: [listener(port, [chain], { listener_filters: [tlsInspector] })],
      clusters: [cluster('origin', to)],
    },
    binary,
  );
  return { port, proxy };
};

const startClient = async (to: number, binary?: string, transport = clientTls()) => {
  const port = freePort();
  const proxy = await startTlsProxy(
    {
      listeners: [listener(port, [httpChain('server', {}, { access_log: [log] })])],
      clusters: [cluster('server', to, { transport_socket: transport })],
    },
    binary,
  );
  return { url: `http://127.0.0.1:${port}/`, proxy };
};

async function send(url: string): Promise<readonly [number, string]> {
  const answer = await fetch(url, { method: 'POST', body: 'x'.repeat(200_000) });
  return [answer.status, answer.status === 200 ? await answer.text() : ''];
}

afterEach(cleanUp);

const pairs: Record<string, readonly [string | undefined, string | undefined]> = {
  'ours to ours': [undefined, undefined],
  'Envoy to ours': [envoy, undefined],
  'ours to Envoy': [undefined, envoy],
};

for (const [name, [clientBinary, serverBinary]] of Object.entries(pairs)) {
  const isMissing = name.includes('Envoy') && envoy === undefined;
  describe.skipIf(isMissing)(`a mutual-TLS hop, ${name}`, () => {
    test('carries requests, and the server knows who calls', async () => {
      const far = await startServer(origin(), serverBinary);
      const near = await startClient(far.port, clientBinary);
      for (let i = 0; i < 3; i++) expect(await send(near.url)).toEqual([200, 'got 200000']);
      const line = `200 ${client.spiffeId} ${server.spiffeId} outbound_.80_._.server.shop.svc.cluster.local`;
      await waitFor(() => readFileSync(far.proxy.log, 'utf8').includes(line), { timeoutMs: 12_000 });
    }, 20_000);

    test('a server that is somebody else is refused by the client', async () => {
      const far = await startServer(origin(), serverBinary);
      const near = await startClient(
        far.port,
        clientBinary,
        clientTls('spiffe://cluster.local/ns/shop/sa/other'),
      );
      expect((await send(near.url))[0]).toBe(503);
      expect(await far.proxy.stat('http.e2e.downstream_rq_total')).toBe(0);
    }, 20_000);

    test('a client that is somebody else is refused by the server', async () => {
      const far = await startServer(
        origin(),
        serverBinary,
        serverTls('spiffe://cluster.local/ns/shop/sa/other'),
      );
      const near = await startClient(far.port, clientBinary);
      expect((await send(near.url))[0]).toBe(503);
      expect(await far.proxy.stat('http.e2e.downstream_rq_total')).toBe(0);
      expect(await far.proxy.stat(`listener.127.0.0.1_${far.port}.ssl.fail_verify_san`)).toBeGreaterThan(0);
    }, 20_000);
  });
}

describe.skipIf(haproxy === null)('a mutual-TLS hop with HAProxy', () => {
  const startHaproxy = (sections: string): void => {
    const config = pki.file(
      `haproxy-${freePort()}.cfg`,
      `global\n  maxconn 200\ndefaults\n  mode http\n  timeout connect 2s\n  timeout client 5s\n  timeout server 5s\n${sections}`,
    );
    spawnCommand([haproxy ?? '', '-f', config, '-db']);
  };

  test('as the client', async () => {
    const far = await startServer(origin());
    const front = freePort();
    const { bundle } = pki.files('haproxy-client', client);
    startHaproxy(
      `frontend f\n  bind 127.0.0.1:${front}\n  default_backend b\nbackend b\n  server s 127.0.0.1:${far.port} ssl crt ${bundle} ca-file ${pki.ca} verify required sni str(server.test) alpn http/1.1\n`,
    );
    await waitFor(async () => (await fetch(`http://127.0.0.1:${front}/`)).status === 200);
    expect(await send(`http://127.0.0.1:${front}/`)).toEqual([200, 'got 200000']);
    await waitFor(() => readFileSync(far.proxy.log, 'utf8').includes(`200 ${client.spiffeId}`));
  });

  test('as the server', async () => {
    const back = origin();
    const port = freePort();
    const { bundle } = pki.files('haproxy-server', server);
    startHaproxy(
      `frontend f\n  bind 127.0.0.1:${port} ssl crt ${bundle} ca-file ${pki.ca} verify required alpn http/1.1\n  default_backend b\nbackend b\n  server s 127.0.0.1:${back}\n`,
    );
    const near = await startClient(port);
    await waitFor(async () => (await send(near.url))[0] === 200);
    expect(await send(near.url)).toEqual([200, 'got 200000']);
  });
});

test('bytes of any protocol pass both ends with their half-close', async () => {
  const echo = createServer({ allowHalfOpen: true }, (socket) => {
    let text = '';
    socket.on('data', (data) => (text += data.toString()));
    socket.on('end', () => socket.end(text.toUpperCase()));
  });
  onCleanUp(() => void echo.close());
  const echoPort = await new Promise<number>((resolve) =>
    echo.listen(0, '127.0.0.1', () => resolve((echo.address() as AddressInfo).port)),
  );
  const [near, far] = [freePort(), freePort()];
  await startTlsProxy({
    listeners: [
      listener(far, [tcpChain('echo', { transport_socket: serverTls() })]),
      listener(near, [tcpChain('far')]),
    ],
    clusters: [cluster('echo', echoPort), cluster('far', far, { transport_socket: clientTls() })],
  });
  const socket = connect({ port: near, host: '127.0.0.1', allowHalfOpen: true });
  socket.write('half-closed ');
  socket.end('question');
  let text = '';
  for await (const data of socket) text += String(data);
  expect(text).toBe('HALF-CLOSED QUESTION');
});
