/** Which instance a certificate may act as: the node's own word alone decides nothing. */
import { afterEach, describe, expect, test } from 'bun:test';
import type { Registration } from '@sluice/api';
import { generateKeySync, type Certificate } from '@sluice/identity';
import { cleanUp, FakeClock, onCleanUp, TestAuthority } from '@sluice/testkit';
import { createMessage, NodeTable, type Node } from '@sluice/xds';
import { AuthorityFixture } from '../authority/authority.fixture.ts';
import type { Binding } from '../authority/authority-table.ts';
import type { OperatorAuthority } from '../authority/operator-authority.ts';
import type { RegisteredInstance } from '../registry/registry.ts';
import { admitByCertificate, judgePresented } from './mesh-identity.ts';

afterEach(cleanUp);

const registration: Registration = {
  name: 'cart-0',
  namespace: 'shop',
  serviceAccount: 'cart',
  labels: { app: 'cart', tier: 'front' },
  address: '127.0.0.1',
  interceptionMode: 'NONE',
  ports: [{ name: 'http', appPort: 8080, inboundPort: 18080 }],
  adminPort: 1,
  healthPort: 2,
  version: '0.1.0',
  ttlMs: 2500,
};
const registered: RegisteredInstance = {
  instance: 'cart-0.shop',
  registration,
  registeredWallMs: 0,
  isHealthy: true,
  healthMessage: '',
  isRevoked: false,
};
const registry = { instances: new Map([['cart-0.shop', registered]]) };
const anyInstance: Binding = { instance: '', labels: {}, ports: [] };
const node = (id: string): Node => createMessage(NodeTable, { id });
const ours = node('sidecar~127.0.0.1~cart-0.shop~shop.svc.cluster.local');

function open(): AuthorityFixture {
  const fixture = new AuthorityFixture();
  onCleanUp(() => fixture.close());
  return fixture;
}

function admit(fixture: AuthorityFixture, chain: readonly Certificate[], who = ours): string {
  const certificateChain = chain.map(({ der }) => der);
  const admitted = admitByCertificate(fixture.authority, registry, who, { address: 'x', certificateChain });
  return admitted.ok ? admitted.instance : admitted.reason;
}

describe('an instance is', () => {
  test('the one that the node names, where the certificate is of its namespace and account', () => {
    const fixture = open();
    expect(admit(fixture, fixture.issue().chain)).toBe('cart-0.shop');
    const told = createMessage(NodeTable, { id: 'x', metadata: { SLUICE_INSTANCE: 'cart-0.shop' } });
    expect(admit(fixture, fixture.issue().chain, told)).toBe('cart-0.shop');
  });

  test('the one that is revoked when the certificate is that it came with', () => {
    const fixture = open();
    const { chain, leaf } = fixture.issue();
    admit(fixture, chain);
    fixture.authority.revoke(({ serial }) => serial === leaf.serial);
    expect([...fixture.authority.revokedInstances]).toEqual(['cart-0.shop']);
    admit(fixture, fixture.issue().chain);
    expect([...fixture.authority.revokedInstances]).toEqual([]);
  });

  test('nobody’s whose account or namespace is another', () => {
    const fixture = open();
    const message = 'the certificate is not that of the instance’s namespace and account';
    expect(admit(fixture, fixture.issue({ account: 'other' }).chain)).toBe(message);
    expect(admit(fixture, fixture.issue({ namespace: 'bank' }).chain)).toBe(message);
  });

  test('none whose certificate was revoked when the authority that could list it had gone', () => {
    const nowMs = new FakeClock().wallMs();
    const [first, second] = [new TestAuthority({ nowMs }), new TestAuthority({ nowMs })];
    const operator = ({ signing, root }: TestAuthority): OperatorAuthority => ({
      signing,
      chain: [signing.certificate],
      root: root.certificate,
      roots: [first.root.certificate, second.root.certificate],
    });
    const fixture = new AuthorityFixture({ operator: operator(first) });
    onCleanUp(() => fixture.close());
    const { chain } = fixture.issue();
    fixture.authority.replaceOperator(operator(second));
    expect(admit(fixture, chain)).toBe('cart-0.shop');
    fixture.authority.revoke(() => true);
    expect(admit(fixture, chain)).toBe('the certificate has been revoked');
  });

  test('none that is not registered', () => {
    const fixture = open();
    for (const id of ['sidecar~1~other.shop~d', 'nonsense', ''])
      expect(admit(fixture, fixture.issue().chain, node(id))).toBe('the node is not a registered instance');
  });

  test('within what its join token was bound to', () => {
    const fixture = open();
    const under = (binding: Partial<Binding>): string =>
      admit(fixture, fixture.issue({ binding: { ...anyInstance, ...binding } }).chain);
    expect(under({ instance: 'cart-0.shop', labels: { app: 'cart' }, ports: [8080, 9090] })).toBe(
      'cart-0.shop',
    );
    expect(under({ instance: 'cart-1.shop' })).toBe('the certificate was given to another instance');
    expect(under({ labels: { app: 'vault' } })).toContain('has not the labels');
    expect(under({ ports: [9090] })).toContain('has ports beyond those');
  });

  test('refused with a certificate that is revoked, expired, foreign or missing', () => {
    const fixture = open();
    const { chain, leaf } = fixture.issue();
    fixture.authority.revoke(({ serial }) => serial === leaf.serial);
    expect(admit(fixture, chain)).toBe('the certificate has been revoked');
    const short = fixture.issue({ ttlMs: 1000 });
    fixture.clock.advance(2000);
    expect(admit(fixture, short.chain)).toBe('the certificate has expired');
    const foreign = new TestAuthority({ nowMs: fixture.clock.wallMs() }).leaf({
      namespace: 'shop',
      account: 'cart',
    });
    expect(admit(fixture, [foreign.certificate])).toBe('no path to a trusted root');
    expect(admit(fixture, [])).toBe('no certificate');
  });
});

test('bytes that are no certificate are a reason, and not an exception', () => {
  const judged = judgePresented(open().authority, [new Uint8Array([0x30, 0x80])]);
  expect(judged).toMatchObject({ ok: false });
});

test('a chain without its intermediate is completed from the authority’s own', () => {
  const fixture = open();
  const { leaf } = fixture.issue({}, generateKeySync());
  expect(admit(fixture, [leaf])).toBe('cart-0.shop');
});
