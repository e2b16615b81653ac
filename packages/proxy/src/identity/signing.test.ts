/** The call to the authority over real sockets: who is believed, and that nothing is said to anybody else. */
import { afterEach, describe, expect, test } from 'bun:test';
import { createCsr, csrPem, generateKeySync, isProblem, parseChain } from '@sluice/identity';
import { startTimerDriver, systemClock, TimerWheel } from '@sluice/runtime';
import { cleanUp, onCleanUp, refusingPort, TestAuthority, type TestLeaf } from '@sluice/testkit';
import { http2Transport } from '../io/grpc-http2.ts';
import type { TlsFailure } from '../io/tls-context.ts';
import { credentialOf } from './credential.ts';
import { explainRefusal, requestCertificate } from './signing-client.ts';
import { pinOf, rootOf, serverLeaf, SigningPeer } from './signing-peer.test-double.ts';
import { bearsName, SigningTls, type SigningTlsOptions } from './signing-tls.ts';

afterEach(cleanUp);

const authority = new TestAuthority();
const pins = { kind: 'pins', sha256: [pinOf(authority)] } as const;
const roots = { kind: 'roots', pem: rootOf(authority) } as const;

async function peerWith(leaf?: TestLeaf): Promise<SigningPeer> {
  const peer = new SigningPeer(authority, leaf);
  await peer.listen();
  onCleanUp(() => peer.close());
  return peer;
}

async function ask(target: string, tls: Partial<SigningTlsOptions>, token = 't0ken') {
  const timers = new TimerWheel(systemClock);
  const driver = startTimerDriver(timers);
  onCleanUp(() => driver.stop());
  const failures: TlsFailure[] = [];
  const context = new SigningTls({
    host: '127.0.0.1',
    trust: pins,
    credential: null,
    wallMs: () => Date.now(),
    onFailure: (failure) => void failures.push(failure),
    ...tls,
  });
  const key = generateKeySync();
  const transport = http2Transport({ target, timers, tls: context });
  const answer = await requestCertificate(transport, timers, {
    csrPem: csrPem(createCsr(key, { uriSans: ['spiffe://cluster.local/ns/default/sa/a'] })),
    validitySeconds: 60,
    metadata: {},
    token,
  });
  transport.close();
  return { answer, failures, pinnedRootPem: context.pinnedRootPem, key };
}

describe('an authority that is who it should be', () => {
  test('is known by the hash of its root, which becomes the first trust bundle', async () => {
    const peer = await peerWith();
    const { answer, pinnedRootPem } = await ask(peer.target, {});
    expect(answer.kind).toBe('signed');
    const chain = answer.kind === 'signed' ? parseChain(answer.chainPem) : [];
    expect(isProblem(chain) ? chain.message : chain.length).toBe(3);
    expect(pinnedRootPem).toBe(rootOf(authority));
  });

  test('is known by roots, and knows its client by the certificate', async () => {
    const peer = await peerWith();
    const leaf = authority.leaf({ account: 'a' });
    const credential = credentialOf(leaf.keyPem, leaf.chainPem, Date.now(), '');
    if (isProblem(credential)) throw new Error(credential.message);
    const { answer } = await ask(peer.target, { trust: roots, credential }, '');
    expect(answer.kind).toBe('signed');
    expect(peer.asked).toEqual([
      { token: '', peerId: 'spiffe://cluster.local/ns/default/sa/a', isPeerExpired: false },
    ]);
  });

  test('may refuse: its words and code come back', async () => {
    const peer = await peerWith();
    const { answer } = await ask(peer.target, {}, 'wrong');
    expect(answer).toEqual({ kind: 'refused', code: 16, message: 'nobody said who asks' });
  });
});

describe('nothing is said to an authority', () => {
  const refused = async (leaf: TestLeaf | undefined, tls: Partial<SigningTlsOptions>) => {
    const peer = await peerWith(leaf);
    const { answer, failures } = await ask(peer.target, tls);
    expect(answer.kind).toBe('refused');
    expect(peer.asked).toEqual([]);
    return { message: answer.kind === 'refused' ? answer.message : '', kind: failures[0]?.kind };
  };

  test('of another root than the pinned one', async () => {
    const other = { kind: 'pins', sha256: ['00'.repeat(32)] } as const;
    expect(await refused(undefined, { trust: other })).toEqual({
      message: "the authority's chain does not lead to the root that the token pins",
      kind: 'untrusted',
    });
  });

  test('that only shows the pinned root beside a chain of its own', async () => {
    const foreign = new TestAuthority({ name: 'foreign' });
    expect(await refused(serverLeaf(foreign), {})).toEqual({
      message: "the authority's certificate is not accepted: no path to a trusted root",
      kind: 'untrusted',
    });
  });

  test('that is a workload of the mesh and not the host that was dialled', async () => {
    for (const trust of [pins, roots]) {
      expect(await refused(authority.leaf({ account: 'evil' }), { trust })).toEqual({
        message: "the authority's certificate does not bear the name 127.0.0.1",
        kind: 'san',
      });
    }
  });

  test('whose certificate has expired; the message thinks of clocks', async () => {
    const leaf = serverLeaf(authority, {
      notBeforeMs: Date.now() - 7_200_000,
      notAfterMs: Date.now() - 60_000,
    });
    const { message } = await refused(leaf, { trust: roots });
    expect(message).toContain('CERT_HAS_EXPIRED; compare the clocks');
  });
});

test('an authority that is not there is UNAVAILABLE', async () => {
  const { answer, failures } = await ask(`127.0.0.1:${await refusingPort()}`, {});
  expect(answer).toMatchObject({
    kind: 'refused',
    code: 14,
    message: expect.stringContaining('ECONNREFUSED'),
  });
  expect(failures.map(({ kind }) => kind)).toEqual(['closed']);
});

test('a port without TLS is told as what it is', async () => {
  const plain = Bun.listen({
    hostname: '127.0.0.1',
    port: 0,
    socket: { data: (socket) => void socket.write('HTTP/1.1 400 Bad Request\r\n\r\n') },
  });
  onCleanUp(() => plain.stop(true));
  const target = `127.0.0.1:${plain.port}`;
  const { answer } = await ask(target, {});
  const message = answer.kind === 'refused' ? answer.message : '';
  expect(explainRefusal(message, target)).toStartWith(
    `what listens at ${target} does not speak TLS: --ca-address must name the secure port`,
  );
  expect(explainRefusal('the join token has expired', target)).toBe('the join token has expired');
});

test('names are matched exactly, by one wildcard label, addresses by address', () => {
  const peer = { dnsSans: ['istiod.istio-system.svc', '*.mesh.example'], ipSans: ['127.0.0.1', '::1'] };
  expect(bearsName(peer, 'Istiod.istio-system.svc')).toBe(true);
  expect(bearsName(peer, 'ca.mesh.example')).toBe(true);
  expect(bearsName(peer, 'a.ca.mesh.example')).toBe(false);
  expect(bearsName(peer, 'mesh.example')).toBe(false);
  expect(bearsName(peer, '127.0.0.1')).toBe(true);
  expect(bearsName(peer, '0:0:0:0:0:0:0:1')).toBe(true);
  expect(bearsName(peer, '127.0.0.2')).toBe(false);
  expect(bearsName({ dnsSans: ['10.0.0.1'], ipSans: [] }, '10.0.0.1')).toBe(false);
});
