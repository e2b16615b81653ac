/** `/sluice/v1/identity` and `/sluice/v1/tokens`: what they show, take and refuse. */
import { afterEach, describe, expect, test } from 'bun:test';
import { MetricsRegistry, renderPrometheusText } from '@sluice/runtime';
import { isJoinToken } from '@sluice/identity';
import { cleanUp, onCleanUp } from '@sluice/testkit';
import { AuthorityFixture } from '../../authority/authority.fixture.ts';
import { createAuthorityMetrics } from '../../authority/authority-metrics.ts';
import { JoinTokens } from '../../authority/join-tokens.ts';
import type { IdentityView, JoinTokenView } from '../identity-views.ts';
import { createIdentityApi } from './identity-api.ts';
import { ApiError } from './status-body.ts';

afterEach(cleanUp);

function open() {
  const fixture = new AuthorityFixture();
  onCleanUp(() => fixture.close());
  const { authority, clock, log, file } = fixture;
  const registry = new MetricsRegistry();
  const joinTokens = new JoinTokens({
    file,
    wallMs: () => clock.wallMs(),
    pins: () => authority.pins,
    address: () => '127.0.0.1:15012',
  });
  const api = createIdentityApi(
    { authority, joinTokens, metrics: createAuthorityMetrics(registry) },
    clock,
    log,
  );
  /** The reply's data, or the refusal in words. */
  const call = async <T>(method: string, path: string, body?: object): Promise<T> => {
    const init = body === undefined ? { method } : { method, body: JSON.stringify(body) };
    const request = new Request(`http://127.0.0.1/sluice/v1/${path}`, init);
    const response = api.handle(request, path.split('/'));
    if (response === null) throw new Error(`nothing serves ${path}`);
    return (await (await response).json()) as T;
  };
  const refusal = async (method: string, path: string, body?: object): Promise<string> => {
    try {
      await call(method, path, body);
      return 'taken';
    } catch (error) {
      if (!(error instanceof ApiError)) throw error;
      return `${error.code} ${error.message}`;
    }
  };
  return { fixture, call, refusal, registry, api };
}

describe('identity', () => {
  test('shows the authority and every certificate in force, times in ISO 8601 and no secret', async () => {
    const { fixture, call } = open();
    fixture.issue({ binding: { instance: 'cart-0.shop', labels: {}, ports: [] } });
    const view = await call<IdentityView>('GET', 'identity');
    expect(view.authorities.map(({ role, phase }) => `${role} ${phase}`)).toEqual([
      'root active',
      'intermediate active',
    ]);
    expect(view.certificates).toMatchObject([
      {
        identity: 'spiffe://cluster.local/ns/shop/sa/cart',
        instance: 'cart-0.shop',
        issuedAt: '2026-01-01T00:00:00.000Z',
        renewalFrom: '2026-01-01T12:00:00.000Z',
        renewalBy: '2026-01-01T16:48:00.000Z',
        notAfter: '2026-01-02T00:00:00.000Z',
        revokedAt: null,
      },
    ]);
    expect(JSON.stringify(view)).not.toContain('PRIVATE');
  });

  test('ends used tokens of an account that is revoked: its key could be certified anew by them', async () => {
    const { fixture, call } = open();
    const { leaf } = fixture.issue();
    const joinTokens = new JoinTokens({
      file: fixture.file,
      wallMs: () => fixture.clock.wallMs(),
      pins: () => fixture.authority.pins,
      address: () => '',
    });
    const make = (serviceAccount: string): Promise<JoinTokenView & { token: string }> =>
      call('POST', 'tokens', { namespace: 'shop', serviceAccount });
    const [used, unused, other] = [await make('cart'), await make('cart'), await make('till')];
    for (const { id } of [used, other]) joinTokens.spend(id, 'the key');
    // A lost answer may be asked for again.
    expect(joinTokens.judge(used.token, 'the key').ok).toBe(true);
    await call('POST', 'identity/revoke', { serial: leaf.serial });
    expect(joinTokens.judge(used.token, 'the key').ok).toBe(false);
    expect(joinTokens.judge(unused.token, 'a key').ok).toBe(true);
    expect(joinTokens.judge(other.token, 'the key').ok).toBe(true);
  });

  test('revokes by serial in any writing, by account, and by instance', async () => {
    const { fixture, call, refusal, registry } = open();
    const binding = { instance: 'till-0.shop', labels: {}, ports: [] };
    const { leaf } = fixture.issue();
    fixture.issue({ account: 'till', binding });
    fixture.issue({ account: 'till' });
    const colons = leaf.serial.toUpperCase().replace(/(..)(?=.)/g, '$1:');
    expect(await call<object>('POST', 'identity/revoke', { serial: colons })).toMatchObject({
      revoked: [{ serial: leaf.serial }],
    });
    expect(
      (await call<{ revoked: object[] }>('POST', 'identity/revoke', { namespace: 'shop', name: 'till-0' }))
        .revoked,
    ).toHaveLength(1);
    expect(
      (await call<{ revoked: object[] }>('POST', 'identity/revoke', { namespace: 'shop', name: 'till' }))
        .revoked,
    ).toHaveLength(1);
    expect(await refusal('POST', 'identity/revoke', { namespace: 'shop', name: 'till' })).toContain(
      '404 no certificate in force',
    );
    expect(renderPrometheusText(registry)).toMatch(/^sluice_ca_revocations_total 3$/m);
  });

  test('begins one rotation of the root at a time', async () => {
    const { refusal } = open();
    expect(await refusal('POST', 'identity/rotate', { what: 'root' })).toBe('taken');
    expect(await refusal('POST', 'identity/rotate', { what: 'root' })).toContain(
      '409 a rotation is under way',
    );
    expect(await refusal('POST', 'identity/rotate', { what: 'intermediate' })).toBe('taken');
  });
});

