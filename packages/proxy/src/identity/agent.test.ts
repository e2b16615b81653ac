import { describe, expect, test } from 'bun:test';
import {
  chainPem,
  crlPem,
  formatJoinToken,
  issueCertificate,
  issueCrl,
  newJoinToken,
  parseCsr,
} from '@sluice/identity';
import { createLogger, createRandom, MetricsRegistry } from '@sluice/runtime';
import { fakeTime, TestAuthority } from '@sluice/testkit';
import { IdentityAgent, type AgentDeps, type SigningCall, type SigningOutcome } from './agent.ts';
import type { Credential } from './credential.ts';
import type { IdentityStore, StoredCredential } from './identity-dir.ts';
import { createIdentityMetrics } from './identity-metrics.ts';

const id = 'spiffe://cluster.local/ns/default/sa/a';
const hour = 3_600_000;
const refused = (code: number, message: string): SigningOutcome => ({
  answer: { kind: 'refused', code, message },
  pinnedRootPem: '',
  isUntrusted: false,
});

class MemoryStore implements IdentityStore {
  stored: StoredCredential | null = null;
  roots: string | null = null;
  revocations: string | null = null;
  pending: string | null = null;
  readonly #nowMs: () => number;
  constructor(nowMs: () => number) {
    this.#nowMs = nowMs;
  }
  load(): StoredCredential | null {
    return this.stored;
  }
  loadRoots(): string | null {
    return this.roots;
  }
  loadRevocations(): string | null {
    return this.revocations;
  }
  saveRevocations(pem: string): void {
    this.revocations = pem === '' ? null : pem;
  }
  loadPendingKey(): string | null {
    return this.pending;
  }
  savePendingKey(pem: string | null): void {
    this.pending = pem;
  }
  save(pem: string): void {
    this.stored = { pem, obtainedMs: this.#nowMs() };
  }
  saveRoots(pem: string): void {
    this.roots = pem;
  }
}

function world(options: Partial<AgentDeps['options']> = {}, token: string | null = 'jwt') {
  const time = fakeTime();
  const wallMs = (): number => time.clock.wallMs();
  const authority = new TestAuthority({ nowMs: wallMs() });
  const calls: SigningCall[] = [];
  const credentials: Credential[] = [];
  const bundles: string[] = [];
  const lists: string[] = [];
  const lines: string[] = [];
  const metrics = new MetricsRegistry();
  const store = new MemoryStore(wallMs);
  const state = {
    token,
    roots: authority.rootPem as string | null,
    lifetimeMs: 24 * hour,
    authority,
    answer: null as SigningOutcome | null,
  };
  const issue = (call: SigningCall): SigningOutcome => {
    const csr = parseCsr(call.request.csrPem);
    if ('kind' in csr) throw new Error(csr.message);
    const der = issueCertificate(state.authority.signing, {
      spki: csr.spki,
      notBeforeMs: wallMs() - 900_000,
      notAfterMs: wallMs() + state.lifetimeMs,
      uriSans: [id],
    });
    const { signing, root } = state.authority;
    const chain = chainPem([{ der }, signing.certificate, root.certificate]);
    return { answer: { kind: 'signed', chainPem: chain }, pinnedRootPem: '', isUntrusted: false };
  };
  const deps: AgentDeps = {
    options: { spiffeId: '', keyKind: 'ecdsa-p256', allowExpiredRenewalMs: 0, ...options },
    timers: time.wheel,
    random: createRandom(7),
    logger: createLogger({ component: 'identity', write: (line) => void lines.push(line) }),
    metrics: createIdentityMetrics(metrics),
    store,
    metadata: {},
    readToken: () => state.token,
    readRoots: () => state.roots,
    sign: (call) => {
      calls.push(call);
      return Promise.resolve(state.answer ?? issue(call));
    },
    onCredential: (credential) => void credentials.push(credential),
    onRoots: (rootsPem, crlPem) => {
      bundles.push(rootsPem);
      lists.push(crlPem);
    },
  };
  const start = (): IdentityAgent => {
    const agent = new IdentityAgent(deps);
    agent.start();
    return agent;
  };
  /** Key generation and the call are asynchronous. */
  const settle = async (agent: IdentityAgent, count: number): Promise<void> => {
    while (calls.length < count) await Bun.sleep(0);
    while (agent.isAsking) await Bun.sleep(0);
  };
  const value = (name: string): number | undefined =>
    metrics.collect().find((family) => family.name === name)?.series[0]?.values[0];
  return { time, authority, calls, credentials, bundles, lists, lines, store, state, start, settle, value };
}

function listOf(authority: TestAuthority, serials: readonly string[]): string {
  const revoked = serials.map((serial) => ({ serial, revokedMs: 0 }));
  return crlPem(issueCrl(authority.signing, { number: 1, thisUpdateMs: 0, nextUpdateMs: 1_000, revoked }));
}

describe('a workload without a certificate', () => {
  test('gets one by its token, stores it, trusts the root that came with it', async () => {
    const w = world();
    const agent = w.start();
    await w.settle(agent, 1);
    expect(w.calls[0]).toMatchObject({ request: { token: 'jwt' }, credential: null });
    expect(w.credentials[0]?.spiffeId).toBe(id);
    expect(w.credentials[0]?.shownPem.match(/BEGIN CERTIFICATE/g)).toHaveLength(2);
    expect(w.bundles).toEqual([w.authority.rootPem]);
    expect(w.store.stored?.pem).toContain('PRIVATE KEY');
    expect(w.store.roots).toBe(w.authority.rootPem);
    expect(w.value('sluice_identity_certificates_total')).toBe(1);
    expect(w.value('sluice_identity_certificate_expiry_timestamp_seconds')).toBe(
      Math.floor((w.credentials[0]?.notAfterMs ?? 0) / 1000),
    );
    expect(w.lines.join('')).not.toContain('PRIVATE KEY');
  });

  test('asks again for the same key, with growing pauses, until it has one', async () => {
    const w = world();
    w.state.answer = refused(14, 'connection refused');
    const agent = w.start();
    await w.settle(agent, 1);
    for (let i = 2; i <= 4; i++) {
      w.time.advance(500 * 2 ** (i - 2));
      await w.settle(agent, i);
    }
    w.state.answer = null;
    w.time.advance(8_000);
    await w.settle(agent, 5);
    expect(agent.current?.spiffeId).toBe(id);
    const keys = w.calls.map(({ request }) => {
      const csr = parseCsr(request.csrPem);
      return 'kind' in csr ? csr.message : Buffer.from(csr.spki).toString('hex');
    });
    expect(new Set(keys).size).toBe(1);
    expect(w.value('sluice_identity_certificate_failures_total')).toBe(4);
    expect(w.lines.filter((line) => line.includes('no certificate could be had'))).toHaveLength(4);
  });

  test('asks for the same key after it was killed in between: the token may be spent on it', async () => {
    const w = world();
    w.state.answer = refused(14, 'the connection was closed');
    const killed = w.start();
    await w.settle(killed, 1);
    killed.stop();
    w.state.answer = null;
    const agent = w.start();
    await w.settle(agent, 2);
    const [before, after] = w.calls.map(({ request }) => {
      const csr = parseCsr(request.csrPem);
      return 'kind' in csr ? csr.message : Buffer.from(csr.spki).toString('hex');
    });
    expect(after).toBe(before);
    expect(agent.current?.spiffeId).toBe(id);
    expect(w.store.pending).toBeNull();
  });

  test('is told when nothing says whom to trust, and says nothing itself', async () => {
    const w = world();
    w.state.roots = null;
    const agent = w.start();
    while (w.lines.length === 0) await Bun.sleep(0);
    expect(w.calls).toHaveLength(0);
    expect(w.lines[0]).toContain('--ca-root-file must name one');
    agent.stop();
  });

  test('a join token brings its own pins', async () => {
    const pin = 'ab'.repeat(32);
    const w = world({}, formatJoinToken(newJoinToken([pin])));
    w.state.roots = null;
    const agent = w.start();
    await w.settle(agent, 1);
    expect(w.calls[0]?.trust).toEqual({ kind: 'pins', sha256: [pin] });
  });

  test('does not take a certificate for somebody else', async () => {
    const w = world({ spiffeId: 'spiffe://cluster.local/ns/default/sa/other' });
    const agent = w.start();
    await w.settle(agent, 1);
    expect(agent.current).toBeNull();
    expect(w.lines.join('')).toContain(`the certificate is for ${id}, not spiffe://`);
  });
});

describe('renewal', () => {
  test('comes by the certificate, with a new key, between half and seven tenths of the lifetime', async () => {
    const w = world();
    const agent = w.start();
    await w.settle(agent, 1);
    const first = w.credentials[0];
    w.time.advance(12 * hour - 1);
    expect(w.calls).toHaveLength(1);
    w.time.advance(4.8 * hour);
    await w.settle(agent, 2);
    expect(w.calls[1]).toMatchObject({ request: { token: '' }, credential: first });
    expect(w.credentials[1]?.keyPem).not.toBe(first?.keyPem);
    expect(agent.current).toBe(w.credentials[1] ?? null);
  });

  test('falls back to the token when the certificate is refused', async () => {
    const w = world();
    const agent = w.start();
    await w.settle(agent, 1);
    w.state.answer = refused(16, 'revoked');
    w.time.advance(16.8 * hour);
    await w.settle(agent, 2);
    w.state.answer = null;
    w.time.advance(500);
    await w.settle(agent, 3);
    expect(w.calls[2]).toMatchObject({ request: { token: 'jwt' }, credential: null });
    expect(w.credentials).toHaveLength(2);
  });

  test('gives the token a turn when the authority does not say why it refuses the certificate', async () => {
    const w = world();
    const agent = w.start();
    await w.settle(agent, 1);
    w.state.answer = refused(14, 'the connection was closed');
    w.time.advance(16.8 * hour);
    for (let asked = 2; asked <= 9; asked++) {
      await w.settle(agent, asked);
      w.time.advance(60_000);
    }
    const tokens = w.calls.slice(1, 9).map(({ request }) => request.token);
    expect(tokens).toEqual(['', '', '', 'jwt', '', '', '', 'jwt']);
  });

  test('a restart goes on with what was stored, without a word to the authority', async () => {
    const w = world();
    const before = w.start();
    await w.settle(before, 1);
    before.stop();
    w.time.advance(hour);
    w.state.token = null;
    const agent = w.start();
    expect(agent.current?.leaf.serial).toBe(before.current?.leaf.serial ?? '');
    expect(w.credentials).toHaveLength(2);
    expect(w.calls).toHaveLength(1);
    w.time.advance(16 * hour);
    await w.settle(agent, 2);
    expect(agent.current?.leaf.serial).not.toBe(before.current?.leaf.serial ?? '');
  });

  test('a machine that slept over the time of renewal renews when it wakes', async () => {
    const w = world();
    const agent = w.start();
    await w.settle(agent, 1);
    w.time.clock.setWallMs(w.time.clock.wallMs() + 20 * hour);
    w.time.advance(5_000);
    await w.settle(agent, 2);
    expect(w.credentials).toHaveLength(2);
    expect(w.lines.join('')).toContain('the clock jumped');
  });

  test('a certificate whose root the control plane no longer trusts is renewed at once', async () => {
    const w = world();
    const agent = w.start();
    await w.settle(agent, 1);
    w.state.authority = new TestAuthority({ name: 'next', nowMs: w.time.clock.wallMs() });
    agent.takeBundle(w.authority.rootPem + w.state.authority.rootPem, '');
    expect(w.calls).toHaveLength(1);
    agent.takeBundle(w.state.authority.rootPem, '');
    await w.settle(agent, 2);
    expect(agent.current?.root?.sha256).toBe(w.state.authority.root.certificate.sha256);
  });

  test('old and new roots are trusted side by side until the control plane says which', async () => {
    const w = world();
    const agent = w.start();
    await w.settle(agent, 1);
    w.state.authority = new TestAuthority({ name: 'next', nowMs: w.time.clock.wallMs() });
    w.time.advance(16.8 * hour);
    await w.settle(agent, 2);
    expect(w.bundles[1]).toBe(w.state.authority.rootPem + w.authority.rootPem);
    agent.takeBundle(w.state.authority.rootPem, '');
    expect(w.calls).toHaveLength(2);
    w.time.advance(16.8 * hour);
    await w.settle(agent, 3);
    expect(w.bundles).toHaveLength(2);
    expect(w.calls[2]?.trust.kind).toBe('roots');
    expect(w.store.roots).not.toContain(w.authority.rootPem);
  });
});

describe('the end of a certificate', () => {
  test('is told once the authority was gone for all of its life; then only the token helps', async () => {
    const w = world();
    const agent = w.start();
    await w.settle(agent, 1);
    w.state.answer = refused(14, 'connection refused');
    for (let at = 0; at < 25; at++) {
      w.time.advance(hour);
      await w.settle(agent, w.calls.length);
    }
    expect(agent.isExpired).toBe(true);
    expect(w.lines.join('')).toContain('the workload certificate has expired');
    w.state.answer = null;
    const asked = w.calls.length;
    w.time.advance(60_000);
    await w.settle(agent, asked + 1);
    expect(w.calls.at(-1)).toMatchObject({ request: { token: 'jwt' }, credential: null });
    expect(agent.isExpired).toBe(false);
  });

  test('an expired certificate renews itself within the time that the operator allowed', async () => {
    const w = world({ allowExpiredRenewalMs: 48 * hour });
    const before = w.start();
    await w.settle(before, 1);
    before.stop();
    w.time.clock.setWallMs(w.time.clock.wallMs() + 30 * hour);
    w.state.token = null;
    const agent = w.start();
    await w.settle(agent, 2);
    expect(w.calls[1]?.credential?.leaf.serial).toBe(before.current?.leaf.serial ?? '');
    expect(agent.isExpired).toBe(false);
    expect(w.credentials).toHaveLength(2);
  });

  test('its own name on a revocation list is told at once, and only the token is shown from then on', async () => {
    const w = world();
    const agent = w.start();
    await w.settle(agent, 1);
    const serial = agent.current?.leaf.serial ?? '';
    agent.takeBundle(w.authority.rootPem, listOf(w.authority, ['0a']));
    expect(w.calls).toHaveLength(1);
    agent.takeBundle(w.authority.rootPem, listOf(w.authority, [serial]));
    agent.takeBundle(w.authority.rootPem, listOf(w.authority, [serial]));
    await w.settle(agent, 2);
    expect(w.calls).toHaveLength(2);
    expect(w.calls[1]).toMatchObject({ request: { token: 'jwt' }, credential: null });
    expect(w.lines.filter((line) => line.includes('was revoked'))).toHaveLength(1);
    expect(agent.current?.leaf.serial).not.toBe(serial);
  });

  test('revocation lists are kept for the next start, the own name on them too, until there are none', async () => {
    const w = world();
    const first = w.start();
    await w.settle(first, 1);
    const lists = listOf(w.authority, ['0a']);
    first.takeBundle(w.authority.rootPem, lists);
    first.stop();
    expect(w.store.revocations).toBe(lists);
    const second = w.start();
    expect([w.bundles.at(-1), w.lists.at(-1)]).toEqual([w.authority.rootPem, lists]);
    expect(w.calls).toHaveLength(1);
    second.takeBundle(w.authority.rootPem, listOf(w.authority, [second.current?.leaf.serial ?? '']));
    second.stop();
    const third = w.start();
    await w.settle(third, 2);
    expect(w.calls[1]).toMatchObject({ request: { token: 'jwt' }, credential: null });
    third.takeBundle(w.authority.rootPem, '');
    third.stop();
    w.store.revocations = 'rubbish';
    w.start().stop();
    expect(w.lists.at(-1)).toBe('');
    w.store.revocations = '-----BEGIN X509 CRL-----\nAAAA\n-----END X509 CRL-----\n';
    w.start().stop();
    expect([w.bundles.at(-1), w.lists.at(-1)]).toEqual([w.authority.rootPem, '']);
    expect(w.lines.join('')).toContain('the stored revocation lists cannot be read');
  });

  test('a control plane that does not take it makes the agent ask, and a new token gets its turn', async () => {
    const w = world({}, 'one');
    const agent = w.start();
    await w.settle(agent, 1);
    const serial = agent.current?.leaf.serial;
    w.state.answer = refused(16, 'the certificate has been revoked');
    agent.refusedByControlPlane();
    await w.settle(agent, 2);
    expect(w.calls[1]?.credential?.leaf.serial).toBe(serial);
    agent.refusedByControlPlane();
    expect(w.calls).toHaveLength(2);
    w.state.answer = null;
    w.state.token = 'two';
    w.time.advance(1_000);
    await w.settle(agent, 3);
    expect(w.calls[2]).toMatchObject({ request: { token: 'two' }, credential: null });
    expect(agent.current?.leaf.serial).not.toBe(serial);
    // It was not the certificate, or the control plane has not heard of the new one: no storm of requests.
    agent.refusedByControlPlane();
    expect(w.calls).toHaveLength(3);
    w.time.advance(600_000);
    agent.refusedByControlPlane();
    await w.settle(agent, 4);
    expect(w.calls).toHaveLength(4);
  });

  test('a token that was put in place goes before a certificate that would be renewed as it is, once', async () => {
    const w = world({}, 'for other labels');
    const agent = w.start();
    await w.settle(agent, 1);
    agent.refusedByControlPlane();
    await w.settle(agent, 2);
    expect(w.calls[1]).toMatchObject({ request: { token: '' } });
    w.state.token = 'the right one';
    agent.refusedByControlPlane();
    await w.settle(agent, 3);
    expect(w.calls[2]).toMatchObject({ request: { token: 'the right one' }, credential: null });
    agent.refusedByControlPlane();
    expect(w.calls).toHaveLength(3);
    // One that is refused is not shown again and again: the certificate goes on.
    w.state.token = 'one that was used';
    w.state.answer = refused(16, 'the join token has been used: it is good once');
    agent.refusedByControlPlane();
    await w.settle(agent, 4);
    w.state.answer = null;
    w.time.advance(1_000);
    await w.settle(agent, 5);
    expect(w.calls[4]?.credential).not.toBeNull();
    agent.refusedByControlPlane();
    expect(w.calls).toHaveLength(5);
  });

  test('a certificate that is over on arrival is not used, and the clocks are blamed', async () => {
    const w = world();
    w.state.lifetimeMs = -1_000;
    const agent = w.start();
    await w.settle(agent, 1);
    expect(agent.current).toBeNull();
    expect(w.lines.join('')).toContain('this clock is ahead');
  });
});
