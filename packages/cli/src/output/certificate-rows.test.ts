import { expect, test } from 'bun:test';
import type { CertificateView, IdentityView } from '../mesh/views.ts';
import { certificateRows, describeSpan, renderChain } from './certificate-rows.ts';

const now = '2026-06-01T12:00:00.000Z';

function certificate(changes: Partial<CertificateView> = {}): CertificateView {
  return {
    serial: '4a01',
    identity: 'spiffe://cluster.local/ns/shop/sa/cart',
    namespace: 'shop',
    serviceAccount: 'cart',
    instance: 'cart-0.shop',
    proof: 'join-token',
    authorityId: 'between',
    rootId: 'root',
    issuedAt: '2026-06-01T11:00:00.000Z',
    notAfter: '2026-06-02T11:00:00.000Z',
    renewalFrom: '2026-06-01T23:00:00.000Z',
    renewalBy: '2026-06-02T03:48:00.000Z',
    revokedAt: null,
    ...changes,
  };
}

function view(certificates: readonly CertificateView[]): IdentityView {
  return {
    trustDomain: 'cluster.local',
    now,
    signing: { id: 'between', subject: 'CN=between', notAfter: '2026-07-01T00:00:00.000Z', rootId: 'root' },
    authorities: [],
    expiring: [],
    certificates,
  };
}

const states = (certificates: readonly CertificateView[], isAll = false): string[] =>
  certificateRows(view(certificates), { isAll }).map((row) => `${row[2]} ${row[3]}`);

test('the newest certificate of each workload is shown, those it replaced only when asked for', () => {
  const all = [
    certificate(),
    certificate({ serial: '4a00' }),
    certificate({ serial: '4b00', instance: 'cart-1.shop' }),
  ];
  expect(states(all)).toEqual(['4a01 valid', '4b00 valid']);
  expect(states(all, true)).toEqual(['4a01 valid', '4a00 replaced', '4b00 valid']);
});

test('a revoked one and one whose renewal is overdue say so', () => {
  expect(states([certificate({ revokedAt: now })])).toEqual(['4a01 revoked']);
  expect(states([certificate({ renewalBy: '2026-06-01T11:59:59.000Z' })])).toEqual(['4a01 renewal due']);
});

test('times are told from the control plane’s clock, in the unit that fits', () => {
  expect(describeSpan(now, '2026-06-01T12:00:30.000Z')).toBe('in 30s');
  expect(describeSpan(now, '2026-06-01T12:45:00.000Z')).toBe('in 45m');
  expect(describeSpan(now, '2026-06-02T11:00:00.000Z')).toBe('in 23h');
  expect(describeSpan(now, '2026-06-11T12:00:00.000Z')).toBe('in 10d');
  expect(describeSpan(now, '2026-06-01T11:00:00.000Z')).toBe('60m ago');
});

test('a chain goes from the workload to the root', () => {
  const authority = {
    id: 'root',
    role: 'root',
    phase: 'active',
    origin: 'own',
    subject: 'CN=root',
    notAfter: now,
  };
  expect(renderChain(now, certificate(), [authority])).toBe(`spiffe://cluster.local/ns/shop/sa/cart
  instance      cart-0.shop
  serial        4a01
  issued        2026-06-01T11:00:00.000Z (by join-token)
  expires       2026-06-02T11:00:00.000Z (in 23h)
  next renewal  in 11h to in 15h
  chain
    root          CN=root, active, expires 2026-06-01T12:00:00.000Z (in 0s)
`);
});