describe('tokens', () => {
  test('are made with what they are bound to, listed without the secret, and taken back', async () => {
    const { call, refusal, fixture } = open();
    const made = await call<JoinTokenView & { token: string }>('POST', 'tokens', {
      namespace: 'shop',
      serviceAccount: 'cart',
      instance: 'cart-0.shop',
      labels: { app: 'cart' },
      ports: [8080],
      ttlMs: 60_000,
    });
    expect(isJoinToken(made.token)).toBe(true);
    expect(made).toMatchObject({
      labels: { app: 'cart' },
      ports: [8080],
      expiresAt: '2026-01-01T00:01:00.000Z',
      state: 'open',
    });
    const listed = await call<{ tokens: JoinTokenView[] }>('GET', 'tokens');
    expect(listed.tokens.map(({ id }) => id)).toEqual([made.id]);
    expect(JSON.stringify(listed)).not.toContain('secret');
    fixture.clock.advance(60_000);
    expect((await call<{ tokens: JoinTokenView[] }>('GET', 'tokens')).tokens[0]?.state).toBe('expired');
    expect(await refusal('DELETE', `tokens/${made.id}`)).toBe('taken');
    expect(await refusal('DELETE', `tokens/${made.id}`)).toBe(`404 there is no join token ${made.id}`);
  });
});

test.each([
  ['POST', 'tokens', { namespace: 'Shop' }, '422 namespace must be a lower-case name'],
  ['POST', 'tokens', { labels: { a: 1 } }, '422 labels must be an object of texts'],
  ['POST', 'tokens', { ports: [0] }, '422 ports must be a list of port numbers'],
  ['POST', 'tokens', { ttlMs: 1e12 }, '422 ttlMs must be at most'],
  ['POST', 'tokens', { ttlMs: -1 }, '422 ttlMs must be at most'],
  ['POST', 'identity/revoke', {}, '422 name a serial'],
  ['POST', 'identity/revoke', { serial: 'x' }, '422 serial is not a serial number'],
  ['POST', 'identity/rotate', { what: 'all' }, '422 what must be root or intermediate'],
  ['PUT', 'tokens', {}, '404 there is nothing at PUT tokens'],
  ['DELETE', 'identity', {}, '404 there is nothing at DELETE identity'],
])('%s %s with %j is refused', async (method, path, body, words) => {
  expect(await open().refusal(method, path, body)).toStartWith(words);
});

test('a full disk is told as such', async () => {
  const { fixture, refusal } = open();
  fixture.file.database.run('PRAGMA max_page_count = 1');
  const answers = await Promise.all(Array.from({ length: 200 }, () => refusal('POST', 'tokens', {})));
  expect(answers.at(-1)).toMatch(/^507 the state in .* could not be written \(database or disk is full\)/);
});

test('paths of others are not its business', () => {
  const { api } = open();
  expect(api.handle(new Request('http://127.0.0.1/sluice/v1/status'), ['status'])).toBeNull();
});
