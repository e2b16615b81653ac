/**
 * When a server judges our certificate. In TLS 1.3 it does so after we are allowed to write: what was written by
 * then counts as possibly processed and is not sent again, though the server says that it refuses us. In TLS 1.2
 * it judges before, so nothing was sent, and another attempt is safe.
 */
import { afterEach, describe, expect, test } from 'bun:test';
import { readFileSync } from 'node:fs';
import { cleanUp, freePort, spawnCommand, TestAuthority, waitFor } from '@sluice/testkit';
import {
  certificate,
  cluster,
  fileLog,
  httpChain,
  listener,
  Pki,
  startTlsProxy,
  upstreamTls,
  validation,
} from './tls-fixture.ts';

afterEach(cleanUp);

const pki = new Pki();
const { authority } = pki;
const routes = (retry_on: string): object => ({
  virtual_hosts: [
    {
      name: 'all',
      domains: ['*'],
      routes: [
        {
          match: { prefix: '/' },
          route: {
            cluster: 'server',
            retry_policy: {
              retry_on,
              num_retries: 2,
              retry_back_off: { base_interval: '0.001s', max_interval: '0.002s' },
            },
          },
        },
      ],
    },
  ],
});

/** A server that takes only certificates of another authority than ours, behind a proxy that shows one of ours. */
async function refusedBy(tlsVersion: string, retryOn: string) {
  const stranger = pki.file('foreign-ca.pem', new TestAuthority({ name: 'foreign' }).rootPem);
  const files = pki.files('server', authority.leaf({ account: 'server' }));
  const port = freePort();
  const server = spawnCommand(
    [
      'openssl',
      's_server',
      '-accept',
      `127.0.0.1:${port}`,
      '-www',
      '-cert',
      files.chain,
      '-key',
      files.key,
    ].concat(['-cert_chain', files.chain, '-CAfile', stranger, '-Verify', '3', '-verify_return_error']),
  );
  await server.waitForLine('ACCEPT');
  const front = freePort();
  const log = fileLog('ACCESS_LOG', '%RESPONSE_CODE% %RESPONSE_FLAGS%');
  const proxy = await startTlsProxy({
    listeners: [
      listener(front, [httpChain('server', {}, { access_log: [log], route_config: routes(retryOn) })]),
    ],
    clusters: [
      cluster('server', port, {
        transport_socket: upstreamTls({
          tls_certificates: [certificate(authority.leaf({ account: 'client' }))],
          tls_params: { tls_minimum_protocol_version: tlsVersion, tls_maximum_protocol_version: tlsVersion },
          ...validation(pki),
        }),
      }),
    ],
  });
  const connections = (): Promise<number> => proxy.stat('cluster.server.upstream_cx_total');
  const ask = async (
    method: string,
  ): Promise<{ status: number; reason: string | null; attempts: number }> => {
    const before = await connections();
    const answer = await fetch(`http://127.0.0.1:${front}/`, {
      method,
      ...(method === 'POST' ? { body: 'pay 5' } : {}),
    });
    await answer.text();
    const attempts = (await connections()) - before;
    return { status: answer.status, reason: answer.headers.get('x-sluice-reason'), attempts };
  };
  const flagged = (flag: string): Promise<unknown> =>
    waitFor(() => readFileSync(proxy.log, 'utf8').includes(`503 ${flag}`), { what: `${flag} in the log` });
  return { ask, flagged };
}

describe.skipIf(Bun.which('openssl') === null)('a server that refuses our certificate', () => {
  test('after we wrote (TLS 1.3): a POST is not sent again, nor said to be unsent', async () => {
    const { ask, flagged } = await refusedBy('TLSv1_3', 'connect-failure,refused-stream');
    expect(await ask('POST')).toEqual({ status: 503, reason: 'upstream-reset', attempts: 1 });
    await flagged('UC');
  });

  test('after we wrote (TLS 1.3): the policy for resets decides', async () => {
    const { ask } = await refusedBy('TLSv1_3', 'reset');
    expect((await ask('GET')).attempts).toBe(3);
  });

  test('before we wrote (TLS 1.2): nothing was sent, another attempt is safe', async () => {
    const { ask, flagged } = await refusedBy('TLSv1_2', 'connect-failure,refused-stream');
    expect(await ask('POST')).toEqual({ status: 503, reason: 'upstream-tls-failed', attempts: 3 });
    await flagged('UF');
  });
});
